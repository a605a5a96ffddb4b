"""Pledges as they are shown, and the buckets they are in (DOMAIN P5, M4): a function of their own facts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeCancelled,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeChangeDropped,
    PledgeChangeRequested,
    PledgeDeclined,
    PledgeFact,
    PledgePartlyRefunded,
    PledgePlaced,
    PledgeRefunded,
)
from eventing.definition import Projection
from eventing.follow import follow
from eventing.work import Need, Recorded, Work
from pledge.domain import FACTS, HELD, UNDECIDED, Status, status_after
from pledge.tables import BUCKETS, PLEDGES, PledgeView

# The position of each status's bucket in `Buckets`: waiting, held, captured, owing, ended.
_ENDED: Final = 4
_BUCKET: Final[Mapping[Status, int]] = {
    **dict.fromkeys(Status, _ENDED),
    **dict.fromkeys(UNDECIDED, 0),
    **dict.fromkeys(HELD, 1),
    Status.CAPTURED: 2,
    Status.CAPTURE_FAILED: 3,
}

_NO_CHANGE: Final = {
    **dict.fromkeys(("change_id", "change_amount_minor", "change_tier_id", "change_until", "change_reason")),
    "change_waits": False,
}
_NO_RISK: Final = {"at_risk_since": None, "at_risk_reason": None, "hold_lost": False, "card_refused": False}


def _step(row: PledgeView | None, recorded: Recorded) -> PledgeView:
    fact: PledgeFact = recorded.event
    if isinstance(fact, PledgePlaced):
        return PledgeView(
            pledge_id=fact.pledge_id,
            campaign_id=fact.campaign_id,
            backer_id=fact.backer_id,
            tier_id=fact.tier_id,
            amount_minor=fact.amount.amount,
            currency=fact.amount.currency,
            country=fact.country,
            status=Status.PENDING,
            reason=None,
            placed_at=fact.placed_at,
            lease_until=fact.lease_until,
            changed_at=recorded.time,
            version=recorded.version,
        )
    assert row is not None, "a pledge's stream begins with its placing"
    status = status_after(row.status, fact)
    moved = {"at_risk_since": row.at_risk_since or recorded.time} if status is Status.AT_RISK else _NO_RISK
    return replace(
        row,
        tier_id=fact.tier_id,
        amount_minor=fact.amount.amount,
        status=status,
        changed_at=recorded.time,
        version=recorded.version,
        **moved,
        **_told(fact),
    )


def _told(fact: PledgeFact) -> dict[str, Any]:  # noqa: PLR0911 - one case per fact
    """The columns that only some facts move: why the pledge is where it is, and how its change and money stand."""
    match fact:
        case PledgeActionRequired():
            return {"change_waits": True} if fact.change_id else {}
        case PledgeChangeRequested():
            return {
                "change_id": fact.change_id,
                "change_amount_minor": fact.new_amount.amount,
                "change_tier_id": fact.new_tier_id,
                "change_until": fact.lease_until,
                "change_reason": None,
                "change_waits": False,
            }
        case PledgeChangeDropped():
            return {"change_until": None, "change_reason": fact.reason, "change_waits": False}
        case PledgeChanged():
            return _NO_CHANGE
        case PledgeAtRisk():
            return {"at_risk_reason": fact.reason, "hold_lost": fact.lost, "card_refused": fact.hard}
        case PledgePartlyRefunded():
            return {"refunded_minor": fact.refunded.amount}
        case PledgeRefunded():
            return {"refunded_minor": fact.amount.amount}
        case PledgeDeclined() | PledgeCancelled() | PledgeCaptureFailed():
            return {"reason": fact.reason}
        case _:
            return {}


def _show(work: Work, recorded: Recorded) -> None:
    before, after = follow(work, PLEDGES, recorded, _step)
    moved = [0] * 10
    if before is not None:
        _add(moved, before, -1)
    _add(moved, after, 1)
    work.add(BUCKETS, (after.campaign_id,), *moved)


def _add(sums: list[int], row: PledgeView, sign: int) -> None:
    place, given_back = 2 * _BUCKET[row.status], row.refunded_minor if row.status is Status.CAPTURED else 0
    sums[place] += sign
    sums[place + 1] += sign * (row.amount_minor - given_back)
    sums[2 * _ENDED + 1] += sign * given_back


def _needs(recorded: Recorded) -> tuple[Need, ...]:
    return ((PLEDGES, (recorded.subject,)),)


PLEDGES_PROJECTION = Projection("pledges", (PLEDGES, BUCKETS), dict.fromkeys(FACTS, _show), _needs)
