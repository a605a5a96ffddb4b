"""What Stripe says of refunds and disputes that we did not ask for, read into our own terms.

https://docs.stripe.com/disputes/how-disputes-work, https://docs.stripe.com/refunds#failed-refunds
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import quote
from uuid import UUID

from contracts.money import Money, zero
from payment.gateway_found import DisputeStatus, RefundsFound, RefundStatus, SeenDispute, SeenRefund
from payment.stripe_money import from_stripe

Thing: TypeAlias = Mapping[str, Any]  # one of Stripe's objects
Get: TypeAlias = Callable[[str, Thing], Awaitable[Thing]]

PAGE: Final = 100  # Stripe's largest.
PAGES_MAX: Final = 20  # A payment has a handful of refunds.

# The money of a `warning_…` stays where it is, and `prevented` was refunded instead.
_STATUSES: Final = {
    "needs_response": DisputeStatus.OPEN,
    "under_review": DisputeStatus.OPEN,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
}
_FAILED: Final = frozenset(("failed", "canceled"))
_UNDECIDED: Final = frozenset(("requires_action",))


async def refunds_of(get: Get, object_id: str) -> RefundsFound | None:
    """By the id of a refund, a charge or a payment; None if it is about no payment of ours."""
    payment_id = await _payment_of(get, object_id)
    pledge_id = await _pledge_of(get, payment_id)
    if payment_id is None or pledge_id is None:
        return None
    refunds: list[Thing] = []
    for _ in range(PAGES_MAX):
        after = {"starting_after": refunds[-1]["id"]} if refunds else {}
        page = await get("/v1/refunds", {"payment_intent": payment_id, "limit": PAGE, **after})
        refunds += page["data"]
        if not page["has_more"]:
            return RefundsFound(pledge_id, payment_id, tuple(map(_refund, reversed(refunds))))
    msg = f"{payment_id} has too many refunds"
    raise ValueError(msg)


async def dispute(get: Get, dispute_id: str) -> SeenDispute | None:
    """None if it is about no payment of ours."""
    found = await get(f"/v1/disputes/{quote(dispute_id, safe='')}", {})
    pledge_id = await _pledge_of(get, found["payment_intent"])
    if pledge_id is None:
        return None
    movements = found["balance_transactions"]
    withdrawn = [one for one in movements if one["amount"] < 0]
    returned = [one for one in movements if one["amount"] > 0]
    nothing = zero(str(found["currency"]).upper())
    return SeenDispute(
        dispute_id=found["id"],
        pledge_id=pledge_id,
        payment_id=found["payment_intent"],
        status=_STATUSES.get(found["status"], DisputeStatus.INQUIRY),
        reason=found["reason"],
        taken=_sum(withdrawn, "amount", -1),
        fee=_sum([one for one in movements if one["fee"] > 0], "fee", 1) or nothing,
        returned=_sum(returned, "amount", 1),
        fee_returned=_sum([one for one in movements if one["fee"] < 0], "fee", -1) or nothing,
    )


def _sum(movements: Sequence[Thing], name: str, sign: int) -> Money | None:
    if not movements:
        return None
    return from_stripe(sign * sum(one[name] for one in movements), movements[0]["currency"])


def _refund(refund: Thing) -> SeenRefund:
    operation = refund["metadata"].get("operation_id")
    return SeenRefund(
        refund_id=refund["id"],
        amount=from_stripe(refund["amount"], refund["currency"]),
        status=_refund_status(refund["status"]),
        operation_id=UUID(operation) if operation else None,
        failure=refund.get("failure_reason") or "",
    )


def _refund_status(status: str | None) -> RefundStatus:
    """A pending refund has left the balance: it is given until it fails."""
    if status in _FAILED:
        return RefundStatus.FAILED
    return RefundStatus.UNDECIDED if status in _UNDECIDED else RefundStatus.GIVEN


async def _payment_of(get: Get, object_id: str) -> str | None:
    kind = object_id.partition("_")[0]
    if kind == "pi":
        return object_id
    path = {"re": "refunds", "pyr": "refunds"}.get(kind, "charges")
    found: str | None = (await get(f"/v1/{path}/{quote(object_id, safe='')}", {}))["payment_intent"]
    return found


async def _pledge_of(get: Get, payment_id: str | None) -> UUID | None:
    if payment_id is None:
        return None
    intent = await get(f"/v1/payment_intents/{quote(payment_id, safe='')}", {})
    found = intent["metadata"].get("pledge_id")
    return UUID(found) if found else None
