"""Which hold of a pledge is current, and whether it is at risk (DOMAIN Y3, Y4, ADR 0041).

Facts about holds build on one another: a renewal names the hold that it replaces, a risk and an end the hold that they
are about. So they are read together, in the order of payment's stream, from the hold on that the pledge knows of: in
whatever order they come in, the pledge ends where the last of them leaves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.payment import (
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentChangeAuthorized,
    PaymentFact,
    PaymentHoldRenewed,
    PaymentVoided,
)
from contracts.pledge import PledgeAtRisk, PledgeAuthorized, PledgeFact, PledgeHoldRenewed, PledgeVoided
from pledge.domain import HELD, UNDECIDED, Pledge, Status
from pledge.domain_change import PAYMENT_ENDED, drop_change
from pledge.domain_payment import ends


@dataclass(frozen=True)
class _Hold:
    hold_id: str
    capture_before: datetime | None = None
    risk: PaymentAtRisk | None = None
    ended: bool = False


def follow_hold(pledge: Pledge, heard: Sequence[PaymentFact]) -> tuple[PledgeFact, ...]:
    """What the pledge does not know yet of its hold.

    `heard`: all of payment's facts about the pledge that have come in, in the order of payment's stream.
    """
    hold = _current(pledge, heard) if pledge.status in UNDECIDED | HELD else None
    if hold is None:
        return ()
    taken = _taken(pledge, hold)
    ended = (*drop_change(pledge, PAYMENT_ENDED), PledgeVoided(**pledge.about)) if hold.ended else ()
    return (*taken, *_risk(pledge, hold, is_new=bool(taken)), *ended)


def _taken(pledge: Pledge, hold: _Hold) -> tuple[PledgeFact, ...]:
    """Who hears of a renewal or a risk first has heard of the authorization."""
    taken = {"hold_id": hold.hold_id, "capture_before": hold.capture_before}
    if pledge.status in UNDECIDED:
        return (PledgeAuthorized(**pledge.about, **taken),)
    if hold.hold_id == pledge.hold_id:
        return ()
    return (PledgeHoldRenewed(**pledge.about, previous_hold_id=pledge.hold_id or "", **taken),)


def _risk(pledge: Pledge, hold: _Hold, *, is_new: bool) -> tuple[PledgeFact, ...]:
    """Told when it begins, and once more when the hold is lost or only another card helps any more."""
    if hold.risk is None:
        return ()
    known = not is_new and pledge.status is Status.AT_RISK
    lost, hard = hold.risk.lost or (known and pledge.hold_lost), hold.risk.hard or (known and pledge.card_refused)
    if known and (lost, hard) == (pledge.hold_lost, pledge.card_refused):
        return ()
    return (PledgeAtRisk(**pledge.about, reason=hold.risk.reason, lost=lost, hard=hard),)


def _current(pledge: Pledge, heard: Sequence[PaymentFact]) -> _Hold | None:
    """The hold that the facts lead to from the pledge's own on. A renewal of one before it is of no account."""
    hold = None if pledge.hold_id is None else _Hold(pledge.hold_id, pledge.capture_before)
    taken = [_takes(fact) for fact in heard]
    start = taken.index(pledge.hold_id) + 1 if hold is not None and hold.hold_id in taken else 0
    former = set(taken[:start]) - {pledge.hold_id}
    for fact in heard[start:]:
        match fact:
            case PaymentAuthorized() if hold is None:
                hold = _Hold(fact.hold_id, fact.capture_before)
            case PaymentHoldRenewed() if fact.previous_hold_id in former:
                former.add(fact.hold_id)
            case PaymentHoldRenewed():
                hold = _Hold(fact.hold_id, fact.capture_before)
            case PaymentAtRisk() if hold is None or fact.hold_id == hold.hold_id:
                hold = _with_risk(hold or _Hold(fact.hold_id), fact)
            case PaymentVoided() if hold is not None and ends(hold.hold_id, fact):
                hold = replace(hold, ended=True)
            case _:
                pass
    return hold


def _takes(fact: PaymentFact) -> str | None:
    """The hold that begins with this fact."""
    if isinstance(fact, PaymentAuthorized | PaymentChangeAuthorized | PaymentHoldRenewed):
        return fact.hold_id
    return None


def _with_risk(hold: _Hold, fact: PaymentAtRisk) -> _Hold:
    """The worst that was said: a hold does not come back, nor does a card that was refused for good."""
    before = hold.risk
    if before is None:
        return replace(hold, risk=fact)
    worst = {"lost": before.lost or fact.lost, "hard": before.hard or fact.hard}
    known = worst == {"lost": before.lost, "hard": before.hard}
    return hold if known else replace(hold, risk=fact.model_copy(update=worst))
