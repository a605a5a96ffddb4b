"""The way of every wish about a pledge: recorded, what is not wanted any more skipped, the next step written down."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from eventing.restored import before_restore
from eventing.work import Fold, Need, Work
from payment import cases, domain, domain_fold, domain_restored, handlers_renewal, tables
from payment.budget import Lane, lane_of
from payment.cases import CaseKind
from payment.domain_events import Kind, PaymentOrdered, StepStarted, StepStopped
from payment.domain_state import Payment
from payment.tables import OPERATIONS, PAYERS, RENEWALS, OperationRow, State

PAYMENT = Fold(domain_fold.evolve)
CREATIONS = frozenset((Kind.AUTHORIZE, Kind.CHARGE, Kind.SAVE))
_BEFORE = timedelta(seconds=1)
_SOON = frozenset((Kind.AUTHORIZE, Kind.FOLLOW))
RELEASE = "release"  # the purpose of a refund of all that is left


def needs(pledge_id: UUID) -> tuple[Need, ...]:
    """What every handler about a pledge touches."""
    return (PAYERS, (pledge_id,)), (RENEWALS, (pledge_id,)), (PAYMENT, pledge_id)


def payment_of(work: Work, pledge_id: UUID) -> Payment:
    return work.stream(PAYMENT, pledge_id).state or domain_fold.NOTHING


def record(work: Work, pledge_id: UUID, *events: Event) -> None:
    """Append, and plan the renewal of the hold that is current then."""
    work.append(PAYMENT, pledge_id, *events)
    handlers_renewal.plan(work, pledge_id, payment_of(work, pledge_id), events)


def wish(work: Work, pledge_id: UUID, events: tuple[Event, ...]) -> None:
    if not events:
        return
    record(work, pledge_id, *events)
    skip_unwanted(work, pledge_id)
    advance(work, pledge_id, delay_seconds=0)


def skip_unwanted(work: Work, pledge_id: UUID, *, looked: bool = False) -> None:
    """A step that is not wanted any more and was never sent, or moves nothing, ends here (DOMAIN P8)."""
    payment = payment_of(work, pledge_id)
    if not domain.unwanted(payment, looked=looked):
        return
    assert payment.running is not None
    step = payment.running
    row = work.get(OPERATIONS, tables.operation_id_of(pledge_id, step.kind, step.attempt, step.change_id))
    assert row is not None, "a running step has its operation"
    moves = row.kind is not Kind.FOLLOW
    if row.state is not State.WAITING or (moves and row.sends):
        return
    if moves and may_be_forgotten(work, payment, row.created_at):  # looked for, as if sent before it was written down
        work.put(OPERATIONS, replace(row, first_sent_at=row.created_at - _BEFORE, sends=1))
    else:
        work.put(OPERATIONS, replace(row, state=State.SKIPPED, outcome="skipped", decided_at=work.now))
        record(work, pledge_id, *domain.skip(payment, looked=looked))


def may_be_forgotten(work: Work, payment: Payment, at: datetime) -> bool:
    """Whether the pledge, or what was told of it then, is older than a restore: more may have come of it."""
    placed_at = payment.order.placed_at if payment.order else None
    return before_restore(work.version_floor, min(placed_at or at, at))


def advance(work: Work, pledge_id: UUID, delay_seconds: float) -> None:
    """Record what follows from the state, and write down the operation of a step that it starts."""
    while events := domain.advance(payment_of(work, pledge_id)):
        record(work, pledge_id, *events)
        for event in events:
            if isinstance(event, StepStarted):
                _write_down(work, event, delay_seconds)
            elif isinstance(event, StepStopped):  # by itself, with no answer of the provider's to look at
                _open_case(work, event)


def _open_case(work: Work, stopped: StepStopped) -> None:
    ordered = payment_of(work, stopped.pledge_id).order
    assert ordered is not None, "nothing stops without an order"
    cases.open_case(
        work,
        CaseKind.STOPPED,
        str(stopped.pledge_id),
        f"the payment of {ordered.amount} stopped by itself: {stopped.reason}",
        campaign_id=ordered.campaign_id,
        pledge_id=stopped.pledge_id,
    )


def _write_down(work: Work, step: StepStarted, delay_seconds: float) -> None:
    payment = payment_of(work, step.pledge_id)
    ordered, payer = payment.order, work.get(PAYERS, step.pledge_id)
    assert ordered is not None, "a step follows from an order"
    forgotten_at = _forgotten_at(work, ordered, step)
    row = OperationRow(
        operation_id=tables.operation_id_of(step.pledge_id, step.kind, step.attempt, step.change_id),
        subject_id=step.pledge_id,
        campaign_id=ordered.campaign_id,
        kind=step.kind,
        attempt=step.attempt,
        amount=step.amount.amount,
        currency=step.amount.currency,
        counterpart=domain.card_of(payment, step) if step.kind in CREATIONS else step.hold_id or payment.hold_id,
        due_at=work.now + timedelta(seconds=delay_seconds),
        created_at=work.now,
        reference=step.hold_id if step.kind is Kind.FOLLOW else None,
        customer=payer.customer_id if payer else None,
        off_session=step.kind in CREATIONS and bool(step.hold_id),
        extended=ordered.strategy is PaymentStrategy.EXTENDED_HOLD,
        purpose=str(step.refund_id or RELEASE) if step.kind is Kind.REFUND else "",
        lane=_lane(payment, step),
        act_by=payment.hold.capture_before if payment.hold else None,
        sends=1 if forgotten_at else 0,
        first_sent_at=forgotten_at,
        change_id=step.change_id,
    )
    work.insert(OPERATIONS, row)


def _forgotten_at(work: Work, ordered: PaymentOrdered, step: StepStarted) -> datetime | None:
    """From when on what is asked for at first may have been sent by a database that has forgotten it since.

    Then it is as if it had been sent, though the operation is younger than that: it is looked for. If it is not there,
    the next attempt is sent; its key would give the same answer again.
    """
    if ordered.placed_at is None or not before_restore(work.version_floor, ordered.placed_at):
        return None
    first = step.kind in CREATIONS and step.attempt == 1 and step.change_id is None
    sent = first or domain_restored.may_be_there(payment_of(work, step.pledge_id), step)
    return ordered.placed_at if sent else None


def _lane(payment: Payment, step: StepStarted) -> Lane:
    """Nobody waits at the checkout for what is asked again about a hold that was there before."""
    if step.kind is Kind.CHARGE and step.hold_id:
        return Lane.SETTLEMENT
    awaited = step.kind is Kind.FOLLOW and (payment.awaited is not None or step.change_id is not None)
    return lane_of(step.kind) if awaited or not step.hold_id or step.kind not in _SOON else Lane.RENEWAL
