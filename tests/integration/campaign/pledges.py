"""Lives of pledges, as the pledge service would tell them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from contracts.campaign import PaymentStrategy
from contracts.envelope import Envelope
from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, TierId, new_id
from contracts.money import Money
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeDropped,
    PledgeFact,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)
from tests.integration.house import Stories

NOON = datetime(2027, 3, 2, 12, tzinfo=UTC)
_DISPUTE = {
    "creator_id": PersonId(new_id()),
    "dispute_id": "dp_1",
    "disputed": Money(amount=700, currency="EUR"),
}
Fact = tuple[Envelope, Event]

# What each fact needs beside what every fact about a pledge carries.
_MORE: dict[type[PledgeFact], dict[str, Any]] = {
    PledgePlaced: {
        "payment_method": "pm_card_visa",
        "strategy": PaymentStrategy.HOLD,
        "placed_at": NOON,
        "lease_until": NOON,
    },
    PledgeActionRequired: {},
    PledgeAuthorized: {"hold_id": "pi_1"},
    PledgeHoldRenewed: {"previous_hold_id": "pi_1", "hold_id": "pi_2"},
    PledgeAtRisk: {"reason": "card_declined"},
    PledgePartlyRefunded: {"refunded": Money(amount=200, currency="EUR")},
    PledgeDisputeOpened: {**_DISPUTE, "reason": "fraudulent"},
    PledgeDisputeClosed: {**_DISPUTE, "won": False},
    PledgeDeclined: {"reason": "card_declined"},
    PledgeCancelled: {"cancelled_at": NOON, "reason": "backer"},
    PledgeCaptured: {},
    PledgeCaptureFailed: {"reason": "card_declined"},
    PledgeVoided: {},
    PledgeDropped: {},
    PledgeRefunded: {},
}


def changed(campaign_id: UUID, minor: int, to_minor: int, tier_id: UUID, to_tier_id: UUID) -> list[Fact]:
    """A pledge that is authorized, changed in amount and tier, and captured."""
    about = {**_about(campaign_id, minor), "tier_id": TierId(tier_id)}
    after = {**about, "amount": Money(amount=to_minor, currency="EUR"), "tier_id": TierId(to_tier_id)}
    change = {"change_id": ChangeId(new_id()), "hold_id": "pi_2", "previous_amount": about["amount"]}
    return Stories(NOON).tell(
        PledgePlaced(**about, **_MORE[PledgePlaced]),
        PledgeAuthorized(**about, **_MORE[PledgeAuthorized]),
        PledgeChanged(**after, **change, previous_tier_id=tier_id),
        PledgeCaptured(**after),
    )


def life(
    campaign_id: UUID,
    minor: int,
    *facts: type[PledgeFact],
    tier_id: UUID | None = None,
    backer_id: UUID | None = None,
) -> list[Fact]:
    """One pledge to which these things happen, in this order."""
    about = {**_about(campaign_id, minor), "tier_id": None if tier_id is None else TierId(tier_id)}
    if backer_id is not None:
        about["backer_id"] = PersonId(backer_id)
    return Stories(NOON).tell(*(fact(**about, **_MORE[fact]) for fact in facts))


def _about(campaign_id: UUID, minor: int) -> dict[str, Any]:
    return {
        "pledge_id": PledgeId(new_id()),
        "campaign_id": CampaignId(campaign_id),
        "backer_id": PersonId(new_id()),
        "amount": Money(amount=minor, currency="EUR"),
        "country": "DE",
    }
