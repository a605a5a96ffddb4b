"""Which posting a movement at the provider belongs to, and what of a posting moved our balance there (DOMAIN Y6)."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from contracts.payment import (
    PaymentCaptured,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentRefunded,
    PayoutSent,
)
from payment.gateway import Movement, MovementKind
from payment.ledger import Account, Line, posting_id_of

_FACTS: Final = {
    MovementKind.CHARGE: PaymentCaptured.type,
    MovementKind.REFUND: PaymentRefunded.type,
    MovementKind.DISPUTE: PaymentDisputeOpened.type,
    MovementKind.DISPUTE_RETURN: PaymentDisputeClosed.type,
    MovementKind.TRANSFER: PayoutSent.type,
}


def posting_ids_of(movement: Movement) -> tuple[UUID, ...]:
    """Where a movement can be booked. None: nothing that we book moves the balance like this."""
    fact = _FACTS.get(movement.kind)
    if fact is None:
        return ()
    if movement.kind is MovementKind.CHARGE:
        return (posting_id_of(fact, movement.payment),)
    if movement.kind is MovementKind.REFUND:  # refunds of old were named after their payment
        return posting_id_of(fact, movement.source), posting_id_of(fact, movement.payment)
    return (posting_id_of(fact, movement.source),)


def moved_at_provider(lines: Iterable[Line]) -> tuple[int, str] | None:
    """By how much a posting changed our balance at the provider, and in which currency; None: not at all."""
    ours = [line for line in lines if line.account is Account.PROVIDER_RECEIVABLE]
    return (sum(line.amount for line in ours), ours[0].currency) if ours else None
