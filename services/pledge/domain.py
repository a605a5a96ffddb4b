"""What a pledge is: its statuses, its facts and its weight in the book (DOMAIN P4, P5).

What may happen to one, and what is refused, stands in `domain_decisions.py`; changes in `domain_change.py`; what
payment's facts mean for it in `domain_payment.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, TierId
from contracts.money import Money
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeChangeDropped,
    PledgeChangeRequested,
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
from pledge.domain_book import Book


class Status(StrEnum):
    """What clients see (DOMAIN P5)."""

    PENDING = "pending"
    ACTION_REQUIRED = "action_required"
    AUTHORIZED = "authorized"
    AT_RISK = "at_risk"
    CAPTURED = "captured"
    CAPTURE_FAILED = "capture_failed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    VOIDED = "voided"
    DROPPED = "dropped"
    REFUNDED = "refunded"


UNDECIDED: Final = frozenset((Status.PENDING, Status.ACTION_REQUIRED))
HELD: Final = frozenset((Status.AUTHORIZED, Status.AT_RISK))
BOOKED: Final = HELD | {Status.CAPTURED, Status.CAPTURE_FAILED}  # decided and live: what a manifest lists
LIVE: Final = UNDECIDED | BOOKED  # holds its slot, and is its backer's one pledge to the campaign (P4)

# These facts have one status after them, whatever was before; for all facts see `status_after`.
STATUS_AFTER: Final[Mapping[type[PledgeFact], Status]] = {
    PledgePlaced: Status.PENDING,
    PledgeAuthorized: Status.AUTHORIZED,
    PledgeHoldRenewed: Status.AUTHORIZED,
    PledgeAtRisk: Status.AT_RISK,
    PledgeDeclined: Status.DECLINED,
    PledgeCancelled: Status.CANCELLED,
    PledgeCaptured: Status.CAPTURED,
    PledgeCaptureFailed: Status.CAPTURE_FAILED,
    PledgeVoided: Status.VOIDED,
    PledgeDropped: Status.DROPPED,
    PledgeRefunded: Status.REFUNDED,
}
FACTS: Final[tuple[type[PledgeFact], ...]] = (
    *STATUS_AFTER,
    PledgeActionRequired,
    PledgeChangeRequested,
    PledgeChanged,
    PledgeChangeDropped,
    PledgePartlyRefunded,
    PledgeDisputeOpened,
    PledgeDisputeClosed,
)


def status_after(before: Status, fact: PledgeFact) -> Status:
    """A change that is asked for, stuck or dropped moves no status; one that took a hold leaves the pledge with it."""
    match fact:
        case PledgeChanged():
            return Status.AUTHORIZED if fact.hold_id else Status.CAPTURED
        case PledgeActionRequired(change_id=None):
            return Status.ACTION_REQUIRED
        case _:
            return STATUS_AFTER.get(type(fact), before)


@dataclass(frozen=True)
class Change:
    """A change whose hold is not decided yet (DOMAIN P6)."""

    change_id: ChangeId
    amount: Money
    tier_id: TierId | None
    payment_method: str
    lease_until: datetime
    waits_for_backer: bool = False  # the bank wants them (3-D Secure)


@dataclass(frozen=True)
class Pledge:
    """The state of one pledge's stream."""

    pledge_id: PledgeId
    campaign_id: CampaignId
    backer_id: PersonId
    tier_id: TierId | None
    amount: Money
    country: str
    payment_method: str
    placed_at: datetime
    lease_until: datetime
    status: Status = Status.PENDING
    hold_id: str | None = None  # the current hold, as far as one is known
    capture_before: datetime | None = None  # when that hold lapses
    hold_lost: bool = False  # at risk, and nothing is held any more
    card_refused: bool = False  # at risk, and only another card helps
    refunded_minor: int = 0  # of what was captured
    disputes: Mapping[str, bool] = field(default_factory=dict)  # all there ever were: whether they are open
    change: Change | None = None  # only while it is held or charged
    changes: int = 0  # ever asked for
    was_cancelled: bool = False  # stays, also when the refund has come back

    @property
    def about(self) -> dict[str, Any]:
        """What every fact about it repeats (`PledgeFact`)."""
        return {
            "pledge_id": self.pledge_id,
            "campaign_id": self.campaign_id,
            "backer_id": self.backer_id,
            "tier_id": self.tier_id,
            "amount": self.amount,
            "country": self.country,
        }


def evolve(pledge: Pledge | None, event: PledgeFact) -> Pledge:
    """The state after one more fact of the stream, which begins with `PledgePlaced`."""
    if isinstance(event, PledgePlaced):
        return Pledge(
            pledge_id=event.pledge_id,
            campaign_id=event.campaign_id,
            backer_id=event.backer_id,
            tier_id=event.tier_id,
            amount=event.amount,
            country=event.country,
            payment_method=event.payment_method,
            placed_at=event.placed_at,
            lease_until=event.lease_until,
        )
    assert pledge is not None
    pledge = _moved(pledge, event)
    return replace(
        pledge,
        status=status_after(pledge.status, event),
        tier_id=event.tier_id,
        amount=event.amount,
        was_cancelled=pledge.was_cancelled or isinstance(event, PledgeCancelled),
    )


def _moved(pledge: Pledge, event: PledgeFact) -> Pledge:
    """The pledge with its hold, its change and its money as they are after the event."""
    match event:
        case PledgeAuthorized() | PledgeHoldRenewed():
            return _held(pledge, event.hold_id, event.capture_before)
        case PledgeAtRisk():
            return replace(pledge, hold_lost=event.lost, card_refused=event.hard)
        case PledgeRefunded():
            return replace(pledge, refunded_minor=event.amount.amount)
        case PledgePartlyRefunded():
            return replace(pledge, refunded_minor=event.refunded.amount)
        case PledgeDisputeOpened() | PledgeDisputeClosed():
            is_open = isinstance(event, PledgeDisputeOpened)
            return replace(pledge, disputes={**pledge.disputes, event.dispute_id: is_open})
        case _:
            return _with_change(pledge, event)


def _held(pledge: Pledge, hold_id: str | None, capture_before: datetime | None) -> Pledge:
    return replace(pledge, hold_id=hold_id, capture_before=capture_before, hold_lost=False, card_refused=False)


def _with_change(pledge: Pledge, event: PledgeFact) -> Pledge:
    match event:
        case PledgeActionRequired() if pledge.change is not None and event.change_id is not None:
            return replace(pledge, change=replace(pledge.change, waits_for_backer=True))
        case PledgeChangeRequested():
            change = Change(
                event.change_id, event.new_amount, event.new_tier_id, event.payment_method, event.lease_until
            )
            return replace(pledge, change=change, changes=pledge.changes + 1)
        case PledgeChanged():
            method = pledge.change.payment_method if pledge.change else pledge.payment_method
            held = _held(pledge, event.hold_id, event.capture_before)
            return replace(held, payment_method=method, change=None)
        case PledgeChangeDropped():
            return replace(pledge, change=None)
        case _:
            return pledge


def counted(book: Book, before: Pledge | None, after: Pledge) -> Book:
    """The book with one of its pledges moved from one state to another."""
    (undecided, live, minor), (undecided_before, live_before, minor_before) = _weight(after), _weight(before)
    return replace(
        book,
        undecided=book.undecided + undecided - undecided_before,
        live=book.live + live - live_before,
        live_minor=book.live_minor + minor - minor_before,
    )


def _weight(pledge: Pledge | None) -> tuple[int, int, int]:
    if pledge is None or pledge.status not in LIVE:
        return 0, 0, 0
    undecided = pledge.status in UNDECIDED or pledge.change is not None
    return int(undecided), 1, pledge.amount.amount
