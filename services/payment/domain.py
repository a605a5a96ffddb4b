"""The life of one pledge's payment: what is wanted of it, what was done, and which step comes next.

The pledge's stream holds both: wishes as they came in (private events) and facts as the provider gave them. At most
one step runs at a time (DOMAIN Y2); when it ends, `next_step` says what the wishes still ask for. So wishes may
come in any order and twice, before or after the facts they are about.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from contracts.ids import CampaignId, PledgeId
from contracts.money import Money, zero
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from payment.gateway import ActionRequired, Decided, Declined, Mismatch, NoEffect, Succeeded

# What this service can do at the provider so far; a pledge that asks for another is declined, never done otherwise.
STRATEGIES = (PaymentStrategy.HOLD, PaymentStrategy.EXTENDED_HOLD, PaymentStrategy.IMMEDIATE)
ATTEMPTS_MAX = 50  # Each was proven to have no effect, hours apart in the end: by then a person should look.
NO_HOLD = "no_hold"
ABOVE_HOLD = "above_hold"


class Kind(StrEnum):
    """What can be asked of the provider."""

    AUTHORIZE = "authorize"
    CHARGE = "charge"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    PAYOUT = "payout"  # about a campaign, see domain_payout


class _Private(Event):
    pledge_id: PledgeId

    @property
    def subject(self) -> UUID:
        return self.pledge_id


class PaymentOrdered(_Private, type="payment.PaymentOrdered.v1"):
    """A pledge was placed: hold its amount or take it."""

    campaign_id: CampaignId
    amount: Money
    payment_method: str
    strategy: PaymentStrategy


class CaptureOrdered(_Private, type="payment.CaptureOrdered.v1"):
    amount: Money


class ReleaseOrdered(_Private, type="payment.ReleaseOrdered.v1"):
    """Nothing of this pledge may stay held or taken: void what is held, refund what was taken."""

    reason: str


class StepStarted(_Private, type="payment.StepStarted.v1"):
    """An operation was written down; from now on the provider may have seen it."""

    kind: Kind
    attempt: int = Field(ge=1, description="Counts the operations of this kind for this pledge")
    amount: Money


class StepEnded(_Private, type="payment.StepEnded.v1"):
    """An operation ended without a fact: never sent, or proven to have had no effect."""

    reason: str


class StepStopped(_Private, type="payment.StepStopped.v1"):
    """The provider's answer does not fit: nothing more is done for this pledge until a person has looked."""

    reason: str


PRIVATE_EVENTS = (PaymentOrdered, CaptureOrdered, ReleaseOrdered, StepStarted, StepEnded, StepStopped)


@dataclass(frozen=True)
class Step:
    kind: Kind
    attempt: int
    amount: Money


@dataclass(frozen=True)
class Payment:
    """All amounts in minor units of the order's currency."""

    order: PaymentOrdered | None = None
    capture_wanted: Money | None = None
    release_wanted: bool = False
    hold_id: str = ""
    held: int = 0  # what can still be captured
    authorized: int = 0  # what was ever held; a charge counts as both
    captured: int = 0
    refunded: int = 0
    ended: bool = False  # declined, or the hold is gone
    capture_failed: bool = False
    stopped: bool = False
    running: Step | None = None
    started: tuple[Kind, ...] = ()


NOTHING = Payment()


def evolve(state: Payment | None, event: Event) -> Payment:  # noqa: PLR0911 - one a kind of event
    p = state or NOTHING
    match event:
        case PaymentOrdered():
            return replace(p, order=event)
        case CaptureOrdered():
            return replace(p, capture_wanted=event.amount)
        case ReleaseOrdered():
            return replace(p, release_wanted=True)
        case StepStarted():
            step = Step(event.kind, event.attempt, event.amount)
            return replace(p, running=step, started=(*p.started, event.kind))
        case StepEnded():
            return replace(p, running=None)
        case StepStopped():
            return replace(p, running=None, stopped=True)
        case _:
            return replace(_moved(p, event), running=None)


def _moved(p: Payment, event: Event) -> Payment:  # noqa: PLR0911 - the same
    """The state after a fact about money."""
    match event:
        case PaymentAuthorized():
            amount = event.amount.amount
            return replace(p, hold_id=event.hold_id, held=amount, authorized=amount)
        case PaymentCaptured():
            taken = event.amount.amount
            authorized = max(p.authorized, taken)
            return replace(p, hold_id=event.hold_id, held=0, authorized=authorized, captured=taken)
        case PaymentDeclined():
            return replace(p, ended=True)
        case PaymentCaptureFailed():
            return replace(p, held=0, ended=True, capture_failed=True)
        case PaymentVoided():
            return replace(p, held=0, ended=True)
        case PaymentRefunded():
            return replace(p, refunded=p.refunded + event.amount.amount)
        case _:
            return p


def order(p: Payment, ordered: PaymentOrdered) -> tuple[Event, ...]:
    return () if p.order else (ordered,)


def want_capture(p: Payment, pledge_id: PledgeId, amount: Money) -> tuple[Event, ...]:
    """A capture that is asked for before the hold is known waits; one of a charge is already done."""
    if p.capture_wanted or p.captured or p.release_wanted:
        return ()
    return (CaptureOrdered(pledge_id=pledge_id, amount=amount),)


def want_release(p: Payment, pledge_id: PledgeId, reason: str) -> tuple[Event, ...]:
    """Cancelled, voided or out of time (DOMAIN P2, P7, P8): done as soon as there is something to release."""
    if p.release_wanted or (p.ended and not p.captured):
        return ()
    return (ReleaseOrdered(pledge_id=pledge_id, reason=reason),)


def skip(p: Payment) -> tuple[Event, ...]:
    """The running step was never sent and is not wanted any more (DOMAIN P8)."""
    if not p.order or not unwanted(p):
        return ()
    return (StepEnded(pledge_id=p.order.pledge_id, reason="skipped"),)


def unwanted(p: Payment) -> bool:
    """A step that takes money is under way for a pledge that is to be released."""
    return p.release_wanted and p.running is not None and p.running.kind not in {Kind.VOID, Kind.REFUND}


def advance(p: Payment) -> tuple[Event, ...]:
    """What follows from the state by itself: the next step, or that it cannot be taken."""
    if p.order is None or p.running or p.stopped:
        return ()
    impossible = _impossible(p, p.order)
    wanted = _next(p, p.order)
    if impossible or wanted is None:
        return impossible
    kind, amount = wanted
    attempt = p.started.count(kind) + 1
    if attempt > ATTEMPTS_MAX:
        return (StepStopped(pledge_id=p.order.pledge_id, reason="too_many_attempts"),)
    return (StepStarted(pledge_id=p.order.pledge_id, kind=kind, attempt=attempt, amount=amount),)


def _impossible(p: Payment, ordered: PaymentOrdered) -> tuple[Event, ...]:
    if ordered.strategy not in STRATEGIES and not p.ended:
        return (PaymentDeclined(**_about(ordered), reason="strategy_not_supported", hard=True),)
    if p.capture_wanted is None or p.captured or p.capture_failed or p.release_wanted:
        return ()
    if p.ended:
        return (_capture_failed(p, ordered, NO_HOLD),)
    if p.held and p.capture_wanted.amount > p.held:  # M5; a person finds out who asked for too much
        return (StepStopped(pledge_id=ordered.pledge_id, reason=ABOVE_HOLD),)
    return ()


def _next(p: Payment, ordered: PaymentOrdered) -> tuple[Kind, Money] | None:
    if p.held and p.release_wanted:
        return Kind.VOID, _money(ordered, p.held)
    if p.held and p.capture_wanted:
        return Kind.CAPTURE, p.capture_wanted
    if p.captured > p.refunded and p.release_wanted:
        return Kind.REFUND, _money(ordered, p.captured - p.refunded)
    if p.hold_id or p.ended or p.release_wanted:
        return None
    kind = Kind.CHARGE if ordered.strategy is PaymentStrategy.IMMEDIATE else Kind.AUTHORIZE
    return kind, ordered.amount


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
    match p.running.kind:
        case Kind.AUTHORIZE | Kind.CHARGE:
            return (PaymentDeclined(**_about(ordered), reason=declined.code, hard=declined.hard),)
        case Kind.CAPTURE:
            return (_capture_failed(p, ordered, declined.code),)
        case _:  # money that cannot be given back needs a person
            return (StepStopped(pledge_id=ordered.pledge_id, reason=declined.code),)


def _done(p: Payment, ordered: PaymentOrdered, step: Step, outcome: Succeeded) -> Event:
    about = _about(ordered, step.amount)
    match step.kind:
        case Kind.AUTHORIZE:
            return PaymentAuthorized(**about, hold_id=outcome.reference, capture_before=outcome.capture_before)
        case Kind.CHARGE | Kind.CAPTURE:
            fee = outcome.fee or zero(ordered.amount.currency)
            return PaymentCaptured(**about, hold_id=p.hold_id or outcome.reference, provider_fee=fee)
        case Kind.VOID:
            return PaymentVoided(**about, hold_id=p.hold_id)
        case _:
            return PaymentRefunded(**about, hold_id=p.hold_id)


def _capture_failed(p: Payment, ordered: PaymentOrdered, reason: str) -> PaymentCaptureFailed:
    amount = p.capture_wanted or ordered.amount
    return PaymentCaptureFailed(**_about(ordered, amount), hold_id=p.hold_id, reason=reason)


def _about(ordered: PaymentOrdered, amount: Money | None = None) -> dict[str, PledgeId | CampaignId | Money]:
    amount = ordered.amount if amount is None else amount
    return {"pledge_id": ordered.pledge_id, "campaign_id": ordered.campaign_id, "amount": amount}


def _money(ordered: PaymentOrdered, minor: int) -> Money:
    return Money(amount=minor, currency=ordered.amount.currency)
