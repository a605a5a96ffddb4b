"""Given, when, then for the pledge's domain: plain values, no clock, no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any
from uuid import UUID

from contracts.campaign import CampaignLaunched, FundingModel, Policy
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, TierId
from contracts.money import Money
from contracts.pledge import PledgeFact, PledgePlaced
from pledge.domain import Pledge, evolve
from pledge.domain_book import Book, Pool, Tier, book_of
from pledge.domain_change import ChangePledge
from pledge.domain_decisions import PlacePledge, place

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
DEADLINE = NOON + timedelta(days=30)
CUTOFF = DEADLINE - timedelta(hours=48)
TICK = timedelta(microseconds=1)
CAMPAIGN, OTHER_CAMPAIGN = CampaignId(UUID(int=1)), CampaignId(UUID(int=2))
BACKER, STRANGER = PersonId(UUID(int=3)), PersonId(UUID(int=4))
TIER, POOL, PLEDGE = TierId(UUID(int=5)), UUID(int=6), PledgeId(UUID(int=7))
LEASE_SECONDS = 900


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


def launched(model: FundingModel = FundingModel.ALL_OR_NOTHING, **policy: Any) -> CampaignLaunched:
    return CampaignLaunched(
        campaign_id=CAMPAIGN,
        creator_id=PersonId(UUID(int=8)),
        title="A book",
        goal=euros(100_000),
        model=model,
        deadline=DEADLINE,
        policy=Policy(**policy),
        launched_at=NOON,
    )


def book(model: FundingModel = FundingModel.ALL_OR_NOTHING, **policy: Any) -> Book:
    return book_of(launched(model, **policy))


def wish(minor: int = 2500, **changed: Any) -> PlacePledge:
    given: dict[str, Any] = {
        "pledge_id": PLEDGE,
        "campaign_id": CAMPAIGN,
        "backer_id": BACKER,
        "tier_id": None,
        "amount": euros(minor),
        "country": "DE",
        "payment_method": "pm_card_visa",
        "lease_seconds": LEASE_SECONDS,
    }
    return PlacePledge(**(given | changed))


def decided(
    command: PlacePledge,
    now: datetime = NOON,
    *,
    book: Book | None,
    tier: Tier | None = None,
    pool: Pool | None = None,
    first: UUID | None = None,
) -> tuple[PledgePlaced, ...]:
    return place(command, now, book=book, tier=tier, pool=pool, first=first)


def placed(minor: int = 2500) -> PledgePlaced:
    [event] = decided(wish(minor), book=book())
    return event


def pledge(*later: type[PledgeFact], minor: int = 2500, **fields: Any) -> Pledge:
    """A pledge that was placed at noon, and what came of it."""
    start = evolve(None, placed(minor))
    return reduce(lambda state, kind: evolve(state, fact(kind, state, **fields)), later, start)


def change(**wanted: Any) -> ChangePledge:
    """A wish to change the pledge; what is not given stays as it is."""
    given: dict[str, Any] = {
        "change_id": ChangeId(UUID(int=9)),
        "pledge_id": PLEDGE,
        "person_id": BACKER,
        "amount": None,
        "tier_id": None,
        "moves_tier": "tier_id" in wanted,
        "payment_method": None,
        "versions": None,
        "lease_seconds": LEASE_SECONDS,
    }
    return ChangePledge(**(given | wanted))


def fact(kind: type[PledgeFact], about: Pledge, **fields: Any) -> PledgeFact:
    """A fact of this kind with whatever else it needs."""
    known = {"hold_id": "pi_1", "previous_hold_id": "pi_0", "reason": "because", "cancelled_at": NOON} | fields
    needed = {name: known[name] for name in kind.model_fields if name in known}
    return kind(**about.about, **needed)
