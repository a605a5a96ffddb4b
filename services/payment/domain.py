"""The life of one pledge's payment: what is wanted of it, what was done, and which step comes next.

The pledge's stream holds both: wishes as they came in (private events) and facts as the provider gave them. At most
one step runs at a time (DOMAIN Y2); when it ends, `advance` says what the wishes still ask for. So wishes may
come in any order and twice, before or after the facts they are about.
"""

from dataclasses import dataclass
from typing import Any

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from contracts.ids import ChangeId, PledgeId
from contracts.money import Money, zero
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from payment.domain_events import (
    CaptureOrdered,
    ChangeEnded,
    ChangeOrdered,
    Kind,
    PaymentOrdered,
    ReleaseOrdered,
    StepEnded,
    StepStarted,
    StepStopped,
)
from payment.domain_state import Hold, Payment, Stage, Step
from payment.gateway import ActionRequired, Decided, Declined, Mismatch, NoEffect, Succeeded

# What this service can do at the provider so far; a pledge that asks for another is declined, never done otherwise.
STRATEGIES = (PaymentStrategy.HOLD, PaymentStrategy.EXTENDED_HOLD, PaymentStrategy.IMMEDIATE)
# Of one kind: those proven to have no effect, hours apart in the end, and the holds of changes, which are few.
ATTEMPTS_MAX = 50
NO_HOLD = "no_hold"
ABOVE_HOLD = "above_hold"


def order(p: Payment, ordered: PaymentOrdered) -> tuple[Event, ...]:
    return () if p.order else (ordered,)


def want_capture(p: Payment, pledge_id: PledgeId, amount: Money) -> tuple[Event, ...]:
    """A capture that is asked for before the hold is known waits; one of a charge is already done."""
    if p.capture_wanted or p.captured or p.release_wanted:
        return ()
    return (CaptureOrdered(pledge_id=pledge_id, amount=amount),)


def want_release(p: Payment, pledge_id: PledgeId, reason: str) -> tuple[Event, ...]:
    """Cancelled, voided or out of time (DOMAIN P2, P7, P8): done as soon as there is something to release."""
    if p.release_wanted or (p.ended and not p.captured and not _undecided(p)):
        return ()
    return (ReleaseOrdered(pledge_id=pledge_id, reason=reason),)


def order_change(p: Payment, ordered: ChangeOrdered) -> tuple[Event, ...]:
    return () if ordered.change_id in p.changes else (ordered,)


def end_change(p: Payment, ended: ChangeEnded) -> tuple[Event, ...]:
    """The end may be heard of before the wish, or before its hold. One that moved no money was never ours."""
    known = p.changes.get(ended.change_id)
    if (known is None and ended.accepted) or (known is not None and known.stage is Stage.OVER):
        return ()
    return (ended,)


def skip(p: Payment) -> tuple[Event, ...]:
    """The running step was never sent and is not wanted any more (DOMAIN P8)."""
    if not p.order or not unwanted(p):
        return ()
    return (StepEnded(pledge_id=p.order.pledge_id, reason="skipped"),)


def unwanted(p: Payment) -> bool:
    """A step that takes money is under way for a pledge that is to be released, or for a change that is over."""
    if p.running is None or p.running.kind in {Kind.VOID, Kind.REFUND}:
        return False
    change_id = p.running.change_id
    return p.release_wanted or (change_id is not None and p.changes[change_id].stage is Stage.OVER)


def advance(p: Payment) -> tuple[Event, ...]:
    """What follows from the state by itself: the next step, or that it cannot be taken."""
    if p.order is None or p.running or p.stopped:
        return ()
    impossible = _impossible(p, p.order)
    wanted = _next(p, p.order)
    if impossible or wanted is None:
        return impossible
    attempt = p.started.count(wanted.kind) + 1
    if attempt > ATTEMPTS_MAX:
        return (StepStopped(pledge_id=p.order.pledge_id, reason="too_many_attempts"),)
    return (
        StepStarted(
            pledge_id=p.order.pledge_id,
            kind=wanted.kind,
            attempt=attempt,
            amount=wanted.amount,
            change_id=wanted.change_id,
            hold_id=wanted.hold_id,
        ),
    )


def _impossible(p: Payment, ordered: PaymentOrdered) -> tuple[Event, ...]:
    if ordered.strategy not in STRATEGIES and not p.ended:
        return (PaymentDeclined(**_about(ordered), reason="strategy_not_supported", hard=True),)
    if p.release_wanted:
        return ()
    if p.ended or p.captured:
        for change in _open_changes(p):
            about = _about(ordered, change.amount)
            return (PaymentChangeDeclined(**about, change_id=change.change_id, reason=NO_HOLD),)
    return _impossible_capture(p, ordered)


def _impossible_capture(p: Payment, ordered: PaymentOrdered) -> tuple[Event, ...]:
    if p.capture_wanted is None or p.captured or p.capture_failed or _undecided(p):
        return ()
    if p.ended:
        return (_capture_failed(p, ordered, NO_HOLD),)
    if p.held and p.capture_wanted.amount > p.held:  # M5; a person finds out who asked for too much
        return (StepStopped(pledge_id=ordered.pledge_id, reason=ABOVE_HOLD),)
    return ()


@dataclass(frozen=True)
class _Wanted:
    kind: Kind
    amount: Money
    change_id: ChangeId | None = None
    hold_id: str = ""


def _next(p: Payment, ordered: PaymentOrdered) -> _Wanted | None:
    """What is to be given back first; then what is to be taken, which waits while a change is undecided."""
    for hold in _released(p):
        return _Wanted(Kind.VOID, _money(ordered, hold.minor), hold_id=hold.hold_id)
    if p.captured > p.refunded and p.release_wanted:
        return _Wanted(Kind.REFUND, _money(ordered, p.captured - p.refunded))
    if p.release_wanted or p.ended:
        return None
    if not p.hold_id:
        kind = Kind.CHARGE if ordered.strategy is PaymentStrategy.IMMEDIATE else Kind.AUTHORIZE
        return _Wanted(kind, ordered.amount)
    for change in _open_changes(p):
        return _Wanted(Kind.AUTHORIZE, change.amount, change_id=change.change_id)
    return _Wanted(Kind.CAPTURE, p.capture_wanted) if p.held and p.capture_wanted and not _undecided(p) else None


def _released(p: Payment) -> tuple[Hold, ...]:
    """Holds that are to be voided; with the pledge's release all that it has."""
    if not p.release_wanted:
        return p.spare
    of_changes = tuple(c.hold for c in p.changes.values() if c.hold and c.stage is Stage.HELD)
    return ((Hold(p.hold_id, p.held),) if p.held else ()) + p.spare + of_changes


def _open_changes(p: Payment) -> tuple[ChangeOrdered, ...]:
    return tuple(c.ordered for c in p.changes.values() if c.ordered and c.stage is Stage.WANTED)


def _undecided(p: Payment) -> bool:
    """Which hold is captured is open while a change is. The pledge service ends it within its lease (DOMAIN P2)."""
    return any(change.stage is not Stage.OVER for change in p.changes.values())


def counterpart(p: Payment, step: StepStarted) -> str:
    """What an operation is about at the provider: a hold, or the payment method that one is taken on."""
    assert p.order is not None
    if step.change_id is not None:
        change = p.changes[step.change_id].ordered
        assert change is not None
        return change.payment_method
    return step.hold_id or p.hold_id or p.order.payment_method


def conclude(p: Payment, outcome: Decided) -> tuple[Event, ...]:
    """The facts that the provider's answer to the running step makes."""
    if p.running is None or p.order is None:
        return ()
    ordered = p.order
    match outcome:
        case NoEffect(reason):
            return (StepEnded(pledge_id=ordered.pledge_id, reason=reason),)
        case Mismatch(reason):
            return (StepStopped(pledge_id=ordered.pledge_id, reason=reason),)
        case ActionRequired():
            return _refused(p, ordered, Declined("authentication_required"))
        case Declined():
            return _refused(p, ordered, outcome)
        case Succeeded():
            return (_done(p, ordered, p.running, outcome),)


def _refused(p: Payment, ordered: PaymentOrdered, declined: Declined) -> tuple[Event, ...]:
    assert p.running is not None
    if p.running.change_id is not None:
        about = _about(ordered, p.running.amount)
        return (PaymentChangeDeclined(**about, change_id=p.running.change_id, reason=declined.code),)
    match p.running.kind:
        case Kind.AUTHORIZE | Kind.CHARGE:
            return (PaymentDeclined(**_about(ordered), reason=declined.code, hard=declined.hard),)
        case Kind.CAPTURE:
            return (_capture_failed(p, ordered, declined.code),)
        case _:  # money that cannot be given back needs a person
            return (StepStopped(pledge_id=ordered.pledge_id, reason=declined.code),)


def _done(p: Payment, ordered: PaymentOrdered, step: Step, outcome: Succeeded) -> Event:
    about = _about(ordered, step.amount)
    hold: dict[str, Any] = {"hold_id": outcome.reference, "capture_before": outcome.capture_before}
    match step.kind:
        case Kind.AUTHORIZE if step.change_id is not None:
            return PaymentChangeAuthorized(**about, change_id=step.change_id, **hold)
        case Kind.AUTHORIZE:
            return PaymentAuthorized(**about, **hold)
        case Kind.CHARGE | Kind.CAPTURE:
            fee = outcome.fee or zero(ordered.amount.currency)
            return PaymentCaptured(**about, hold_id=p.hold_id or outcome.reference, provider_fee=fee)
        case Kind.VOID:
            spare = any(hold.hold_id == step.hold_id for hold in p.spare)
            return PaymentVoided(**about, hold_id=step.hold_id or p.hold_id, spare=spare)
        case _:
            return PaymentRefunded(**about, hold_id=p.hold_id)


def _capture_failed(p: Payment, ordered: PaymentOrdered, reason: str) -> PaymentCaptureFailed:
    amount = p.capture_wanted or ordered.amount
    return PaymentCaptureFailed(**_about(ordered, amount), hold_id=p.hold_id, reason=reason)


def _about(ordered: PaymentOrdered, amount: Money | None = None) -> dict[str, Any]:
    amount = ordered.amount if amount is None else amount
    return {"pledge_id": ordered.pledge_id, "campaign_id": ordered.campaign_id, "amount": amount}


def _money(ordered: PaymentOrdered, minor: int) -> Money:
    return Money(amount=minor, currency=ordered.amount.currency)
