"""What a pledge contributes to the numbers of its campaign (DOMAIN A1).

Every number on the dashboard is a sum of contributions, and a contribution depends only on where the pledge stands.
"""

from dataclasses import dataclass, fields, replace
from datetime import UTC, date
from enum import StrEnum
from operator import neg, sub
from typing import Final
from uuid import UUID

from contracts.ids import CampaignId, PledgeId
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

NO_TIER: Final = UUID(int=0)  # a pledge without a reward
UNKNOWN_DAY: Final = date(1, 1, 1)  # a pledge whose first event has not come yet


class Status(StrEnum):
    PENDING = "pending"
    AUTHORIZED = "authorized"
    AT_RISK = "at_risk"
    CAPTURED = "captured"
    CAPTURE_FAILED = "capture_failed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    VOIDED = "voided"
    DROPPED = "dropped"
    REFUNDED = "refunded"


STATUS_AFTER: Final[dict[type[PledgeFact], Status]] = {
    PledgePlaced: Status.PENDING,
    PledgeAuthorized: Status.AUTHORIZED,
    PledgeHoldRenewed: Status.AUTHORIZED,
    PledgeAtRisk: Status.AT_RISK,
    PledgeChanged: Status.AUTHORIZED,
    PledgeDeclined: Status.DECLINED,
    PledgeCancelled: Status.CANCELLED,
    PledgeCaptured: Status.CAPTURED,
    PledgeCaptureFailed: Status.CAPTURE_FAILED,
    PledgeVoided: Status.VOIDED,
    PledgeDropped: Status.DROPPED,
    PledgeRefunded: Status.REFUNDED,
}
# These leave the status as it is. A pledge whose bank wants its backer is as undecided as before.
OTHERS: Final[tuple[type[PledgeFact], ...]] = (
    PledgeActionRequired,
    PledgePartlyRefunded,
    PledgeDisputeOpened,
    PledgeDisputeClosed,
)
LIVE: Final = frozenset((Status.AUTHORIZED, Status.AT_RISK, Status.CAPTURED))  # counts towards the goal (DOMAIN C7)
CLAIMING: Final = LIVE | {Status.PENDING, Status.CAPTURE_FAILED}  # holds a slot of its tier


@dataclass(frozen=True)
class PledgeRow:
    """Where a pledge stands. Days are UTC."""

    pledge_id: PledgeId
    campaign_id: CampaignId
    version: int
    tier_id: UUID
    country: str
    minor: int
    status: Status
    secured: bool  # was held or charged at some time
    placed_on: date
    refunded_minor: int = 0
    disputes: int = 0  # open ones
    disputed_minor: int = 0
    disputes_lost: int = 0
    lost_minor: int = 0


@dataclass(frozen=True)
class Measures:
    """Numbers of pledges, and sums in minor units. Those without another word: so at this moment.

    What was given back of a captured pledge counts as neither live nor captured (DOMAIN M4, C7); what is disputed does.
    """

    placed: int = 0  # all there ever were
    secured: int = 0  # ever held or charged
    live: int = 0
    claimed: int = 0
    captured: int = 0
    capture_failed: int = 0
    declined: int = 0
    cancelled: int = 0
    voided: int = 0
    dropped: int = 0
    refunded: int = 0
    at_risk: int = 0
    disputes: int = 0
    disputes_lost: int = 0
    placed_minor: int = 0
    live_minor: int = 0
    captured_minor: int = 0
    at_risk_minor: int = 0
    refunded_minor: int = 0
    disputed_minor: int = 0
    lost_minor: int = 0


Amounts = tuple[int, ...]  # in the order of the fields of Measures


def follow(before: PledgeRow | None, fact: PledgeFact, version: int) -> PledgeRow:
    """The row after one more fact."""
    status = status_after(before, fact)
    placed_on = before.placed_on if before else UNKNOWN_DAY
    row = PledgeRow(
        fact.pledge_id,
        fact.campaign_id,
        version,
        fact.tier_id or NO_TIER,
        fact.country,
        fact.amount.amount,
        status,
        status in LIVE or (before is not None and before.secured),
        fact.placed_at.astimezone(UTC).date() if isinstance(fact, PledgePlaced) else placed_on,
        *((before.refunded_minor, *_disputes(before)) if before else ()),
    )
    return _with_money(row, fact)


def status_after(before: PledgeRow | None, fact: PledgeFact) -> Status:
    """A changed pledge is held, unless it was charged at once (keep-it-all)."""
    if isinstance(fact, PledgeChanged) and fact.hold_id is None:
        return Status.CAPTURED
    return STATUS_AFTER.get(type(fact), before.status if before else Status.PENDING)


def _disputes(row: PledgeRow) -> tuple[int, int, int, int]:
    return row.disputes, row.disputed_minor, row.disputes_lost, row.lost_minor


def _with_money(row: PledgeRow, fact: PledgeFact) -> PledgeRow:
    """What was given back, and what banks took back. A dispute opens before it closes (DOMAIN Y9)."""
    match fact:
        case PledgeRefunded():
            return replace(row, refunded_minor=fact.amount.amount)
        case PledgePartlyRefunded():
            return replace(row, refunded_minor=fact.refunded.amount)
        case PledgeDisputeOpened(disputed=disputed):
            return replace(row, disputes=row.disputes + 1, disputed_minor=row.disputed_minor + disputed.amount)
        case PledgeDisputeClosed(disputed=disputed):
            row = replace(row, disputes=row.disputes - 1, disputed_minor=row.disputed_minor - disputed.amount)
            lost = 0 if fact.won else disputed.amount
            return replace(row, disputes_lost=row.disputes_lost + (not fact.won), lost_minor=row.lost_minor + lost)
        case _:
            return row


_OF_A_ROW: Final = frozenset(("disputes", "disputes_lost"))  # counts that do not follow from the status


def _counts(status: Status, *, secured: bool) -> Amounts:
    ended = {status.value: 1} if status is not Status.PENDING else {}
    counts = ended | {
        "placed": 1,
        "secured": int(secured),
        "live": int(status in LIVE),
        "claimed": int(status in CLAIMING),
    }
    names = (field.name for field in fields(Measures) if not field.name.endswith("_minor"))
    return tuple(counts.get(name, 0) for name in names if name not in _OF_A_ROW)


# Worked out once, because every event asks.
_COUNTS: Final = {(status, secured): _counts(status, secured=secured) for status in Status for secured in (False, True)}


def contribution(row: PledgeRow) -> Amounts:
    """What a pledge adds to the sums of its campaign."""
    minor, status = row.minor, row.status
    kept = minor - row.refunded_minor if status is Status.CAPTURED else minor
    return (
        *_COUNTS[status, row.secured],
        row.disputes,
        row.disputes_lost,
        minor,
        kept if status in LIVE else 0,
        kept if status is Status.CAPTURED else 0,
        minor if status is Status.AT_RISK else 0,
        row.refunded_minor,
        row.disputed_minor,
        row.lost_minor,
    )


def difference(before: Amounts, after: Amounts) -> Amounts:
    return tuple(map(sub, after, before))


def negative(amounts: Amounts) -> Amounts:
    return tuple(map(neg, amounts))
