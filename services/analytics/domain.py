"""What a pledge contributes to the numbers of its campaign (DOMAIN A1).

Every number on the dashboard is a sum of contributions, and a contribution depends only on where the pledge stands.
"""

from dataclasses import dataclass, fields
from datetime import UTC, date
from enum import StrEnum
from operator import neg, sub
from typing import Final
from uuid import UUID

from contracts.ids import CampaignId, PledgeId
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

NO_TIER: Final = UUID(int=0)  # a pledge without a reward
UNKNOWN_DAY: Final = date(1, 1, 1)  # a pledge whose first event has not come yet


class Status(StrEnum):
    PENDING = "pending"
    AUTHORIZED = "authorized"
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
    PledgeChanged: Status.AUTHORIZED,
    PledgeDeclined: Status.DECLINED,
    PledgeCancelled: Status.CANCELLED,
    PledgeCaptured: Status.CAPTURED,
    PledgeCaptureFailed: Status.CAPTURE_FAILED,
    PledgeVoided: Status.VOIDED,
    PledgeDropped: Status.DROPPED,
    PledgeRefunded: Status.REFUNDED,
}
LIVE: Final = frozenset((Status.AUTHORIZED, Status.CAPTURED))  # counts towards the goal (DOMAIN C7)
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


@dataclass(frozen=True)
class Measures:
    """Numbers of pledges, and sums in minor units. Those without another word: so at this moment."""

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
    placed_minor: int = 0
    live_minor: int = 0
    captured_minor: int = 0


Amounts = tuple[int, ...]  # in the order of the fields of Measures


def follow(before: PledgeRow | None, fact: PledgeFact, version: int) -> PledgeRow:
    """The row after one more fact."""
    charged = isinstance(fact, PledgeChanged) and fact.hold_id is None  # a change in keep-it-all
    status = Status.CAPTURED if charged else STATUS_AFTER[type(fact)]
    placed_on = before.placed_on if before else UNKNOWN_DAY
    return PledgeRow(
        fact.pledge_id,
        fact.campaign_id,
        version,
        fact.tier_id or NO_TIER,
        fact.country,
        fact.amount.amount,
        status,
        status in LIVE or (before is not None and before.secured),
        fact.placed_at.astimezone(UTC).date() if isinstance(fact, PledgePlaced) else placed_on,
    )


def _counts(status: Status, *, secured: bool) -> Amounts:
    ended = {status.value: 1} if status is not Status.PENDING else {}
    counts = ended | {
        "placed": 1,
        "secured": int(secured),
        "live": int(status in LIVE),
        "claimed": int(status in CLAIMING),
    }
    return tuple(counts.get(field.name, 0) for field in fields(Measures) if not field.name.endswith("_minor"))


# Worked out once, because every event asks.
_COUNTS: Final = {(status, secured): _counts(status, secured=secured) for status in Status for secured in (False, True)}


def contribution(row: PledgeRow) -> Amounts:
    """What a pledge adds to the sums of its campaign."""
    minor = row.minor
    return (
        *_COUNTS[row.status, row.secured],
        minor,
        minor if row.status in LIVE else 0,
        minor if row.status is Status.CAPTURED else 0,
    )


def difference(before: Amounts, after: Amounts) -> Amounts:
    return tuple(map(sub, after, before))


def negative(amounts: Amounts) -> Amounts:
    return tuple(map(neg, amounts))
