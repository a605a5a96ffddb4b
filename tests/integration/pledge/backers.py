"""A campaign as the pledge service hears of it, and people who pledge to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from contracts.campaign import CampaignLaunched, FundingModel, Policy, RewardTier
from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, PoolId, TierId, new_id
from contracts.money import Money
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentFact,
    PaymentRefunded,
    PaymentVoided,
)
from eventing.definition import Answer
from eventing.idempotency import Idempotency
from pledge.domain_change import ChangePledge
from pledge.domain_decisions import CancelPledge, PlacePledge
from pledge.jobs import Timers
from pledge.tables import PledgeView
from tests.integration.house import START, House, Stories

LEASE_SECONDS = 900
OFFER_SECONDS = 3600
DEADLINE = START + timedelta(days=30)
CUTOFF = DEADLINE - timedelta(hours=48)


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


def tier(minimum: int = 1000, limit: int | None = None, pool_id: UUID | None = None) -> RewardTier:
    """A tier; a limited one has its own pool unless it is given one to share."""
    own = PoolId(pool_id or new_id()) if limit is not None else None
    return RewardTier(
        tier_id=TierId(new_id()),
        title="A print",
        minimum=euros(minimum),
        estimated_delivery="2027-09",
        pool_id=own,
        limit=limit,
    )


def launched(*tiers: RewardTier, model: FundingModel = FundingModel.ALL_OR_NOTHING) -> CampaignLaunched:
    return CampaignLaunched(
        campaign_id=CampaignId(new_id()),
        creator_id=PersonId(new_id()),
        title="A book",
        goal=euros(100_000),
        model=model,
        deadline=DEADLINE,
        policy=Policy(),
        tiers=tiers,
        launched_at=START,
    )


def placing(campaign_id: UUID, minor: int = 2500, **changed: Any) -> PlacePledge:
    given: dict[str, Any] = {
        "pledge_id": PledgeId(new_id()),
        "campaign_id": CampaignId(campaign_id),
        "backer_id": PersonId(new_id()),
        "tier_id": None,
        "amount": euros(minor),
        "country": "DE",
        "payment_method": "pm_card_visa",
        "lease_seconds": LEASE_SECONDS,
    }
    return PlacePledge(**(given | changed))


def changing(view: PledgeView, **wanted: Any) -> ChangePledge:
    """Its backer's wish; what is not given stays as it is."""
    given: dict[str, Any] = {
        "change_id": ChangeId(new_id()),
        "pledge_id": PledgeId(view.pledge_id),
        "person_id": PersonId(view.backer_id),
        "amount": None,
        "tier_id": None,
        "moves_tier": "tier_id" in wanted,
        "payment_method": None,
        "versions": None,
        "lease_seconds": LEASE_SECONDS,
    }
    return ChangePledge(**(given | wanted))


@dataclass
class Backers:
    """Sends what campaign and payment would send, and reads what comes of it."""

    house: House
    stories: Stories = field(default_factory=Stories)

    @property
    def timers(self) -> Timers:
        return Timers(self.house.pool, self.house.commit, self.house.clock, OFFER_SECONDS)

    async def hear(self, *events: Event) -> None:
        await self.house.take_in(*self.stories.tell(*events))

    async def launch(self, *tiers: RewardTier, model: FundingModel = FundingModel.ALL_OR_NOTHING) -> CampaignId:
        campaign = launched(*tiers, model=model)
        await self.hear(campaign)
        return campaign.campaign_id

    async def place(self, campaign_id: UUID, minor: int = 2500, **changed: Any) -> PledgeView:
        """A pledge as it is after its placing."""
        answer = await self.house.execute(placing(campaign_id, minor, **changed))
        return await self.view(UUID(answer["id"]))

    async def authorized(self, campaign_id: UUID, minor: int = 2500, **changed: Any) -> PledgeView:
        view = await self.place(campaign_id, minor, **changed)
        await self.hear(authorized(view))
        return await self.view(view.pledge_id)

    async def cancel(self, view: PledgeView, idempotency: Idempotency | None = None) -> Answer:
        command = CancelPledge(PledgeId(view.pledge_id), PersonId(view.backer_id))
        return await self.house.commit.execute(command, idempotency=idempotency)

    async def change(self, view: PledgeView, **wanted: Any) -> PledgeView:
        """The pledge after its backer has asked for a change."""
        await self.house.execute(changing(view, **wanted))
        return await self.view(view.pledge_id)

    async def view(self, pledge_id: UUID) -> PledgeView:
        row = await self.house.pool.fetchrow("SELECT * FROM pledge_view WHERE pledge_id = $1", pledge_id)
        assert row is not None
        return PledgeView(**dict(row))

    async def status(self, view: PledgeView) -> str:
        return (await self.view(view.pledge_id)).status

    async def claimed(self, of: RewardTier) -> int:
        claimed: int = await self.house.pool.fetchval("SELECT claimed FROM pool WHERE pool_id = $1", of.pool_id)
        return claimed

    async def book(self, campaign_id: UUID) -> dict[str, Any]:
        row = await self.house.pool.fetchrow("SELECT * FROM book WHERE campaign_id = $1", campaign_id)
        assert row is not None
        return dict(row)


def _about(view: PledgeView) -> dict[str, Any]:
    return {"pledge_id": view.pledge_id, "campaign_id": view.campaign_id, "amount": euros(view.amount_minor)}


def authorized(view: PledgeView) -> PaymentFact:
    return PaymentAuthorized(**_about(view), hold_id="pi_1")


def declined(view: PledgeView) -> PaymentFact:
    return PaymentDeclined(**_about(view), reason="insufficient_funds")


def captured(view: PledgeView) -> PaymentFact:
    return PaymentCaptured(**_about(view), hold_id="pi_1", provider_fee=euros(30))


def capture_failed(view: PledgeView) -> PaymentFact:
    return PaymentCaptureFailed(**_about(view), hold_id="pi_1", reason="expired_card")


def voided(view: PledgeView) -> PaymentFact:
    return PaymentVoided(**_about(view), hold_id="pi_1")


def refunded(view: PledgeView) -> PaymentFact:
    return PaymentRefunded(**_about(view), hold_id="pi_1")


def change_authorized(view: PledgeView, hold_id: str = "pi_2") -> PaymentFact:
    """A hold for the change that the pledge shows."""
    assert view.change_id is not None
    assert view.change_amount_minor is not None
    about = {**_about(view), "amount": euros(view.change_amount_minor)}
    return PaymentChangeAuthorized(**about, change_id=ChangeId(view.change_id), hold_id=hold_id)


def change_declined(view: PledgeView) -> PaymentFact:
    assert view.change_id is not None
    return PaymentChangeDeclined(**_about(view), change_id=ChangeId(view.change_id), reason="insufficient_funds")
