"""What a pledge is: its statuses, its facts and its weight in the book (DOMAIN P4, P5).

What may happen to one, and what is refused, stands in `domain_decisions.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from contracts.ids import CampaignId, PersonId, PledgeId, TierId
from contracts.money import Money
from contracts.pledge import (
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeDeclined,
    PledgeDropped,
    PledgeFact,
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

# Every fact has one status after it, whatever was before.
STATUS_AFTER: Final[Mapping[type[PledgeFact], Status]] = {
    PledgePlaced: Status.PENDING,
    PledgeAuthorized: Status.AUTHORIZED,
    PledgeDeclined: Status.DECLINED,
    PledgeCancelled: Status.CANCELLED,
    PledgeCaptured: Status.CAPTURED,
    PledgeCaptureFailed: Status.CAPTURE_FAILED,
    PledgeVoided: Status.VOIDED,
    PledgeDropped: Status.DROPPED,
    PledgeRefunded: Status.REFUNDED,
}


@dataclass(frozen=True)
class Pledge:
    """The state of one pledge's stream."""

    pledge_id: PledgeId
    campaign_id: CampaignId
    backer_id: PersonId
    tier_id: TierId | None
    amount: Money
    country: str
    placed_at: datetime
    lease_until: datetime
    status: Status = Status.PENDING
    hold_id: str | None = None  # the current hold, as far as one is known
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
            placed_at=event.placed_at,
            lease_until=event.lease_until,
        )
    assert pledge is not None
    return replace(
        pledge,
        status=STATUS_AFTER[type(event)],
        hold_id=event.hold_id if isinstance(event, PledgeAuthorized) else pledge.hold_id,
        was_cancelled=pledge.was_cancelled or isinstance(event, PledgeCancelled),
    )


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
    return int(pledge.status in UNDECIDED), 1, pledge.amount.amount
