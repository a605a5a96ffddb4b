"""Refunds: what may be ordered, what was found at the provider, and the list of them all (DOMAIN Y8)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from contracts.event import Event
from contracts.ids import PledgeId
from contracts.money import Money
from contracts.payment import PaymentRefunded
from eventing.refusal import Refusal
from payment import domain
from payment.domain_events import RefundFailed, RefundFound, RefundOrdered, StepStarted
from payment.domain_state import Payment
from payment.gateway_found import RefundStatus, SeenRefund

OUTSIDE = "provider_dashboard"  # The reason of a refund that was not ordered here.


class RefundReason(StrEnum):
    """Words of our own and no free text: reasons stand in events, which hold nothing of a person (DOMAIN N4)."""

    REQUESTED_BY_BACKER = "requested_by_backer"
    CANNOT_DELIVER = "cannot_deliver"
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    OTHER = "other"


class NoSuchPledge(Refusal):
    code: ClassVar[str] = "pledge-not-found"
    title: ClassVar[str] = "There is no such pledge to a campaign of yours"
    status: ClassVar[int] = 404


class NoSuchRefund(Refusal):
    code: ClassVar[str] = "refund-not-found"
    title: ClassVar[str] = "There is no such refund"
    status: ClassVar[int] = 404


class NotCaptured(Refusal):
    code: ClassVar[str] = "not-captured"
    title: ClassVar[str] = "Nothing was taken for this pledge yet"


class NothingLeft(Refusal):
    code: ClassVar[str] = "nothing-left"
    title: ClassVar[str] = "All of it was given back already, or is about to be"


class MoreThanIsLeft(Refusal):
    code: ClassVar[str] = "more-than-is-left"
    title: ClassVar[str] = "That is more than can still be given back"


class Disputed(Refusal):
    code: ClassVar[str] = "disputed"
    title: ClassVar[str] = "The backer's bank has taken the money back"


class WrongCurrency(Refusal):
    code: ClassVar[str] = "wrong-currency"
    title: ClassVar[str] = "The pledge was paid in another currency"
    status: ClassVar[int] = 422


def order(p: Payment, pledge_id: PledgeId, refund_id: UUID, amount: Money | None, reason: str) -> RefundOrdered:
    """A refund of `amount`, or of all that is left.

    Raises:
        Refusal: Which says what can be given back.
    """
    if p.order is None:
        raise NoSuchPledge("It may not have been heard of yet.")
    currency = p.order.amount.currency
    if amount is not None and amount.currency != currency:
        raise WrongCurrency(f"It was paid in {currency}.", currency=currency)
    if not p.captured:
        raise NotCaptured("Until then its card is only held; a backer may cancel until the campaign's cutoff.")
    left = 0 if p.release_wanted else max(0, domain.refundable(p))
    if not left and p.disputed:
        raise Disputed("What the bank has taken is not given back twice. Answer the dispute at the card processor.")
    if not left:
        raise NothingLeft("There is nothing more to give back.")
    wanted = Money(amount=left, currency=currency) if amount is None else amount
    if wanted.amount > left:
        most = Money(amount=left, currency=currency)
        raise MoreThanIsLeft(f"At most {most} can still be given back.", left=most.model_dump())
    return RefundOrdered(pledge_id=pledge_id, refund_id=refund_id, amount=wanted, reason=reason)


def found(p: Payment, seen: SeenRefund) -> tuple[Event, ...]:
    """A refund that none of our operations made: booked once, whatever else is under way for the pledge."""
    if p.order is None or seen.refund_id in p.found or not seen.given:
        return ()
    total = p.refunded + seen.amount.amount
    about = {"pledge_id": p.order.pledge_id, "campaign_id": p.order.campaign_id}
    return (
        RefundFound(pledge_id=p.order.pledge_id, refund_id=seen.refund_id),
        PaymentRefunded(
            **about,
            amount=seen.amount,
            hold_id=p.hold_id,
            refund_id=seen.refund_id,
            reason=OUTSIDE,
            refunded=Money(amount=total, currency=seen.amount.currency),
        ),
    )


def wrong(p: Payment, seen: SeenRefund) -> str:
    """Why a refund that was found cannot be booked, for a person to look at; empty: it can."""
    if p.order is None:
        return "of a payment that is not known here"
    if seen.amount.currency != p.order.amount.currency:
        return f"in {seen.amount.currency} of a pledge in {p.order.amount.currency}"
    if seen.given and seen.refund_id not in p.found and p.refunded + seen.amount.amount > p.captured:
        return f"of more than was captured: {seen.amount} after {p.refunded} of {p.captured}"
    return ""


class Progress(StrEnum):
    ORDERED = "ordered"
    GIVEN = "given"
    FAILED = "failed"


@dataclass(frozen=True)
class Refund:
    """`refund_id` is None for one that was not ordered here: a release of the whole, or from the dashboard."""

    refund_id: UUID | None
    amount: Money
    reason: str
    progress: Progress
    at: datetime  # ordered, or seen
    provider_id: str = ""
    failure: str = ""


def listed(events: Iterable[tuple[Event, datetime]]) -> tuple[Refund, ...]:
    """All refunds in a payment's stream, in the order in which they were ordered or seen."""
    refunds: list[Refund] = []
    outside: set[str] = set()
    running: UUID | None = None
    for event, at in events:
        match event:
            case RefundOrdered():
                refunds.append(Refund(event.refund_id, event.amount, event.reason, Progress.ORDERED, at))
            case StepStarted():
                running = event.refund_id
            case RefundFound():
                outside.add(event.refund_id)
            case PaymentRefunded() if running is not None and event.refund_id not in outside:
                refunds = [_given(one, event) if one.refund_id == running else one for one in refunds]
                running = None
            case PaymentRefunded():
                refunds.append(Refund(None, event.amount, event.reason, Progress.GIVEN, at, event.refund_id))
            case RefundFailed():
                refunds = [_failed(one, event) if one.refund_id == event.refund_id else one for one in refunds]
            case _:
                pass
    return tuple(refunds)


def _given(refund: Refund, fact: PaymentRefunded) -> Refund:
    return replace(refund, progress=Progress.GIVEN, provider_id=fact.refund_id)


def _failed(refund: Refund, fact: RefundFailed) -> Refund:
    return replace(refund, progress=Progress.FAILED, failure=fact.reason)


def failed_at_provider(seen: SeenRefund) -> str:
    """What a person is told of a refund that came back (a closed account, a lost card); empty: it did not."""
    if seen.status is not RefundStatus.FAILED:
        return ""
    return f"the refund {seen.refund_id} of {seen.amount} came back: {seen.failure or 'no reason given'}"
