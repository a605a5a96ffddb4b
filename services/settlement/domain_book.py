"""The book as settlement sees it: one row per pledge, each in at most one bucket (DOMAIN S1, M4)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.ids import CampaignId, PledgeId, TierId
from contracts.pledge import (
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeDeclined,
    PledgeDropped,
    PledgeFact,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)


class Status(StrEnum):
    """Where a pledge stands, by the last of its facts."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    CAPTURE_FAILED = "capture_failed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    VOIDED = "voided"
    DROPPED = "dropped"
    REFUNDED = "refunded"


STATUS_AFTER: dict[type[PledgeFact], Status] = {
    PledgePlaced: Status.PENDING,
    PledgeAuthorized: Status.AUTHORIZED,
    PledgeChanged: Status.AUTHORIZED,
    PledgeDeclined: Status.DECLINED,
    PledgeCancelled: Status.CANCELLED,
    PledgeCaptured: Status.CAPTURED,
    PledgeCaptureFailed: Status.CAPTURE_FAILED,
    PledgeVoided: Status.VOIDED,
    PledgeDropped: Status.DROPPED,
    PledgeRefunded: Status.REFUNDED,
}
LIVE = frozenset((Status.AUTHORIZED, Status.CAPTURED))
LEAVING = frozenset((Status.DECLINED, Status.CANCELLED, Status.REFUNDED))


class Bucket(StrEnum):
    """What is still to be done about a pledge that was live."""

    OPEN = "open"  # held, nothing asked yet
    OUTSTANDING = "outstanding"  # capture or void asked for, no answer yet
    FAILED = "failed"  # the capture failed, its backer may mend it
    DROPPING = "dropping"  # the window to mend it is over, the drop is asked for
    CAPTURED = "captured"
    VOIDED = "voided"
    DROPPED = "dropped"
    LEFT = "left"  # ended by itself: cancelled or refunded


UNFINISHED = (Bucket.OPEN, Bucket.OUTSTANDING, Bucket.FAILED, Bucket.DROPPING)


@dataclass(frozen=True)
class BookedPledge:
    """A pledge's own facts, folded, and what settlement has asked about it (`requested`, `drop_requested`)."""

    pledge_id: PledgeId
    campaign_id: CampaignId
    version: int
    status: Status
    minor: int
    currency: str
    tier_id: TierId | None = None
    capture_before: datetime | None = None  # the hold lapses then
    failed_at: datetime | None = None  # when its capture failed
    left_at: datetime | None = None  # when it stopped being live by itself
    requested: bool = False
    drop_requested: bool = False


def status_after(fact: PledgeFact) -> Status:
    """A changed pledge is held, unless it was charged at once (keep-it-all)."""
    charged = isinstance(fact, PledgeChanged) and fact.hold_id is None
    return Status.CAPTURED if charged else STATUS_AFTER[type(fact)]


def follow(before: BookedPledge | None, fact: PledgeFact, version: int, at: datetime) -> BookedPledge:
    """The row after one more fact, which was decided `at`."""
    status = status_after(fact)
    was_live = before is not None and before.status in LIVE
    left_at = before.left_at if before else None
    return BookedPledge(
        pledge_id=fact.pledge_id,
        campaign_id=fact.campaign_id,
        version=version,
        status=status,
        minor=fact.amount.amount,
        currency=fact.amount.currency,
        tier_id=fact.tier_id,
        capture_before=fact.capture_before if isinstance(fact, PledgeAuthorized | PledgeChanged) else _hold_end(before),
        failed_at=at if status is Status.CAPTURE_FAILED else None,
        left_at=at if was_live and status in LEAVING else left_at,
        requested=before.requested if before else False,
        drop_requested=before.drop_requested if before else False,
    )


def _hold_end(before: BookedPledge | None) -> datetime | None:
    return before.capture_before if before else None


def forget_facts(pledge: BookedPledge) -> BookedPledge:
    """Where folding a stream again starts: what settlement itself has asked for is no fact of the pledge."""
    return replace(
        pledge,
        version=0,
        status=Status.PENDING,
        capture_before=None,
        failed_at=None,
        left_at=None,
    )


def bucket_of(pledge: BookedPledge | None) -> Bucket | None:
    """None: the pledge was never live, so there is nothing to settle."""
    if pledge is None:
        return None
    match pledge.status:
        case Status.AUTHORIZED:
            return Bucket.OUTSTANDING if pledge.requested else Bucket.OPEN
        case Status.CAPTURE_FAILED:
            return Bucket.DROPPING if pledge.drop_requested else Bucket.FAILED
        case Status.CAPTURED | Status.VOIDED | Status.DROPPED:
            return Bucket(pledge.status.value)
        case Status.PENDING | Status.DECLINED | Status.CANCELLED | Status.REFUNDED:
            return Bucket.LEFT if pledge.left_at else None


def holds(pledge: BookedPledge, now: datetime) -> bool:
    """Whether the money is there: taken, or held by a hold that has not lapsed (DOMAIN S2, Y4)."""
    if pledge.status is Status.CAPTURED:
        return True
    lapsed = pledge.capture_before is not None and pledge.capture_before <= now
    return pledge.status is Status.AUTHORIZED and not lapsed


def may_be_dropped(pledge: BookedPledge, fix_payment_seconds: int, now: datetime) -> bool:
    """Whether the window in which the backer may mend the payment is over (DOMAIN S5)."""
    if bucket_of(pledge) is not Bucket.FAILED or pledge.failed_at is None:
        return False
    return pledge.failed_at + timedelta(seconds=fix_payment_seconds) <= now
