"""Disputes (DOMAIN Y9): the facts that follow from what the provider says of one, whatever was heard of it before."""

from contracts.event import Event
from contracts.payment import PaymentDisputeClosed, PaymentDisputeOpened
from payment.domain_state import Payment
from payment.gateway_found import DisputeStatus, SeenDispute

CLOSED = frozenset((DisputeStatus.WON, DisputeStatus.LOST))


def facts(p: Payment, seen: SeenDispute, *, opened: bool, closed: bool) -> tuple[Event, ...]:
    """`opened` and `closed` say what is recorded already. One that is heard of first when it is closed gives both."""
    if p.order is None or seen.status is DisputeStatus.INQUIRY or seen.taken is None:
        return ()
    about = {"pledge_id": p.order.pledge_id, "campaign_id": p.order.campaign_id}
    made: list[Event] = []
    if not opened:
        made.append(
            PaymentDisputeOpened(
                **about, amount=seen.taken, dispute_id=seen.dispute_id, reason=seen.reason, fee=seen.fee
            )
        )
    if not closed and seen.status in CLOSED:
        won = seen.status is DisputeStatus.WON
        made.append(
            PaymentDisputeClosed(
                **about, amount=seen.taken, dispute_id=seen.dispute_id, won=won, fee_returned=seen.fee_returned
            )
        )
    return tuple(made)


def waits(p: Payment, seen: SeenDispute) -> bool:
    """Something is still to come: the capture's record here, or the movement of the money there."""
    if seen.status is DisputeStatus.INQUIRY or p.order is None:
        return False
    if not (p.captured and p.hold_id == seen.payment_id):
        return True
    return seen.taken is None or (seen.status is DisputeStatus.WON and seen.returned is None)


def wrong(p: Payment, seen: SeenDispute) -> str:
    """Why it cannot be booked, for a person to look at; empty: it can."""
    if p.order is None:
        return "is about a payment that is not known here"
    currencies = {money.currency for money in (seen.taken, seen.fee, seen.returned, seen.fee_returned) if money}
    if currencies != {p.order.amount.currency}:
        return f"moved {', '.join(sorted(currencies))} of a pledge in {p.order.amount.currency}"
    if seen.status is DisputeStatus.WON and seen.returned != seen.taken:
        return f"took {seen.taken} and gave {seen.returned} back"
    return ""
