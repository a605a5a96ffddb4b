"""Disputes inside the group's transaction (DOMAIN Y9): each booked once when it opens and once when it closes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from contracts.ids import PledgeId
from contracts.payment import PaymentDisputeClosed, PaymentDisputeOpened
from eventing.definition import Answer
from eventing.work import Need, Work
from payment import cases, domain_disputes, handlers_payout, ledger
from payment import handlers_steps as steps
from payment.cases import CaseKind
from payment.gateway_found import SeenDispute
from payment.tables import DISPUTES, DisputeRow, DisputeState


@dataclass(frozen=True)
class NoteDispute:
    """A dispute as the provider has it now."""

    pledge_id: PledgeId
    seen: SeenDispute


def note_dispute(work: Work, command: NoteDispute) -> Answer:
    seen, pledge_id = command.seen, command.pledge_id
    payment, row = steps.payment_of(work, pledge_id), work.get(DISPUTES, command.seen.dispute_id)
    if domain_disputes.waits(payment, seen):
        return {"noted": False}
    closed = row is not None and row.state is not DisputeState.OPEN
    facts = domain_disputes.facts(payment, seen, opened=row is not None, closed=closed)
    if facts and (reason := domain_disputes.wrong(payment, seen)):
        _open_case(work, command, f"the dispute {seen.dispute_id} {reason}")
        return {"noted": True}
    for fact in facts:
        steps.record(work, pledge_id, fact)
        match fact:
            case PaymentDisputeOpened():
                ledger.book(work, fact)
                work.put(DISPUTES, _opened(work, fact))
            case PaymentDisputeClosed():
                ledger.book(work, fact)
                _close(work, fact)
            case _:
                pass
    steps.advance(work, pledge_id, delay_seconds=0)
    return {"noted": True}


def _opened(work: Work, fact: PaymentDisputeOpened) -> DisputeRow:
    return DisputeRow(
        dispute_id=fact.dispute_id,
        campaign_id=fact.campaign_id,
        pledge_id=fact.pledge_id,
        amount=fact.amount.amount,
        fee=fact.fee.amount,
        currency=fact.amount.currency,
        reason=fact.reason,
        state=DisputeState.OPEN,
        opened_at=work.now,
    )


def _close(work: Work, fact: PaymentDisputeClosed) -> None:
    row = work.get(DISPUTES, fact.dispute_id)
    assert row is not None, "a dispute is opened before it is closed"
    state = DisputeState.WON if fact.won else DisputeState.LOST
    work.put(DISPUTES, replace(row, state=state, fee=row.fee - fact.fee_returned.amount, closed_at=work.now))
    if fact.won:
        handlers_payout.wake(work, fact.campaign_id)


def _open_case(work: Work, command: NoteDispute, text: str) -> None:
    ordered = steps.payment_of(work, command.pledge_id).order
    campaign_id = ordered.campaign_id if ordered else None
    about = command.seen.dispute_id
    cases.open_case(work, CaseKind.MISMATCH, about, text, campaign_id=campaign_id, pledge_id=command.pledge_id)


def needs_of_note(command: NoteDispute) -> Iterable[Need]:
    yield from steps.needs(command.pledge_id)
    yield DISPUTES, (command.seen.dispute_id,)
