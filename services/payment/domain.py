"""The life of one pledge's payment: what is wanted of it, and which step comes next.

The pledge's stream holds both: wishes as they came in (private events) and facts as the provider gave them. At most
one step runs at a time (DOMAIN Y2); when it ends, `advance` says what the wishes still ask for. So wishes may
come in any order and twice, before or after the facts they are about. What an answer means: `domain_outcomes.py`.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from contracts.event import Event
from contracts.ids import ChangeId, PledgeId
from contracts.money import Money
from contracts.payment import PaymentCaptureFailed, PaymentChangeDeclined, PaymentVoided
from payment.domain_events import (
    CaptureOrdered,
    ChangeEnded,
    ChangeOrdered,
    HoldDoubted,
    Kind,
    PaymentOrdered,
    RefundFailed,
    RefundOrdered,
    ReleaseOrdered,
    RenewalDue,
    StepEnded,
    StepStarted,
    StepStopped,
    StopLifted,
)
from payment.domain_restored import unseen
from payment.domain_state import Hold, Payment, Stage, creation_for_change, creation_of

# Of one kind, for the pledge or for one change: those proven to have no effect, hours apart in the end, and renewals.
ATTEMPTS_MAX: Final = 200
NO_HOLD: Final = "no_hold"
ABOVE_HOLD: Final = "above_hold"
ABOVE_CAPTURED: Final = "above_captured"


# -- wishes --------------------------------------------------------------------------------------------------------


def order(p: Payment, ordered: PaymentOrdered) -> tuple[Event, ...]:
    return () if p.order else (ordered,)


def want_capture(p: Payment, ordered: CaptureOrdered) -> tuple[Event, ...]:
    """A capture that is asked for before the hold is known waits; one of a charge is already done."""
    return () if p.capture_wanted or p.captured or p.release_wanted else (ordered,)


def want_release(p: Payment, pledge_id: PledgeId, reason: str) -> tuple[Event, ...]:
    """Cancelled, voided or out of time (DOMAIN P2, P7, P8): done as soon as there is something to release."""
    if p.release_wanted or (p.ended and not p.captured and not _undecided(p)):
        return ()
    return (ReleaseOrdered(pledge_id=pledge_id, reason=reason),)


def want_refund(p: Payment, ordered: RefundOrdered) -> tuple[Event, ...]:
    """A part of what was taken; more than is left by then fails by itself."""
    return () if ordered.refund_id in p.refunds_known else (ordered,)


def refundable(p: Payment) -> int:
    """What can still be given back, less what is ordered already, in minor units."""
    return p.captured - p.refunded - p.disputed - sum(one.amount.amount for one in p.refunds)


def want_renewal(p: Payment, pledge_id: PledgeId, hold_id: str) -> tuple[Event, ...]:
    """The current hold is to be replaced, or was lost: about another hold it is out of date."""
    if p.renewal_due or p.hold_id != hold_id or not (p.held or p.lost) or p.release_wanted or p.card_refused:
        return ()
    return (RenewalDue(pledge_id=pledge_id, hold_id=hold_id),)


def doubt(p: Payment, pledge_id: PledgeId, hold_id: str) -> tuple[Event, ...]:
    """Somebody says that a hold has ended. What is under way will find out by itself."""
    if p.doubted or p.running or not p.held or p.hold_id != hold_id:
        return ()
    return (HoldDoubted(pledge_id=pledge_id, hold_id=hold_id),)


def lift_stop(p: Payment, pledge_id: PledgeId) -> tuple[Event, ...]:
    """A person says: go on. What stopped it may stop it again."""
    return (StopLifted(pledge_id=pledge_id),) if p.stopped else ()


def order_change(p: Payment, ordered: ChangeOrdered) -> tuple[Event, ...]:
    known = p.changes.get(ordered.change_id)
    ended_first = known is not None and known.ordered is None and (known.accepted or ordered.told_anew)
    return (ordered,) if known is None or ended_first else ()


def end_change(p: Payment, ended: ChangeEnded) -> tuple[Event, ...]:
    """The end may be heard of before the wish, or before its hold."""
    known = p.changes.get(ended.change_id)
    return (ended,) if known is None or not (known.accepted or known.stage is Stage.OVER) else ()


# -- steps ---------------------------------------------------------------------------------------------------------


def skip(p: Payment, *, looked: bool = False) -> tuple[Event, ...]:
    """The running step was never sent, or only looks, and is not wanted any more (DOMAIN P8)."""
    if not p.order or not unwanted(p, looked=looked):
        return ()
    return (StepEnded(pledge_id=p.order.pledge_id, reason="skipped"),)


def unwanted(p: Payment, *, looked: bool = False) -> bool:
    """A step that takes money, or looks whether it was taken, for a pledge to be released or a change that is over.

    A capture that was not sent waits while its hold is renewed: a long settlement loses no hold. `looked`: the step has
    looked, and the provider waits for the backer still.
    """
    if p.running is None or p.running.kind in {Kind.VOID, Kind.REFUND}:
        return False
    change_id = p.running.change_id
    if change_id is not None and p.changes[change_id].stage is Stage.OVER:
        return True
    if p.running.kind is Kind.CAPTURE and p.renewal_due:
        return True
    return p.release_wanted and (looked or not p.look)


def advance(p: Payment) -> tuple[Event, ...]:
    """What follows from the state by itself: the next step, or that it cannot be taken."""
    if p.order is None or p.running or p.stopped:
        return ()
    impossible = _impossible(p, p.order)
    wanted = _next(p, p.order)
    if impossible or wanted is None:
        return impossible
    attempt = p.started.count((wanted.kind, wanted.change_id)) + 1
    if attempt > ATTEMPTS_MAX:
        return (StepStopped(pledge_id=p.order.pledge_id, reason="too_many_attempts"),)
    started = StepStarted(
        pledge_id=p.order.pledge_id,
        kind=wanted.kind,
        attempt=attempt,
        amount=wanted.amount,
        change_id=wanted.change_id,
        hold_id=wanted.hold_id,
        refund_id=wanted.refund_id,
    )
    return (started,)


def _impossible(p: Payment, ordered: PaymentOrdered) -> tuple[Event, ...]:
    """What is wanted and cannot be done, as the fact that says so."""
    about = {"pledge_id": ordered.pledge_id, "campaign_id": ordered.campaign_id}
    for refund in p.refunds:
        if refund.amount.amount > p.captured - p.refunded - p.disputed:
            return (RefundFailed(pledge_id=ordered.pledge_id, refund_id=refund.refund_id, reason=ABOVE_CAPTURED),)
    if p.release_wanted and p.lost:  # nothing is left to give back
        return (PaymentVoided(**about, amount=_money(ordered, p.minor), hold_id=p.hold_id),)
    if p.release_wanted:
        return ()
    return _impossible_change(p, about) or _impossible_capture(p, about)


def _impossible_change(p: Payment, about: dict[str, UUID]) -> tuple[Event, ...]:
    if p.ended or p.captured:
        for change in _open_changes(p):
            return (PaymentChangeDeclined(**about, amount=change.amount, change_id=change.change_id, reason=NO_HOLD),)
    return ()


def _impossible_capture(p: Payment, about: dict[str, UUID]) -> tuple[Event, ...]:
    if p.capture_wanted is None or p.captured or p.capture_failed or _undecided(p):
        return ()
    if p.ended or (p.lost and p.card_refused):
        return (PaymentCaptureFailed(**about, amount=p.capture_wanted, hold_id=p.hold_id, reason=NO_HOLD),)
    if (
        _above_hold(p, p.capture_wanted) and not p.capture_may_be_forgotten
    ):  # M5; a person finds out who asked for too much
        return (StepStopped(pledge_id=about["pledge_id"], reason=ABOVE_HOLD),)
    return ()


def _above_hold(p: Payment, wanted: Money) -> bool:
    limit = p.hold.minor if p.hold else p.minor if p.lost else None  # None: not held yet
    return limit is not None and wanted.amount > limit


@dataclass(frozen=True)
class _Wanted:
    kind: Kind
    amount: Money
    change_id: ChangeId | None = None
    hold_id: str = ""
    refund_id: UUID | None = None


def _next(p: Payment, ordered: PaymentOrdered) -> _Wanted | None:
    """What is to be seen and given back first; then what is to be taken, which waits while a change is undecided."""
    if p.look and p.awaited:
        return _Wanted(Kind.FOLLOW, _money(ordered, p.awaited.minor), hold_id=p.awaited.hold_id)
    for hold in _released(p):
        return _Wanted(Kind.VOID, _money(ordered, hold.minor), hold_id=hold.hold_id)
    if found := _refund(p, ordered) or _forgotten(p, ordered):
        return found
    return None if p.ended or p.release_wanted else _look(p, ordered) or _taken(p, ordered)


def _forgotten(p: Payment, ordered: PaymentOrdered) -> _Wanted | None:
    match unseen(p, ordered):
        case PaymentOrdered():
            return _Wanted(creation_of(ordered), ordered.amount)
        case ChangeOrdered(amount=amount, change_id=change_id):
            return _Wanted(creation_for_change(ordered), amount, change_id=change_id)
        case None:
            return None


def _refund(p: Payment, ordered: PaymentOrdered) -> _Wanted | None:
    left = p.captured - p.refunded - p.disputed  # what a bank has taken back is not given back twice
    if p.release_wanted and left > 0:
        return _Wanted(Kind.REFUND, _money(ordered, left))
    for one in p.refunds:
        return _Wanted(Kind.REFUND, one.amount, refund_id=one.refund_id)
    return None


def _look(p: Payment, ordered: PaymentOrdered) -> _Wanted | None:
    """What the backer or somebody else may have moved is followed before anything new is taken."""
    if p.awaited:
        return _Wanted(Kind.FOLLOW, _money(ordered, p.awaited.minor), hold_id=p.awaited.hold_id)
    if p.doubted and p.hold:
        return _Wanted(Kind.FOLLOW, _money(ordered, p.hold.minor), hold_id=p.hold.hold_id)
    for change_id, change in p.changes.items():
        if change.stage is Stage.AWAITED and change.hold:
            amount = _money(ordered, change.hold.minor)
            return _Wanted(Kind.FOLLOW, amount, change_id, change.hold.hold_id)
    return None


def _taken(p: Payment, ordered: PaymentOrdered) -> _Wanted | None:
    if p.captured:
        return None
    if not p.hold_id and not (p.retold and p.started):  # once at least, as before the database was restored
        return _Wanted(creation_of(ordered), ordered.amount)
    for change in _open_changes(p):
        return _Wanted(creation_for_change(ordered), change.amount, change_id=change.change_id)
    return None if _undecided(p) else _renewed(p, ordered) or _captured(p)


def _renewed(p: Payment, ordered: PaymentOrdered) -> _Wanted | None:
    """A lost hold is sought again until it is to be captured: then the card is charged instead."""
    if not p.renewal_due or p.card_refused or (p.capture_wanted and not p.held):
        return None
    return _Wanted(Kind.AUTHORIZE, _money(ordered, p.minor), hold_id=p.hold_id)


def _captured(p: Payment) -> _Wanted | None:
    if p.capture_wanted is None:
        return None
    kind = Kind.CAPTURE if p.held else Kind.CHARGE  # of a saved card, or the last try where the hold was lost
    if _above_hold(p, p.capture_wanted) and (kind, None) in p.started:
        return None  # it was looked for; the change that raised it is still to be told anew
    return _Wanted(kind, p.capture_wanted, hold_id=p.hold_id)


def _released(p: Payment) -> tuple[Hold, ...]:
    """Holds that are to be given back: spare ones always, all of them once the pledge is to be released."""
    if not p.release_wanted:
        return p.spare
    of_changes = tuple(change.hold for change in p.changes.values() if change.hold)
    return tuple(hold for hold in (p.awaited, p.hold) if hold) + p.spare + of_changes


def _open_changes(p: Payment) -> tuple[ChangeOrdered, ...]:
    """In the order in which the backer asked for them: the last one that is taken up counts."""
    wanted = (change.ordered for change in p.changes.values() if change.ordered and change.stage is Stage.WANTED)
    return tuple(sorted(wanted, key=lambda ordered: ordered.version))


def _undecided(p: Payment) -> bool:
    """Which hold is captured is open while a change is. The pledge service ends it within its lease (DOMAIN P2)."""
    return any(change.stage is not Stage.OVER for change in p.changes.values())


def card_of(p: Payment, step: StepStarted) -> str:
    """The payment method that a step takes money with, or prepares to."""
    assert p.order is not None
    if step.change_id is not None:
        change = p.changes[step.change_id].ordered
        assert change is not None
        return change.payment_method
    return p.payment_method


def _money(ordered: PaymentOrdered, minor: int) -> Money:
    return Money(amount=minor, currency=ordered.amount.currency)
