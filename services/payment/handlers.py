"""What runs inside the group's transaction: wishes from other services in, operations out, outcomes in, facts out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from contracts.campaign import CampaignLaunched
from contracts.ids import PledgeId
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
from eventing.restored import before_restore
from eventing.work import Need, Recorded, Work
from payment import (
    cases,
    domain,
    domain_events,
    domain_outcomes,
    domain_payout_events,
    handlers_cases,
    handlers_disputes,
    handlers_payout,
    handlers_refunds,
    handlers_webhooks,
    ledger,
    queries,
    tables,
)
from payment import handlers_steps as steps
from payment.budget import Lane, lane_of
from payment.cases import CaseKind
from payment.domain_events import CaptureOrdered, ChangeEnded, ChangeOrdered, Kind, RefundFailed
from payment.gateway import ActionRequired, Decided, Mismatch, NoEffect, Succeeded, describe
from payment.handlers_disputes import NoteDispute
from payment.handlers_payout import CheckPayout
from payment.handlers_refunds import NoteRefunds, OrderRefund
from payment.tables import (
    CAMPAIGNS,
    OPERATIONS,
    PAYERS,
    PAYOUTS,
    RENEWALS,
    CampaignRow,
    OperationRow,
    PayerRow,
    State,
)

# How long after an attempt that was proven to have had no effect the next one starts, by its number.
NEXT_ATTEMPT_SECONDS = (0, 1, 5, 30, 60, 300, 1_800, 3_600)
RENEWAL_AGAIN = timedelta(hours=1)  # Should a renewal not come to an end that plans the next.


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
    """A leased operation is undecided: try again after `seconds`. Not `sent`: as if it had never been leased.

    `waits`: the provider was asked, and waits for the backer.
    """

    operation_id: UUID
    token: UUID
    outcome: str
    seconds: float
    sent: bool = True
    waits: bool = False


@dataclass(frozen=True)
class KeepCustomer:
    """The provider's customer of a pledge, made for a leased operation that is not sent yet."""

    operation_id: UUID
    pledge_id: UUID
    token: UUID
    customer_id: str


@dataclass(frozen=True)
class RenewHold:
    """The timer's: a pledge's current hold seems to be due (DOMAIN Y3)."""

    pledge_id: PledgeId


@dataclass(frozen=True)
class CheckHold:
    """Somebody says that a hold has ended: look at it, if it is the current one of its pledge (DOMAIN Y4)."""

    pledge_id: PledgeId
    hold_id: str


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
        placed_at=recorded.time,
        strategy=event.strategy,
        backer_id=event.backer_id,
        told_anew=before_restore(work.version_floor, recorded.time),
    )
    if work.get(PAYERS, event.pledge_id) is None:
        work.put(PAYERS, PayerRow(event.pledge_id, event.campaign_id, event.backer_id))
    steps.wish(work, event.pledge_id, domain.order(steps.payment_of(work, event.pledge_id), ordered))


def on_released(work: Work, recorded: Recorded) -> None:
    event: PledgeCancelled | PledgeDeclined | VoidRequested = recorded.event
    reason = event.type if isinstance(event, VoidRequested) else event.reason
    payment = steps.payment_of(work, event.pledge_id)
    steps.wish(work, event.pledge_id, domain.want_release(payment, event.pledge_id, reason))


def on_change_requested(work: Work, recorded: Recorded) -> None:
    event: PledgeChangeRequested = recorded.event
    ordered = ChangeOrdered(
        pledge_id=event.pledge_id,
        change_id=event.change_id,
        amount=event.new_amount,
        payment_method=event.payment_method,
        version=recorded.version,
        told_anew=before_restore(work.version_floor, recorded.time),
    )
    steps.wish(work, event.pledge_id, domain.order_change(steps.payment_of(work, event.pledge_id), ordered))


def on_change_ended(work: Work, recorded: Recorded) -> None:
    event: PledgeChanged | PledgeChangeDropped = recorded.event
    accepted = isinstance(event, PledgeChanged)
    ended = ChangeEnded(pledge_id=event.pledge_id, change_id=event.change_id, accepted=accepted)
    steps.wish(work, event.pledge_id, domain.end_change(steps.payment_of(work, event.pledge_id), ended))


def on_capture_requested(work: Work, recorded: Recorded) -> None:
    event: CaptureRequested = recorded.event
    payment = steps.payment_of(work, event.pledge_id)
    forgotten = steps.may_be_forgotten(work, payment, recorded.time)
    ordered = CaptureOrdered(pledge_id=event.pledge_id, amount=event.amount, may_be_forgotten=forgotten)
    steps.wish(work, event.pledge_id, domain.want_capture(payment, ordered))


# -- outcomes ------------------------------------------------------------------------------------------------------


def decide(work: Work, command: Decide) -> Answer:
    """Record what the provider answered: facts, their postings, the operation's end and the step that follows."""
    row = _leased(work, command.operation_id, command.token)
    if row is None:
        return {"recorded": False}
    outcome = command.outcome
    delay = NEXT_ATTEMPT_SECONDS[min(row.attempt, len(NEXT_ATTEMPT_SECONDS)) - 1]
    payout = row.kind is Kind.PAYOUT
    if payout:
        stopped = handlers_payout.conclude_payout(work, row, outcome, describe(outcome), delay)
    else:
        stopped = _conclude(work, row, outcome)
    ended = replace(
        row,
        state=State.STOPPED if stopped else State.DONE,
        outcome=describe(outcome),
        reference=outcome.reference if isinstance(outcome, Succeeded | ActionRequired) else row.reference,
        lease_token=None,
        lease_until=None,
        decided_at=work.now,
    )
    work.put(OPERATIONS, ended)
    if stopped:
        _open_case(work, row, outcome)
    if not payout:
        steps.advance(work, row.subject_id, delay if isinstance(outcome, NoEffect) else 0)
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


def _conclude(work: Work, row: OperationRow, outcome: Decided) -> bool:
    """Whether a person has to look: the payment stopped, or a refund was not given."""
    before = steps.payment_of(work, row.subject_id)
    facts = domain_outcomes.conclude(before, outcome)
    steps.record(work, row.subject_id, *facts)
    for fact in facts:
        ledger.book(work, fact)
    failed = any(isinstance(fact, RefundFailed) for fact in facts)
    return failed or steps.payment_of(work, row.subject_id).stopped


def put_off(work: Work, command: PutOff) -> Answer:
    row = _leased(work, command.operation_id, command.token)
    if row is None:
        return {"recorded": False}
    due = work.now + timedelta(seconds=command.seconds)
    waiting = replace(row, state=State.WAITING, outcome=command.outcome, due_at=due, lease_token=None, lease_until=None)
    if not command.sent:
        sends = row.sends - 1
        waiting = replace(waiting, sends=sends, first_sent_at=row.first_sent_at if sends else None)
    work.put(OPERATIONS, waiting)
    if row.kind is Kind.FOLLOW:  # what was wished while it looked may make looking pointless
        steps.skip_unwanted(work, row.subject_id, looked=command.waits)
        steps.advance(work, row.subject_id, delay_seconds=0)
    return {"recorded": True}


def keep_customer(work: Work, command: KeepCustomer) -> Answer:
    """The first one counts. Without the lease none is kept: another worker has made one under the same key."""
    row, payer = _leased(work, command.operation_id, command.token), work.get(PAYERS, command.pledge_id)
    if row is None:
        return {"customer": None}
    payer = payer or PayerRow(command.pledge_id, row.campaign_id, None)
    customer = payer.customer_id or command.customer_id
    work.put(PAYERS, replace(payer, customer_id=customer))
    work.put(OPERATIONS, replace(row, customer=customer))
    return {"customer": customer}


def _leased(work: Work, operation_id: UUID, token: UUID) -> OperationRow | None:
    row = work.get(OPERATIONS, operation_id)
    return row if row is not None and row.state is State.LEASED and row.lease_token == token else None


# -- holds ---------------------------------------------------------------------------------------------------------


def renew_hold(work: Work, command: RenewHold) -> Answer:
    """Replace the current hold by a new one; one that should have lapsed by now is looked at first."""
    row = work.get(RENEWALS, command.pledge_id)
    if row is None or row.due_at > work.now:
        return {}
    work.put(RENEWALS, replace(row, due_at=work.now + RENEWAL_AGAIN))
    payment = steps.payment_of(work, command.pledge_id)
    lapsed = row.capture_before is not None and row.capture_before <= work.now
    doubts = domain.doubt(payment, command.pledge_id, row.hold_id) if lapsed else ()
    steps.wish(work, command.pledge_id, doubts + domain.want_renewal(payment, command.pledge_id, row.hold_id))
    return {}


def check_hold(work: Work, command: CheckHold) -> Answer:
    payment = steps.payment_of(work, command.pledge_id)
    steps.wish(work, command.pledge_id, domain.doubt(payment, command.pledge_id, command.hold_id))
    return {}


# -- what each of them touches -------------------------------------------------------------------------------------


def _pledge(recorded: Recorded) -> Iterable[Need]:
    return steps.needs(recorded.subject)


def _campaign(recorded: Recorded) -> Iterable[Need]:
    return (CAMPAIGNS, (recorded.subject,)), (PAYOUTS, (recorded.subject,))


def _decided(command: Decide) -> Iterable[Need]:
    yield OPERATIONS, (command.operation_id,)
    if command.kind is Kind.PAYOUT:
        yield handlers_payout.PAYOUT, command.subject_id
        yield PAYOUTS, (command.subject_id,)
    else:
        yield from steps.needs(command.subject_id)
        if command.kind is not Kind.AUTHORIZE:
            yield DEFINITION.source, command.subject_id  # the ledger finds the hold that this resolves


def _operation(command: PutOff | KeepCustomer) -> Iterable[Need]:
    yield OPERATIONS, (command.operation_id,)
    if isinstance(command, KeepCustomer):
        yield PAYERS, (command.pledge_id,)


def _hold(command: RenewHold | CheckHold) -> Iterable[Need]:
    return steps.needs(command.pledge_id)


# What a settlement asks for. A cancellation is not among it: it may come in time for nothing to be sent.
_PATIENT = (CaptureRequested, VoidRequested, PayoutRequested)


def patient(message: Any) -> bool:
    if isinstance(message, Decide):
        return lane_of(message.kind) is not Lane.CHECKOUT
    return isinstance(message, Recorded) and isinstance(message.event, _PATIENT)


DEFINITION = Definition(
    source="payment",
    commands={
        Decide: Handler(decide, _decided),
        PutOff: Handler(put_off, _operation),
        KeepCustomer: Handler(keep_customer, _operation),
        RenewHold: Handler(renew_hold, _hold),
        CheckHold: Handler(check_hold, _hold),
        CheckPayout: Handler(handlers_payout.check_payout, handlers_payout.needs_of_check, queries.books_of),
        OrderRefund: Handler(handlers_refunds.order_refund, handlers_refunds.needs_of_order),
        NoteRefunds: Handler(handlers_refunds.note_refunds, handlers_refunds.needs_of_note),
        NoteDispute: Handler(handlers_disputes.note_dispute, handlers_disputes.needs_of_note),
        **handlers_webhooks.COMMANDS,
        **handlers_cases.COMMANDS,
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
        PayoutRequested: Handler(handlers_payout.on_payout_requested, _campaign),
    },
    tables=tables.TABLES,
    private_events=(*domain_events.PRIVATE_EVENTS, *domain_payout_events.PRIVATE_EVENTS),
    patient=patient,
    gather_seconds=0.1,
)
