"""The book as settlement sees it: one row per pledge, each in at most one bucket (DOMAIN S1, M4)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from contracts.ids import CampaignId, PledgeId, TierId
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


class Status(StrEnum):
    """Where a pledge stands, by the last fact that moved it. One at risk is authorized, perhaps without a hold."""

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
    PledgeHoldRenewed: Status.AUTHORIZED,
    PledgeAtRisk: Status.AUTHORIZED,
    PledgeChanged: Status.AUTHORIZED,
    PledgeDeclined: Status.DECLINED,
    PledgeCancelled: Status.CANCELLED,
    PledgeCaptured: Status.CAPTURED,
    PledgeCaptureFailed: Status.CAPTURE_FAILED,
    PledgeVoided: Status.VOIDED,
    PledgeDropped: Status.DROPPED,
    PledgeRefunded: Status.REFUNDED,
}
# What they say changes nothing about what is to be done: the status stays.
SILENT: tuple[type[PledgeFact], ...] = (
    PledgeActionRequired,
    PledgePartlyRefunded,
    PledgeDisputeOpened,
    PledgeDisputeClosed,
)
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
    capture_before: datetime | None = None  # the hold lapses then; None: no time is known, or no hold is left
    hold_lost: bool = False
    failed_at: datetime | None = None  # when its capture failed
    left_at: datetime | None = None  # when it stopped being live by itself
    requested: bool = False
    drop_requested: bool = False


def status_after(before: BookedPledge | None, fact: PledgeFact) -> Status:
    """A changed pledge is held, unless it was charged at once (keep-it-all)."""
    if isinstance(fact, PledgeChanged) and fact.hold_id is None:
        return Status.CAPTURED
    return STATUS_AFTER.get(type(fact), before.status if before else Status.PENDING)


def follow(before: BookedPledge | None, fact: PledgeFact, version: int, at: datetime) -> BookedPledge:
    """The row after one more fact, which was decided `at`."""
    status = status_after(before, fact)
    was_live = before is not None and before.status in LIVE
    left_at = before.left_at if before else None
    capture_before, hold_lost = _hold_after(before, fact)
    return BookedPledge(
        pledge_id=fact.pledge_id,
        campaign_id=fact.campaign_id,
        version=version,
        status=status,
        minor=fact.amount.amount,
        currency=fact.amount.currency,
        tier_id=fact.tier_id,
        capture_before=capture_before,
        hold_lost=hold_lost,
        failed_at=at if isinstance(fact, PledgeCaptureFailed) else _failed_at(before, status),
        left_at=at if was_live and status in LEAVING else left_at,
        requested=before.requested if before else False,
        drop_requested=before.drop_requested if before else False,
    )


def _hold_after(before: BookedPledge | None, fact: PledgeFact) -> tuple[datetime | None, bool]:
    """When the hold lapses, and whether it is lost already. What is lost is asked for last: it lapses no more (S3)."""
    capture_before, hold_lost = (before.capture_before, before.hold_lost) if before else (None, False)
    match fact:
        case PledgeAuthorized() | PledgeHoldRenewed() | PledgeChanged():
            return fact.capture_before, False
        case PledgeAtRisk(lost=True):
            return None, True
        case _:
            return capture_before, hold_lost


def _failed_at(before: BookedPledge | None, status: Status) -> datetime | None:
    return before.failed_at if before is not None and status is Status.CAPTURE_FAILED else None


def forget_facts(pledge: BookedPledge) -> BookedPledge:
    """Where folding a stream again starts: what settlement itself has asked for is no fact of the pledge."""
    return replace(
        pledge,
        version=0,
        status=Status.PENDING,
        capture_before=None,
        hold_lost=False,
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
    """Whether the money is there: taken, or held by a hold that is neither lost nor lapsed (DOMAIN S2, Y4)."""
    if pledge.status is Status.CAPTURED:
        return True
    lapsed = pledge.capture_before is not None and pledge.capture_before <= now
    return pledge.status is Status.AUTHORIZED and not (lapsed or pledge.hold_lost)


def may_be_dropped(pledge: BookedPledge, fix_payment_seconds: int, now: datetime) -> bool:
    """Whether the window in which the backer may mend the payment is over (DOMAIN S5)."""
    if bucket_of(pledge) is not Bucket.FAILED or pledge.failed_at is None:
        return False
    return pledge.failed_at + timedelta(seconds=fix_payment_seconds) <= now
