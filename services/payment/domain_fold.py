"""How a pledge's payment stream becomes its state. `evolve` never raises and judges nothing."""

from dataclasses import replace

from contracts.event import Event
from contracts.ids import ChangeId
from contracts.payment import (
    PaymentActionRequired,
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentHoldRenewed,
    PaymentRefunded,
    PaymentVoided,
)
from payment.domain_events import (
    ActionEnded,
    CaptureOrdered,
    ChangeEnded,
    ChangeOrdered,
    HoldDoubted,
    Kind,
    PaymentOrdered,
    RefundFailed,
    RefundFound,
    RefundOrdered,
    ReleaseOrdered,
    RenewalDue,
    RenewalFailed,
    StepEnded,
    StepStarted,
    StepStopped,
    StopLifted,
)
from payment.domain_state import Change, Hold, Payment, Stage, Step

NOTHING = Payment()


def evolve(state: Payment | None, event: Event) -> Payment:  # noqa: PLR0911 - one a kind of event
    p = state or NOTHING
    match event:
        case StepStarted():
            step = Step(
                event.kind, event.attempt, event.amount, event.change_id, event.hold_id, refund_id=event.refund_id
            )
            return replace(p, running=step, started=(*p.started, (event.kind, event.change_id)))
        case StepEnded():
            return replace(_looked(p), running=None)
        case StopLifted():
            return replace(p, stopped=False)
        case StepStopped():
            return replace(p, running=None, stopped=True)
        case RefundFound() | PaymentDisputeOpened() | PaymentDisputeClosed():
            return _seen(p, event)
        case PaymentRefunded() if event.refund_id in p.found:
            return replace(p, refunded=p.refunded + event.amount.amount)
        case PaymentOrdered() | CaptureOrdered() | ReleaseOrdered() | RefundOrdered() | ChangeOrdered() | ChangeEnded():
            return _wished(p, event)
        case RenewalDue():
            return replace(p, renewal_due=True)
        case HoldDoubted():
            return replace(p, doubted=True)
        case _:
            return replace(_moved(p, event), running=None)


def _seen(p: Payment, event: RefundFound | PaymentDisputeOpened | PaymentDisputeClosed) -> Payment:
    """What happened by itself at the provider ends no step."""
    match event:
        case RefundFound():
            return replace(p, found=p.found | {event.refund_id})
        case PaymentDisputeOpened():
            return replace(p, disputed=p.disputed + event.amount.amount)
        case PaymentDisputeClosed():
            return replace(p, disputed=p.disputed - (event.amount.amount if event.won else 0))


def _looked(p: Payment) -> Payment:
    """After a step without a fact: a look has found that nothing changed, or a void that there is more to see."""
    if p.running is None:
        return p
    if p.running.kind is Kind.FOLLOW:
        return replace(p, doubted=False, look=False)
    awaited = p.running.kind is Kind.VOID and p.awaited is not None and p.running.hold_id == p.awaited.hold_id
    return replace(p, look=True) if awaited else p


def _wished(p: Payment, event: Event) -> Payment:  # noqa: PLR0911 - one a kind of event
    match event:
        case PaymentOrdered():
            return replace(p, order=event, minor=event.amount.amount, payment_method=event.payment_method)
        case CaptureOrdered():
            return replace(p, capture_wanted=event.amount, capture_may_be_forgotten=event.may_be_forgotten)
        case ReleaseOrdered():
            return replace(p, release_wanted=True)
        case RefundOrdered():
            return replace(p, refunds=(*p.refunds, event), refunds_known=p.refunds_known | {event.refund_id})
        case ChangeOrdered():
            known = p.changes.get(event.change_id)
            dropped = known is not None and not known.accepted
            change = Change(event, Stage.OVER if dropped else Stage.WANTED, accepted=known is not None and not dropped)
            return _with_change(p, event.change_id, change)
        case ChangeEnded():
            return _change_ended(p, event)
        case _:
            return p


def _moved(p: Payment, event: Event) -> Payment:  # noqa: C901, PLR0911 - one a kind of fact
    """The state after a fact that ends a step."""
    match event:
        case PaymentActionRequired():
            return _awaits(p, event)
        case ActionEnded():
            return _let_go(p, event.hold_id)
        case PaymentAuthorized():
            return _holds(replace(p, awaited=None), _hold(event))
        case PaymentHoldRenewed():
            old = (p.hold,) if p.hold else ()
            return replace(_holds(p, _hold(event)), spare=(*p.spare, *old))
        case PaymentAtRisk():
            return _at_risk(p, event)
        case RenewalFailed():
            return replace(p, renewal_due=False, card_refused=event.hard)
        case PaymentDeclined():
            return replace(p, ended=True, awaited=None)
        case PaymentChangeAuthorized():
            return _change_held(p, event)
        case PaymentChangeDeclined():
            return _with_change(p, event.change_id, replace(p.changes[event.change_id], stage=Stage.OVER, hold=None))
        case PaymentVoided():
            return _let_go(p, event.hold_id)
        case _:
            return _money_moved(p, event)


def _money_moved(p: Payment, event: Event) -> Payment:
    match event:
        case PaymentCaptured():
            taken = event.amount.amount
            authorized = max(p.authorized, taken)
            # Found by a restored database: it was taken from the hold of a change that is forgotten.
            other = (p.hold,) if p.hold and not p.hold.saved and p.hold.hold_id != event.hold_id else ()
            p = _without(replace(p, authorized=authorized, captured=taken, spare=(*p.spare, *other)), event.hold_id)
            return replace(p, hold=None, hold_id=event.hold_id, awaited=None, renewal_due=False, at_risk=False)
        case PaymentCaptureFailed():
            return replace(p, hold=None, ended=True, capture_failed=True)
        case PaymentRefunded():
            done = p.running.refund_id if p.running else None
            refunds = tuple(one for one in p.refunds if one.refund_id != done)
            return replace(p, refunded=p.refunded + event.amount.amount, refunds=refunds)
        case RefundFailed():
            return replace(p, refunds=tuple(one for one in p.refunds if one.refund_id != event.refund_id))
        case _:
            return p


def _hold(event: PaymentAuthorized | PaymentChangeAuthorized | PaymentHoldRenewed) -> Hold:
    return Hold(event.hold_id, event.amount.amount, event.payment_method, event.capture_before)


def _holds(p: Payment, hold: Hold) -> Payment:
    """With a current hold. `authorized` counts what was reserved; a saved card reserves nothing."""
    authorized = p.authorized + (0 if hold.saved else hold.minor)
    card = hold.payment_method or p.payment_method
    held = replace(p, hold=hold, hold_id=hold.hold_id, payment_method=card, authorized=authorized, ended=False)
    return replace(held, renewal_due=False, doubted=False, at_risk=False, card_refused=False)


def _awaits(p: Payment, fact: PaymentActionRequired) -> Payment:
    hold = Hold(fact.hold_id, fact.amount.amount, awaited=True)
    if fact.change_id is None:
        return replace(p, awaited=hold)
    change = p.changes[fact.change_id]
    if change.stage is Stage.OVER:
        return replace(p, spare=(*p.spare, hold))
    return _with_change(p, fact.change_id, replace(change, stage=Stage.AWAITED, hold=hold))


def _at_risk(p: Payment, fact: PaymentAtRisk) -> Payment:
    """A hold that is lost is not there to be voided either; another is sought at once, if the card may be asked."""
    p = replace(p, at_risk=True, card_refused=fact.hard)
    if not fact.lost:
        return replace(p, renewal_due=False)
    return replace(p, doubted=False, hold=None, renewal_due=not fact.hard)


def _with_change(p: Payment, change_id: ChangeId, change: Change) -> Payment:
    return replace(p, changes={**p.changes, change_id: change})


def _change_held(p: Payment, fact: PaymentChangeAuthorized) -> Payment:
    """A hold for a change that is over already is nobody's."""
    change, hold = p.changes[fact.change_id], _hold(fact)
    p = replace(p, authorized=p.authorized + (0 if hold.saved else hold.minor))
    if change.stage is Stage.OVER:
        others = (one for one in p.spare if one.hold_id != hold.hold_id)  # it was awaited
        return replace(p, spare=(*others, hold))
    if change.accepted:
        return _taken_up(_with_change(p, fact.change_id, replace(change, stage=Stage.OVER, hold=None)), change, hold)
    return _with_change(p, fact.change_id, replace(change, stage=Stage.HELD, hold=hold))


def _change_ended(p: Payment, ended: ChangeEnded) -> Payment:
    """Swap the holds, let go of the new one, or wait for it."""
    change = p.changes.get(ended.change_id)
    if change is None:
        return _with_change(p, ended.change_id, Change(None, Stage.OVER, accepted=ended.accepted))
    if ended.accepted and change.stage is not Stage.HELD:
        return _with_change(p, ended.change_id, replace(change, accepted=True))
    p = _with_change(p, ended.change_id, Change(change.ordered, Stage.OVER))
    if change.hold is None:
        return p
    return _taken_up(p, change, change.hold) if ended.accepted else replace(p, spare=(*p.spare, change.hold))


def _taken_up(p: Payment, change: Change, hold: Hold) -> Payment:
    """A change that was told anew after a later one was taken up is history: its hold is nobody's."""
    version = change.ordered.version if change.ordered else 0
    if version < p.taken_up:
        return replace(p, spare=(*p.spare, hold))
    return replace(_swapped(p, hold), taken_up=version)


def _swapped(p: Payment, hold: Hold) -> Payment:
    """A change's hold is the current one. `authorized` has counted it when it was taken."""
    old = (p.hold,) if p.hold else ()
    return replace(_holds(p, hold), authorized=p.authorized, minor=hold.minor, spare=(*p.spare, *old))


def _let_go(p: Payment, hold_id: str) -> Payment:
    """A hold is released: the current or first one ends the payment; a change that had it is over."""
    p = _without(p, hold_id)
    if hold_id == p.hold_id or (p.awaited and hold_id == p.awaited.hold_id):
        return replace(p, hold=None, awaited=None, ended=True)
    return p


def _without(p: Payment, hold_id: str) -> Payment:
    """No change has this hold any more, and it is not to be released."""
    changes = {
        one: Change(change.ordered, Stage.OVER) if change.hold and change.hold.hold_id == hold_id else change
        for one, change in p.changes.items()
    }
    return replace(p, changes=changes, spare=tuple(hold for hold in p.spare if hold.hold_id != hold_id))
