"""Refunds inside the group's transaction (DOMAIN Y8): ordered by people, and found at the provider."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from contracts.ids import PersonId, PledgeId
from contracts.money import Money
from contracts.payment import PaymentRefunded
from eventing.definition import Answer
from eventing.work import Need, Work
from payment import cases, domain, domain_refunds, ledger
from payment import handlers_steps as steps
from payment.cases import CaseKind
from payment.domain_refunds import NoSuchPledge, Progress, RefundReason
from payment.gateway_found import SeenRefund
from payment.tables import CAMPAIGNS, OPERATIONS


@dataclass(frozen=True)
class OrderRefund:
    """`person_id` None: an operator, who may refund any pledge. `amount` None: all that is left."""

    pledge_id: PledgeId
    refund_id: UUID
    person_id: PersonId | None
    amount: Money | None
    reason: RefundReason


@dataclass(frozen=True)
class NoteRefunds:
    """All refunds that the provider has of a pledge's payment."""

    pledge_id: PledgeId
    payment_id: str
    refunds: tuple[SeenRefund, ...]


def order_refund(work: Work, command: OrderRefund) -> Answer:
    payment = steps.payment_of(work, command.pledge_id)
    campaign = work.get(CAMPAIGNS, payment.order.campaign_id) if payment.order else None
    if campaign is None or command.person_id not in {None, campaign.creator_id}:
        raise NoSuchPledge("It may not have been heard of yet.")
    ordered = domain_refunds.order(payment, command.pledge_id, command.refund_id, command.amount, command.reason)
    steps.wish(work, command.pledge_id, domain.want_refund(payment, ordered))
    path = f"/pledges/{command.pledge_id}/refunds"
    return {
        "refund_id": str(command.refund_id),
        "pledge_id": str(command.pledge_id),
        "amount": ordered.amount.model_dump(),
        "reason": command.reason.value,
        "status": Progress.ORDERED.value,
        "at": work.now.isoformat(),
        "links": {"self": f"{path}/{command.refund_id}", "refunds": path},
    }


def note_refunds(work: Work, command: NoteRefunds) -> Answer:
    """Book what none of our operations made. Not yet `noted` while the capture is not recorded here."""
    payment = steps.payment_of(work, command.pledge_id)
    if payment.order is not None and not (payment.captured and payment.hold_id == command.payment_id):
        return {"noted": False}
    for seen in command.refunds:
        _note(work, command.pledge_id, seen)
    steps.advance(work, command.pledge_id, delay_seconds=0)
    return {"noted": True}


def _note(work: Work, pledge_id: PledgeId, seen: SeenRefund) -> None:
    """Our own is recorded by its operation's answer, whichever of the two comes first."""
    payment = steps.payment_of(work, pledge_id)
    ours = seen.operation_id is not None and work.get(OPERATIONS, seen.operation_id) is not None
    if came_back := domain_refunds.failed_at_provider(seen):
        if ours or seen.refund_id in payment.found:
            _open_case(work, pledge_id, CaseKind.REFUND_FAILED, seen, came_back)
        return
    if ours:
        return
    if seen.operation_id is not None:
        text = f"the refund {seen.refund_id} of {seen.amount} is of an operation that is not known here"
        _open_case(work, pledge_id, CaseKind.FOREIGN_EVENT, seen, text)
        return
    if reason := domain_refunds.wrong(payment, seen):
        _open_case(work, pledge_id, CaseKind.MISMATCH, seen, f"the refund {seen.refund_id} is {reason}")
        return
    for fact in domain_refunds.found(payment, seen):
        steps.record(work, pledge_id, fact)
        if isinstance(fact, PaymentRefunded):
            ledger.book(work, fact)


def _open_case(work: Work, pledge_id: PledgeId, kind: CaseKind, seen: SeenRefund, text: str) -> None:
    ordered = steps.payment_of(work, pledge_id).order
    campaign_id = ordered.campaign_id if ordered else None
    cases.open_case(work, kind, seen.refund_id, text, campaign_id=campaign_id, pledge_id=pledge_id)


def needs_of_order(command: OrderRefund) -> Iterable[Need]:
    return steps.needs(command.pledge_id)


def needs_of_note(command: NoteRefunds) -> Iterable[Need]:
    yield from steps.needs(command.pledge_id)
    yield from ((OPERATIONS, (seen.operation_id,)) for seen in command.refunds if seen.operation_id is not None)
