"""What happened at Stripe, page by page, the latest first (https://docs.stripe.com/api/events/list)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import stripe
from stripe.params import EventListParams

from payment.gateway import LookupFailedError

PAGE: Final = 100  # Stripe's largest.
# Whatever a look-up is for. Stripe takes 20 types at most.
TYPES: Final = (
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "setup_intent.setup_failed",
    "setup_intent.succeeded",
    "charge.expired",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.failed",
    "refund.updated",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "transfer.reversed",
)

Thing: TypeAlias = Mapping[str, Any]
Get: TypeAlias = Callable[[str, Thing], Awaitable[Thing]]


@dataclass(frozen=True)
class EventPage:
    """Events as Stripe sends them, the latest first; `following` names the last one, if there are more."""

    events: Sequence[Thing]
    following: str


async def page(get: Get, since: datetime, after: str) -> EventPage:
    """Events created since then, from the one named `after` on. One that Stripe has forgotten begins anew.

    Whether they were delivered is not asked: that is about the endpoint that took them, not about this database.

    Raises:
        LookupFailedError: Stripe does not say, or says something that nobody can read.
    """
    params: EventListParams = {"created": {"gte": int(since.timestamp())}, "limit": PAGE, "types": list(TYPES)}
    try:
        try:
            found = await get("/v1/events", {**params, **({"starting_after": after} if after else {})})
        except stripe.InvalidRequestError:
            if not after:
                raise
            found = await get("/v1/events", params)
        events = found["data"]
        return EventPage(events, events[-1]["id"] if found["has_more"] else "")
    except Exception as error:
        raise LookupFailedError(repr(error)) from error
