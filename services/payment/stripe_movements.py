"""What moved our balance at Stripe, page by page (https://docs.stripe.com/reports/balance-transaction-types)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import structlog
from stripe.params import BalanceTransactionListParams

from contracts.money import Money
from payment.gateway import LookupFailedError, Movement, MovementKind
from payment.stripe_money import UnsupportedAmountError, floored, from_stripe

PAGE: Final = 100  # Stripe's largest.
TRIES: Final = 5  # A book of 200 000 movements is 2 000 pages: one answer that is lost must not end it.
AGAIN_SECONDS: Final = 0.5  # Doubled each time; a page only reads, so that it may be asked for again.

_KINDS: Final = {
    "charge": MovementKind.CHARGE,
    "payment": MovementKind.CHARGE,
    "refund": MovementKind.REFUND,
    "payment_refund": MovementKind.REFUND,
    "transfer": MovementKind.TRANSFER,
}
# Between our balance and our own bank account, and what Stripe charges or keeps back of the account as a whole.
_OWN: Final = ("payout", "topup", "stripe_fee", "stripe_fx_fee", "tax_fee", "reserve", "payment_network_reserve")

log = structlog.get_logger(__name__)

Thing: TypeAlias = Mapping[str, Any]
Get: TypeAlias = Callable[[str, Thing], Awaitable[Thing]]


async def pages(get: Get, since: datetime, until: datetime) -> AsyncIterator[Sequence[Movement]]:
    """The movements created in `[since, until)`, the latest first.

    Raises:
        LookupFailedError: Stripe does not say, or says something that nobody can read.
    """
    after = ""
    while True:
        params: BalanceTransactionListParams = {
            "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
            "limit": PAGE,
            "expand": ["data.source"],
            **({"starting_after": after} if after else {}),
        }
        page = await _page(get, params)
        try:
            rows = page["data"]
            yield [_movement(row) for row in rows]
            if not page["has_more"]:
                return
            after = rows[-1]["id"]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise LookupFailedError(f"unreadable movements: {error!r}") from error


async def _page(get: Get, params: BalanceTransactionListParams) -> Thing:
    for tried in range(TRIES):
        try:
            return await get("/v1/balance_transactions", params)
        except Exception as error:
            if tried == TRIES - 1:
                raise LookupFailedError(repr(error)) from error
            log.warning("movements_again", error=repr(error))
        await asyncio.sleep(AGAIN_SECONDS * 2**tried)
    raise AssertionError("the last try returns or raises")


def _movement(row: Thing) -> Movement:
    source = row["source"]
    about: Thing = source if isinstance(source, dict) else {"id": source or ""}
    amount, fee, inexact = _amounts(row)
    told = about.get("metadata") or {}
    return Movement(
        movement_id=row["id"],
        kind=_kind(row, about),
        type=row["type"],
        amount=amount.amount,
        fee=fee.amount,
        currency=amount.currency,
        source=about["id"],
        payment=_id(about.get("payment_intent")),
        campaign_id=_uuid(told.get("campaign_id")),
        pledge_id=_uuid(told.get("pledge_id")),
        created=datetime.fromtimestamp(row["created"], UTC),
        inexact=inexact,
    )


def _amounts(row: Thing) -> tuple[Money, Money, bool]:
    """Amount and fee, and whether a fraction is left out: one such movement must not hide all others of its day."""
    currency = row["currency"]
    try:
        return from_stripe(row["amount"], currency), from_stripe(row["fee"], currency), False
    except UnsupportedAmountError:
        return floored(row["amount"], currency), floored(row["fee"], currency), True


def _kind(row: Thing, about: Thing) -> MovementKind:
    if about.get("object") == "dispute":
        return MovementKind.DISPUTE if row["amount"] < 0 else MovementKind.DISPUTE_RETURN
    known = _KINDS.get(row["type"])
    if known is not None:
        return known
    return MovementKind.OWN if row["type"].startswith(_OWN) else MovementKind.OTHER


def _id(found: Any) -> str:
    """Of an object that Stripe names by its id or sends whole."""
    return str(found["id"] if isinstance(found, dict) else found or "")


def _uuid(text: str | None) -> UUID | None:
    """Metadata that others wrote may say anything."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
