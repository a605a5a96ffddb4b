"""The daily two-way match (DOMAIN Y6): what moved at the provider is in the ledger, and the other way round."""

from dataclasses import dataclass
from uuid import UUID

from payment.gateway import Movement, MovementKind


@dataclass(frozen=True)
class Booked:
    """A posting that moved our balance at the provider by `amount`, in minor units; what leaves is negative."""

    posting_id: UUID
    event: str
    campaign_id: UUID
    pledge_id: UUID | None
    amount: int
    currency: str


@dataclass(frozen=True)
class Difference:
    """`about` names the movement or the posting."""

    about: str
    what: str
    campaign_id: UUID | None
    pledge_id: UUID | None


def of_movement(movement: Movement, booked: Booked | None, paired_with: str | None) -> Difference | None:
    """What is wrong with a movement, by its posting and the movement that this posting was found to belong to."""
    if movement.kind is MovementKind.OWN:  # between our balance and our own bank, or the provider's bills
        return None
    said = f"{movement.type} of {movement.net} {movement.currency} ({movement.source})"
    if movement.inexact:
        return _of(movement, f"{said} has a fraction of a minor unit, which the ledger cannot hold")
    if booked is None:
        return _of(movement, f"{said} is not in the ledger")
    if paired_with not in {None, movement.movement_id}:
        return _of(movement, f"{said} is booked once, but moved twice: by {paired_with} as well")
    if (movement.net, movement.currency) != (booked.amount, booked.currency):
        return _of(movement, f"{said} is booked as {booked.amount} {booked.currency}")
    return None


def of_posting(booked: Booked) -> Difference:
    """A posting that no movement belongs to."""
    what = f"{booked.event} of {booked.amount} {booked.currency} moved nothing at the provider"
    return Difference(str(booked.posting_id), what, booked.campaign_id, booked.pledge_id)


def _of(movement: Movement, what: str) -> Difference:
    return Difference(movement.movement_id, what, movement.campaign_id, movement.pledge_id)
