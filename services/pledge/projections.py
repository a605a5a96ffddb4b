"""Pledges as they are shown, and the buckets they are in (DOMAIN P5, M4): a function of their own facts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from contracts.pledge import (
    PledgeCancelled,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeChangeDropped,
    PledgeChangeRequested,
    PledgeDeclined,
    PledgeFact,
    PledgePlaced,
)
from eventing.definition import Projection
from eventing.follow import follow
from eventing.work import Need, Recorded, Work
from pledge.domain import FACTS, HELD, UNDECIDED, Status, status_after
from pledge.tables import BUCKETS, PLEDGES, PledgeView

# The position of each status's bucket in `Buckets`: waiting, held, captured, owing, ended.
_BUCKET: Final[Mapping[Status, int]] = {
    **dict.fromkeys(Status, 4),
    **dict.fromkeys(UNDECIDED, 0),
    **dict.fromkeys(HELD, 1),
    Status.CAPTURED: 2,
    Status.CAPTURE_FAILED: 3,
}

_CHANGE: Final = ("change_id", "change_amount_minor", "change_tier_id", "change_until", "change_reason")


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
    return replace(
        row,
        tier_id=fact.tier_id,
        amount_minor=fact.amount.amount,
        status=status_after(row.status, fact),
        changed_at=recorded.time,
        version=recorded.version,
        **_told(fact),
    )


def _told(fact: PledgeFact) -> dict[str, Any]:
    """The columns that only some facts move: why the pledge is where it is, and how its change stands."""
    match fact:
        case PledgeChangeRequested():
            return {
                "change_id": fact.change_id,
                "change_amount_minor": fact.new_amount.amount,
                "change_tier_id": fact.new_tier_id,
                "change_until": fact.lease_until,
                "change_reason": None,
            }
        case PledgeChangeDropped():
            return {"change_until": None, "change_reason": fact.reason}
        case PledgeChanged():
            return dict.fromkeys(_CHANGE)
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
    place = 2 * _BUCKET[row.status]
    sums[place] += sign
    sums[place + 1] += sign * row.amount_minor


def _needs(recorded: Recorded) -> tuple[Need, ...]:
    return ((PLEDGES, (recorded.subject,)),)


PLEDGES_PROJECTION = Projection("pledges", (PLEDGES, BUCKETS), dict.fromkeys(FACTS, _show), _needs)
