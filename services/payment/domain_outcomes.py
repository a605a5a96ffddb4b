"""What the provider's answer to the running step means: the facts that it makes."""

from typing import Any, Final
from uuid import UUID

from contracts.event import Event
from contracts.money import Money, zero
from contracts.payment import (
    PaymentActionRequired,
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentHoldRenewed,
    PaymentRefunded,
    PaymentVoided,
)
from payment.domain_events import (
    ActionEnded,
    Kind,
    PaymentOrdered,
    RefundFailed,
    RenewalFailed,
    StepEnded,
    StepStopped,
)
from payment.domain_state import Hold, Payment, Step, creation_of
from payment.gateway import ActionRequired, Decided, Declined, Mismatch, NoEffect, Succeeded

HOLD_LOST: Final = "hold_lost"
HOLD_EXPIRED: Final = "hold_expired"  # the provider's answer to a capture of a hold that is gone
AUTHENTICATION_REQUIRED: Final = "authentication_required"
_CREATIONS: Final = frozenset((Kind.AUTHORIZE, Kind.CHARGE, Kind.SAVE))


def conclude(p: Payment, outcome: Decided) -> tuple[Event, ...]:  # noqa: PLR0911 - one a kind of outcome
    """The facts that the answer to the running step makes."""
    if p.running is None or p.order is None:
        return ()
    ordered, step = p.order, p.running
    match outcome:
        case NoEffect(reason):
            return (StepEnded(pledge_id=ordered.pledge_id, reason=reason),)
        case Mismatch(reason):
            return (StepStopped(pledge_id=ordered.pledge_id, reason=reason),)
        case _ if _replaced(p, step):
            return (StepEnded(pledge_id=ordered.pledge_id, reason="replaced meanwhile"),)
        case ActionRequired():
            return (_action(p, ordered, step, outcome),)
        case Declined():
            return (_refused(p, ordered, step, outcome),)
        case Succeeded() if outcome.captured:
            return (_found_captured(p, ordered, outcome, outcome.captured),)
        case Succeeded() if step.kind is Kind.FOLLOW and p.hold and step.hold_id == p.hold.hold_id:
            return (StepEnded(pledge_id=ordered.pledge_id, reason="still held"),)
        case Succeeded():
            return (_done(p, ordered, step, outcome),)


def _found_captured(p: Payment, ordered: PaymentOrdered, outcome: Succeeded, taken: Money) -> Event:
    """By a restored database: it had captured before."""
    if not p.captured:
        fee = outcome.fee or zero(taken.currency)
        return PaymentCaptured(**_about(ordered, taken), hold_id=outcome.reference, provider_fee=fee)
    if outcome.reference == p.hold_id:
        return StepEnded(pledge_id=ordered.pledge_id, reason="captured, as is known")
    return StepStopped(pledge_id=ordered.pledge_id, reason="captured_twice")


def _replaced(p: Payment, step: Step) -> bool:
    """A look at a hold that a change has replaced since: what became of it says nothing about the pledge's hold."""
    return step.kind is Kind.FOLLOW and any(h.hold_id == step.hold_id and not h.awaited for h in p.spare)


def _action(p: Payment, ordered: PaymentOrdered, step: Step, outcome: ActionRequired) -> Event:
    """The backer is wanted, who is there only for a first hold and for that of a change."""
    if step.kind not in _CREATIONS or step.hold_id:
        return _refused(p, ordered, step, Declined(AUTHENTICATION_REQUIRED))
    about = _about(ordered, step.amount)
    return PaymentActionRequired(**about, hold_id=outcome.reference, change_id=step.change_id)


def _refused(p: Payment, ordered: PaymentOrdered, step: Step, declined: Declined) -> Event:  # noqa: PLR0911 - a kind each
    about = _about(ordered, step.amount)
    if step.change_id is not None:
        return PaymentChangeDeclined(**about, change_id=step.change_id, reason=declined.code)
    match step.kind:
        case Kind.AUTHORIZE if step.hold_id:
            return _not_renewed(p, ordered, declined)
        case Kind.FOLLOW if p.hold and step.hold_id == p.hold.hold_id:
            return _lost(p, ordered, p.hold)
        case Kind.AUTHORIZE | Kind.SAVE if p.retold:  # it was released for the change
            return StepEnded(pledge_id=ordered.pledge_id, reason=declined.code)
        case Kind.AUTHORIZE | Kind.SAVE | Kind.FOLLOW:
            return PaymentDeclined(**about, reason=declined.code, hard=declined.hard)
        case Kind.CAPTURE if p.hold and declined.code == HOLD_EXPIRED:
            return _lost(p, ordered, p.hold)
        case Kind.CHARGE if not step.hold_id:
            return PaymentDeclined(**about, reason=declined.code, hard=declined.hard)
        case Kind.CAPTURE | Kind.CHARGE:
            return PaymentCaptureFailed(**about, hold_id=p.hold_id, reason=declined.code)
        case Kind.REFUND if step.refund_id is not None:
            return RefundFailed(pledge_id=ordered.pledge_id, refund_id=step.refund_id, reason=declined.code)
        case _:  # money that cannot be given back needs a person
            return StepStopped(pledge_id=ordered.pledge_id, reason=declined.code)


def _not_renewed(p: Payment, ordered: PaymentOrdered, declined: Declined) -> Event:
    """The first failure is told to the world, and the first after which only another card helps; others are counted."""
    hard = declined.hard or declined.code == AUTHENTICATION_REQUIRED  # the backer is not there: never loop
    if p.at_risk and (p.card_refused or not hard):
        return RenewalFailed(pledge_id=ordered.pledge_id, reason=declined.code, hard=hard)
    about = _about(ordered, _money(ordered, p.minor))
    return PaymentAtRisk(**about, hold_id=p.hold_id, reason=declined.code, hard=hard)


def _lost(p: Payment, ordered: PaymentOrdered, hold: Hold) -> PaymentAtRisk:
    about = _about(ordered, _money(ordered, hold.minor))
    return PaymentAtRisk(**about, hold_id=hold.hold_id, reason=HOLD_LOST, hard=p.card_refused, lost=True)


def _done(p: Payment, ordered: PaymentOrdered, step: Step, outcome: Succeeded) -> Event:
    about = _about(ordered, step.amount)
    kind = step.kind
    if kind is Kind.FOLLOW:
        kind = Kind.AUTHORIZE if step.change_id is not None else creation_of(ordered)
    match kind:
        case Kind.AUTHORIZE | Kind.SAVE:
            return _secured(about, step, outcome)
        case Kind.CHARGE | Kind.CAPTURE:
            fee = outcome.fee or zero(ordered.amount.currency)
            return PaymentCaptured(**about, hold_id=outcome.reference, provider_fee=fee)
        case Kind.VOID if _awaited(p, step.hold_id):
            return ActionEnded(pledge_id=ordered.pledge_id, hold_id=step.hold_id)
        case Kind.VOID:
            spare = any(hold.hold_id == step.hold_id for hold in p.spare)
            return PaymentVoided(**about, hold_id=step.hold_id, spare=spare)
        case _:
            refunded = _money(ordered, p.refunded + step.amount.amount)
            reason = _reason(p, step.refund_id)
            return PaymentRefunded(
                **about, hold_id=p.hold_id, refund_id=outcome.reference, refunded=refunded, reason=reason
            )


def _secured(about: dict[str, Any], step: Step, outcome: Succeeded) -> Event:
    """A hold, or a saved card."""
    hold: dict[str, Any] = {
        "hold_id": outcome.reference,
        "capture_before": outcome.capture_before,
        "payment_method": outcome.payment_method,
    }
    if step.change_id is not None:
        return PaymentChangeAuthorized(**about, change_id=step.change_id, **hold)
    if step.kind is Kind.AUTHORIZE and step.hold_id:
        return PaymentHoldRenewed(**about, previous_hold_id=step.hold_id, **hold)
    return PaymentAuthorized(**about, **hold)


def _awaited(p: Payment, hold_id: str) -> bool:
    changes = (change.hold for change in p.changes.values())
    holds = (p.awaited, *p.spare, *changes)
    return any(hold is not None and hold.awaited and hold.hold_id == hold_id for hold in holds)


def _reason(p: Payment, refund_id: UUID | None) -> str:
    return next((one.reason for one in p.refunds if one.refund_id == refund_id), "released")


def _about(ordered: PaymentOrdered, amount: Money) -> dict[str, Any]:
    return {"pledge_id": ordered.pledge_id, "campaign_id": ordered.campaign_id, "amount": amount}


def _money(ordered: PaymentOrdered, minor: int) -> Money:
    return Money(amount=minor, currency=ordered.amount.currency)
