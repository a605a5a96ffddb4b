"""What runs inside the group's transaction: wishes from other services in, operations out, outcomes in, facts out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from contracts.campaign import CampaignLaunched
from contracts.event import Event
from contracts.pledge import (
    PledgeCancelled,
    PledgeChanged,
    PledgeChangeDropped,
    PledgeChangeRequested,
    PledgeDeclined,
    PledgePlaced,
)
from contracts.settlement import CaptureRequested, PayoutRequested, VoidRequested
from eventing.definition import Answer, Definition, Handler
from eventing.work import Fold, Need, Recorded, Work
from payment import cases, domain, domain_events, domain_payout_events, domain_state, ledger, queries, tables
from payment.cases import CaseKind
from payment.domain_events import ChangeEnded, ChangeOrdered, Kind, StepStarted
from payment.domain_state import Payment
from payment.gateway import ActionRequired, Decided, Declined, Mismatch, NoEffect, Succeeded
from payment.handlers_payout import (
    PAYOUT,
    CheckPayout,
    check_payout,
    conclude_payout,
    needs_of_check,
    on_payout_requested,
)
from payment.tables import (
    CAMPAIGNS,
    OPERATIONS,
    PAYOUTS,
    WEBHOOKS,
    CampaignRow,
    OperationRow,
    State,
    WebhookRow,
)

PAYMENT = Fold(domain_state.evolve)

# How long after an attempt that was proven to have had no effect the next one starts, by its number.
NEXT_ATTEMPT_SECONDS = (0, 1, 5, 30, 60, 300, 1_800, 3_600)


# -- commands of this service's own jobs ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Decide:
    """The provider's answer to a leased operation. Without the lease's token it is too late."""

    operation_id: UUID
    subject_id: UUID
    kind: Kind
    token: UUID
    outcome: Decided


@dataclass(frozen=True)
class PutOff:
    """A leased operation is undecided: try again after `seconds`."""

    operation_id: UUID
    token: UUID
    outcome: str
    seconds: float


@dataclass(frozen=True)
class KeepWebhook:
    event_id: str
    type: str
    object_id: str
    created_at: datetime


@dataclass(frozen=True)
class NoteReference:
    """An undecided operation has left this object at the provider; work on it now."""

    operation_id: UUID
    reference: str


# -- wishes --------------------------------------------------------------------------------------------------------


def on_launched(work: Work, recorded: Recorded) -> None:
    event: CampaignLaunched = recorded.event
    if work.get(CAMPAIGNS, event.campaign_id) is None:
        row = CampaignRow(event.campaign_id, event.creator_id, event.policy.platform_fee_bps)
        work.put(CAMPAIGNS, row)


def on_placed(work: Work, recorded: Recorded) -> None:
    event: PledgePlaced = recorded.event
    ordered = domain_events.PaymentOrdered(
        pledge_id=event.pledge_id,
        campaign_id=event.campaign_id,
        amount=event.amount,
        payment_method=event.payment_method,
        strategy=event.strategy,
    )
    _wish(work, event.pledge_id, domain.order(_payment(work, event.pledge_id), ordered))


def on_released(work: Work, recorded: Recorded) -> None:
    event: PledgeCancelled | PledgeDeclined | VoidRequested = recorded.event
    reason = event.type if isinstance(event, VoidRequested) else event.reason
    payment = _payment(work, event.pledge_id)
    _wish(work, event.pledge_id, domain.want_release(payment, event.pledge_id, reason))


def on_change_requested(work: Work, recorded: Recorded) -> None:
    event: PledgeChangeRequested = recorded.event
    ordered = ChangeOrdered(
        pledge_id=event.pledge_id,
        change_id=event.change_id,
        amount=event.new_amount,
        payment_method=event.payment_method,
    )
    _wish(work, event.pledge_id, domain.order_change(_payment(work, event.pledge_id), ordered))


def on_change_ended(work: Work, recorded: Recorded) -> None:
    event: PledgeChanged | PledgeChangeDropped = recorded.event
    accepted = isinstance(event, PledgeChanged)
    ended = ChangeEnded(pledge_id=event.pledge_id, change_id=event.change_id, accepted=accepted)
    _wish(work, event.pledge_id, domain.end_change(_payment(work, event.pledge_id), ended))


def on_capture_requested(work: Work, recorded: Recorded) -> None:
    event: CaptureRequested = recorded.event
    payment = _payment(work, event.pledge_id)
    _wish(work, event.pledge_id, domain.want_capture(payment, event.pledge_id, event.amount))


def _payment(work: Work, pledge_id: UUID) -> Payment:
    return work.stream(PAYMENT, pledge_id).state or domain_state.NOTHING


def _wish(work: Work, pledge_id: UUID, events: tuple[Event, ...]) -> None:
    if not events:
        return
    work.append(PAYMENT, pledge_id, *events)
    _skip_unsent(work, pledge_id)
    _advance(work, pledge_id, delay_seconds=0)


def _skip_unsent(work: Work, pledge_id: UUID) -> None:
    """A step that is not wanted any more and was never sent is not sent (DOMAIN P8)."""
    payment = _payment(work, pledge_id)
    if not domain.unwanted(payment):
        return
    assert payment.running is not None
    row = work.get(OPERATIONS, tables.operation_id_of(pledge_id, payment.running.kind, payment.running.attempt))
    assert row is not None, "a running step has its operation"
    if row.state is State.WAITING and row.sends == 0:
        work.put(OPERATIONS, replace(row, state=State.SKIPPED, outcome="skipped", decided_at=work.now))
        work.append(PAYMENT, pledge_id, *domain.skip(payment))


def _advance(work: Work, pledge_id: UUID, delay_seconds: float) -> None:
    """Record what follows from the state, and write down the operation of a step that it starts."""
    while events := domain.advance(_payment(work, pledge_id)):
        work.append(PAYMENT, pledge_id, *events)
        for event in events:
            if isinstance(event, StepStarted):
                _write_down(work, event, delay_seconds)


def _write_down(work: Work, step: StepStarted, delay_seconds: float) -> None:
    payment = _payment(work, step.pledge_id)
    assert payment.order is not None, "a step follows from an order"
    row = OperationRow(
        operation_id=tables.operation_id_of(step.pledge_id, step.kind, step.attempt),
        subject_id=step.pledge_id,
        campaign_id=payment.order.campaign_id,
        kind=step.kind,
        attempt=step.attempt,
        amount=step.amount.amount,
        currency=step.amount.currency,
        counterpart=domain.counterpart(payment, step),
        due_at=work.now + timedelta(seconds=delay_seconds),
        created_at=work.now,
    )
    work.insert(OPERATIONS, row)


# -- outcomes ------------------------------------------------------------------------------------------------------


def decide(work: Work, command: Decide) -> Answer:
    """Record what the provider answered: facts, their postings, the operation's end and the step that follows."""
    row = _leased(work, command.operation_id, command.token)
    if row is None:
        return {"recorded": False}
    delay = NEXT_ATTEMPT_SECONDS[min(row.attempt, len(NEXT_ATTEMPT_SECONDS)) - 1]
    if row.kind is Kind.PAYOUT:
        stopped = conclude_payout(work, row, command.outcome, describe(command.outcome), delay)
    else:
        stopped = _conclude(work, row, command)
    reference = command.outcome.reference if isinstance(command.outcome, Succeeded | ActionRequired) else row.reference
    ended = replace(
        row,
        state=State.STOPPED if stopped else State.DONE,
        outcome=describe(command.outcome),
        reference=reference,
        lease_token=None,
        lease_until=None,
        decided_at=work.now,
    )
    work.put(OPERATIONS, ended)
    if stopped:
        _open_case(work, row, command.outcome)
    if row.kind is not Kind.PAYOUT:
        _advance(work, row.subject_id, delay if isinstance(command.outcome, NoEffect) else 0)
    return {"recorded": True, "stopped": stopped}


def _open_case(work: Work, row: OperationRow, outcome: Decided) -> None:
    """A person looks at what stopped (DOMAIN Y6)."""
    kind = CaseKind.MISMATCH if isinstance(outcome, Mismatch) else CaseKind.STOPPED
    cases.open_case(
        work,
        kind,
        str(row.operation_id),
        f"{row.kind} of {row.amount} {row.currency}: {describe(outcome)}",
        campaign_id=row.campaign_id,
        pledge_id=None if row.kind is Kind.PAYOUT else row.subject_id,
        operation_id=row.operation_id,
    )


def _conclude(work: Work, row: OperationRow, command: Decide) -> bool:
    """Whether the payment stopped for a person to look at."""
    before = _payment(work, row.subject_id)
    facts = domain.conclude(before, command.outcome)
    work.append(PAYMENT, row.subject_id, *facts)
    for fact in facts:
        ledger.book(work, fact)
    return _payment(work, row.subject_id).stopped


def put_off(work: Work, command: PutOff) -> Answer:
    row = _leased(work, command.operation_id, command.token)
    if row is None:
        return {"recorded": False}
    due = work.now + timedelta(seconds=command.seconds)
    waiting = replace(row, state=State.WAITING, outcome=command.outcome, due_at=due, lease_token=None, lease_until=None)
    work.put(OPERATIONS, waiting)
    return {"recorded": True}


def _leased(work: Work, operation_id: UUID, token: UUID) -> OperationRow | None:
    row = work.get(OPERATIONS, operation_id)
    return row if row is not None and row.state is State.LEASED and row.lease_token == token else None


def describe(outcome: Decided) -> str:
    match outcome:
        case Succeeded():
            return "succeeded"
        case Declined(code, hard):
            return f"declined ({'hard' if hard else 'soft'}): {code}"
        case ActionRequired():
            return "action required"
        case NoEffect(reason):
            return f"no effect: {reason}"
        case Mismatch(reason):
            return f"mismatch: {reason}"
        case _:
            assert_never(outcome)


# -- webhooks ------------------------------------------------------------------------------------------------------


def keep_webhook(work: Work, command: KeepWebhook) -> Answer:
    if work.get(WEBHOOKS, command.event_id) is None:
        row = WebhookRow(command.event_id, command.type, command.object_id, command.created_at, work.now, None)
        work.put(WEBHOOKS, row)
    return {}


def note_reference(work: Work, command: NoteReference) -> Answer:
    row = work.get(OPERATIONS, command.operation_id)
    if row is None or row.decided_at is not None:
        return {"noted": False}
    due = work.now if row.state is State.WAITING else row.due_at
    work.put(OPERATIONS, replace(row, reference=command.reference, due_at=due))
    return {"noted": True}


# -- what each of them touches -------------------------------------------------------------------------------------


def _pledge(recorded: Recorded) -> Iterable[Need]:
    return ((PAYMENT, recorded.subject),)


def _campaign(recorded: Recorded) -> Iterable[Need]:
    return (CAMPAIGNS, (recorded.subject,)), (PAYOUTS, (recorded.subject,))


def _decided(command: Decide) -> Iterable[Need]:
    yield OPERATIONS, (command.operation_id,)
    if command.kind is Kind.PAYOUT:
        yield PAYOUT, command.subject_id
        yield PAYOUTS, (command.subject_id,)
    else:
        yield PAYMENT, command.subject_id
        if command.kind is not Kind.AUTHORIZE:
            yield DEFINITION.source, command.subject_id  # the ledger finds the hold that this resolves


def _operation(command: PutOff | NoteReference) -> Iterable[Need]:
    return ((OPERATIONS, (command.operation_id,)),)


def _webhook(command: KeepWebhook) -> Iterable[Need]:
    return ((WEBHOOKS, (command.event_id,)),)


DEFINITION = Definition(
    source="payment",
    commands={
        Decide: Handler(decide, _decided),
        PutOff: Handler(put_off, _operation),
        CheckPayout: Handler(check_payout, needs_of_check, queries.books_of),
        KeepWebhook: Handler(keep_webhook, _webhook),
        NoteReference: Handler(note_reference, _operation),
    },
    reactions={
        CampaignLaunched: Handler(on_launched, _campaign),
        PledgePlaced: Handler(on_placed, _pledge),
        PledgeCancelled: Handler(on_released, _pledge),
        PledgeDeclined: Handler(on_released, _pledge),
        PledgeChangeRequested: Handler(on_change_requested, _pledge),
        PledgeChanged: Handler(on_change_ended, _pledge),
        PledgeChangeDropped: Handler(on_change_ended, _pledge),
        VoidRequested: Handler(on_released, _pledge),
        CaptureRequested: Handler(on_capture_requested, _pledge),
        PayoutRequested: Handler(on_payout_requested, _campaign),
    },
    tables=tables.TABLES,
    private_events=(*domain_events.PRIVATE_EVENTS, *domain_payout_events.PRIVATE_EVENTS),
)
