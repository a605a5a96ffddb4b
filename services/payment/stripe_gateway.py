"""The provider port on Stripe's API, by the `stripe` SDK's async client.

Whatever an answer does not say clearly is Unknown, never a failure. No retries here: the worker counts them.
Answers are read as the JSON that they are: the SDK's objects of the same cost a third of the service's whole work.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote
from uuid import UUID

import stripe
from stripe.params import (
    PaymentIntentCaptureParams,
    PaymentIntentCreateParams,
    PaymentIntentListParams,
    PaymentIntentRetrieveParams,
    RefundCreateParams,
    RefundListParams,
    TransferCreateParams,
    TransferListParams,
    TransferReversalCreateParams,
    TransferReversalListParams,
)

from contracts.money import Money
from payment import stripe_disputes, stripe_movements
from payment.gateway import (
    ActionRequired,
    Contention,
    Declined,
    LookupFailedError,
    Mismatch,
    Movement,
    NoEffect,
    Outcome,
    Request,
    Succeeded,
    Throttled,
    Unknown,
)
from payment.gateway_found import RefundsFound, SeenDispute
from payment.stripe_money import UnsupportedAmountError, from_stripe, to_stripe

API_VERSION: Final = "2026-05-27.dahlia"  # Pinned: an account's default may change under us.
CLOCK_SECONDS: Final = 300  # Our clock and Stripe's differ by less.
PAGE: Final = 100  # Stripe's largest.
PAGES_MAX: Final = 20  # What was created in a few minutes; more than this is not looked through.

# https://docs.stripe.com/declines/codes: the issuer does not want to see the card again.
_HARD: Final = frozenset(
    ("lost_card", "stolen_card", "fraudulent", "pickup_card", "restricted_card", "merchant_blacklist",
     "revocation_of_all_authorizations", "revocation_of_authorization", "stop_payment_order")
)  # fmt: skip
_NEVER_AGAIN: Final = frozenset(("03", "21"))  # Mastercard's advice; Visa's comes as `do_not_try_again`.

T = TypeVar("T")
Thing: TypeAlias = Mapping[str, Any]  # one of Stripe's objects; a field that must be there and is not makes it Unknown


class StripeProvider:
    """Implements `payment.gateway.Provider`. `close()` it when done."""

    def __init__(
        self, api_key: str, base: str | None, timeout_seconds: float, http_client: stripe.AIOHTTPClient | None = None
    ) -> None:
        self._http = http_client or stripe.AIOHTTPClient(timeout=timeout_seconds)
        self._client = stripe.StripeClient(
            api_key,
            http_client=self._http,
            base_addresses={"api": base} if base else {},
            stripe_version=API_VERSION,
            max_network_retries=0,
        )

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK

    async def authorize(self, request: Request, payment_method: str) -> Outcome:
        return await self._create(request, payment_method, "manual")

    async def charge(self, request: Request, payment_method: str) -> Outcome:
        return await self._create(request, payment_method, "automatic")

    async def _create(self, request: Request, payment_method: str, capture_method: str) -> Outcome:
        try:
            amount, currency = to_stripe(request.amount)
        except UnsupportedAmountError:
            return Declined("amount_not_supported", hard=True)
        params: PaymentIntentCreateParams = {
            "amount": amount,
            "currency": currency,
            "capture_method": "manual" if capture_method == "manual" else "automatic",
            "confirm": True,
            "error_on_requires_action": True,  # nobody is at hand yet to bring the backer to the bank's page
            "payment_method": payment_method,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": _metadata(request),
            "transfer_group": str(request.campaign_id),
            "expand": ["latest_charge.balance_transaction"],
        }
        call = self._post("/v1/payment_intents", request.key, params)
        return await _asked(call, lambda intent: _payment(request, intent), self._refused)

    async def capture(self, request: Request, hold_id: str) -> Outcome:
        amount, _ = to_stripe(request.amount)
        params: PaymentIntentCaptureParams = {
            "amount_to_capture": amount,
            "metadata": _metadata(request),
            "expand": ["latest_charge.balance_transaction"],
        }
        call = self._post(f"{_path(hold_id)}/capture", request.key, params)
        return await _asked(
            call, lambda intent: _capture(request, intent), lambda _: self.find_capture(request, hold_id)
        )

    async def void(self, request: Request, hold_id: str) -> Outcome:
        call = self._post(f"{_path(hold_id)}/cancel", request.key, {})
        return await _asked(call, lambda intent: _void(request, intent), lambda _: self.find_void(request, hold_id))

    async def refund(self, request: Request, hold_id: str) -> Outcome:
        amount, _ = to_stripe(request.amount)
        params: RefundCreateParams = {"payment_intent": hold_id, "amount": amount, "metadata": _metadata(request)}
        call = self._post("/v1/refunds", request.key, params)
        return await _asked(call, lambda refund: _refund(request, refund), lambda _: self.find_refund(request, hold_id))

    async def transfer(self, request: Request, destination: str) -> Outcome:
        amount, currency = to_stripe(request.amount)
        params: TransferCreateParams = {
            "amount": amount,
            "currency": currency,
            "destination": destination,
            "metadata": _metadata(request),
            "transfer_group": str(request.campaign_id),
        }
        call = self._post("/v1/transfers", request.key, params)
        return await _asked(call, lambda transfer: _transfer(request, transfer), _no_effect)

    async def find_payment(self, request: Request, since: datetime, reference: str | None) -> Outcome:
        if reference is not None:
            return await _asked(self._intent(reference), lambda intent: _payment(request, intent))
        return await _asked(self._search(request, since), lambda found: found)

    async def _search(self, request: Request, since: datetime) -> Outcome:
        """Look for the operation's id among all payments since it was first sent."""
        earliest = int((since - timedelta(seconds=CLOCK_SECONDS)).timestamp())
        after = ""
        for _ in range(PAGES_MAX):
            params: PaymentIntentListParams = {
                "created": {"gte": earliest},
                "limit": PAGE,
                "expand": ["data.latest_charge.balance_transaction"],
                **({"starting_after": after} if after else {}),
            }
            page = await self._get("/v1/payment_intents", params)
            for intent in page["data"]:
                if _operation(intent) == str(request.operation_id):
                    return _payment(request, intent)
            if not page["has_more"]:
                return NoEffect("the provider has no such payment")
            after = page["data"][-1]["id"]
        return Unknown("too many payments to look through")

    async def find_capture(self, request: Request, hold_id: str) -> Outcome:
        return await _asked(self._intent(hold_id), lambda intent: _capture(request, intent, any_attempt=True))

    async def find_void(self, request: Request, hold_id: str) -> Outcome:
        return await _asked(self._intent(hold_id), lambda intent: _void(request, intent))

    async def find_refund(self, request: Request, hold_id: str) -> Outcome:
        """Any attempt of ours counts: one that was overtaken by its successor has given the money back as well."""

        def ours(refunds: Thing) -> Outcome:
            for refund in refunds["data"]:
                if refund["metadata"].get("pledge_id") == str(request.pledge_id):
                    return _refund(request, refund, any_attempt=True)
            return NoEffect("the provider has no such refund")

        params: RefundListParams = {"payment_intent": hold_id, "limit": PAGE}
        return await _asked(self._get("/v1/refunds", params), ours)

    async def find_transfer(self, request: Request) -> Outcome:
        def ours(transfers: Thing) -> Outcome:
            for transfer in transfers["data"]:
                if _operation(transfer) == str(request.operation_id):
                    return _transfer(request, transfer)
            return NoEffect("the provider has no such transfer")

        params: TransferListParams = {"transfer_group": str(request.campaign_id), "limit": PAGE}
        return await _asked(self._get("/v1/transfers", params), ours)

    async def reverse(self, request: Request, transfer_id: str) -> Outcome:
        amount, _ = to_stripe(request.amount)
        params: TransferReversalCreateParams = {"amount": amount, "metadata": _metadata(request)}
        call = self._post(_reversals(transfer_id), request.key, params)
        return await _asked(call, lambda reversal: _transfer(request, reversal), _no_effect)

    async def find_reversal(self, request: Request, transfer_id: str) -> Outcome:
        def ours(reversals: Thing) -> Outcome:
            for reversal in reversals["data"]:
                if _operation(reversal) == str(request.operation_id):
                    return _transfer(request, reversal)
            return NoEffect("the provider has no such reversal")

        params: TransferReversalListParams = {"limit": PAGE}
        return await _asked(self._get(_reversals(transfer_id), params), ours)

    async def refunds_of(self, object_id: str) -> RefundsFound | None:
        return await _looked_up(stripe_disputes.refunds_of(self._get, object_id))

    async def dispute(self, dispute_id: str) -> SeenDispute | None:
        return await _looked_up(stripe_disputes.dispute(self._get, dispute_id))

    async def operation_of(self, reference: str) -> UUID | None:
        try:
            operation = _operation(await self._intent(reference))
            return UUID(operation) if operation else None
        except Exception as error:
            if isinstance(error, stripe.InvalidRequestError | ValueError):
                return None  # not one of ours
            raise LookupFailedError(repr(error)) from error

    def movements(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Movement]]:
        return stripe_movements.pages(self._get, since, until)

    async def _intent(self, intent_id: str) -> Thing:
        params: PaymentIntentRetrieveParams = {"expand": ["latest_charge.balance_transaction"]}
        return await self._get(_path(intent_id), params)

    async def _post(self, path: str, key: str, params: Thing) -> Thing:
        return _answered(await self._client.raw_request_async("post", path, idempotency_key=key, **params))

    async def _get(self, path: str, params: Thing) -> Thing:
        return _answered(await self._client.raw_request_async("get", path, **params))

    async def _refused(self, error: stripe.InvalidRequestError) -> Outcome:
        """A new payment that Stripe does not even try, such as with a payment method that does not exist."""
        return Declined(error.code or "invalid_request", hard=True)


def _path(intent_id: str) -> str:
    return f"/v1/payment_intents/{quote(intent_id, safe='')}"


def _reversals(transfer_id: str) -> str:
    return f"/v1/transfers/{quote(transfer_id, safe='')}/reversals"


async def _looked_up(found: Awaitable[T | None]) -> T | None:
    """None for an object that Stripe does not have.

    Raises:
        LookupFailedError: It did not say, or said what nobody can read.
    """
    try:
        return await found
    except Exception as error:
        if isinstance(error, stripe.InvalidRequestError) and error.http_status == 404:
            return None
        raise LookupFailedError(repr(error)) from error


def _answered(response: Any) -> Thing:
    """The object of an answer. Raises TypeError for JSON that is none."""
    if not isinstance(response.data, dict):
        raise TypeError("not an object")
    return response.data


async def _no_effect(error: stripe.InvalidRequestError) -> Outcome:
    return NoEffect(error.code or "invalid_request")


async def _asked(
    call: Awaitable[T],
    read: Callable[[T], Outcome],
    refused: Callable[[stripe.InvalidRequestError], Awaitable[Outcome]] | None = None,
) -> Outcome:
    """The outcome of a call. `refused` answers for a 400: whether it had an effect depends on what was asked."""
    try:
        return read(await call)
    except stripe.CardError as error:
        return _declined(error)
    except stripe.RateLimitError as error:
        locked = _field(error.error, "code") == "lock_timeout"  # the SDK leaves its own `code` empty here
        return Contention() if locked else Throttled()
    except stripe.InvalidRequestError as error:
        return Unknown(f"refused: {error.code}") if refused is None else await refused(error)
    except stripe.StripeError as error:
        return Contention() if error.http_status == 409 else Unknown(f"{type(error).__name__} {error.http_status}")
    except Exception as error:  # noqa: BLE001 - the SDK breaks in many ways on an answer that it does not expect
        return Unknown(type(error).__name__)


def _declined(error: stripe.CardError) -> Declined:
    said = error.error
    code = _field(said, "decline_code") or error.code or "card_declined"
    hard = (
        code in _HARD
        or _field(said, "advice_code") == "do_not_try_again"
        or _field(said, "network_advice_code") in _NEVER_AGAIN
    )
    if error.code == "authentication_required":
        code, hard = error.code, False
    return Declined(code, hard=hard)


def _metadata(request: Request) -> dict[str, str]:
    pledge = {} if request.pledge_id is None else {"pledge_id": str(request.pledge_id)}
    return {"campaign_id": str(request.campaign_id), "operation_id": str(request.operation_id), **pledge}


def _field(error: object, name: str) -> str | None:
    """A field of an error that Stripe may leave out."""
    found = getattr(error, name, None)
    return found if isinstance(found, str) else None


def _operation(thing: Thing) -> str | None:
    found = thing["metadata"].get("operation_id")
    return found if isinstance(found, str) else None


def _mismatch(request: Request, thing: Thing, amount: int, *, any_attempt: bool = False) -> Mismatch | None:
    """Every answer is checked against what was asked (DOMAIN Y2). `any_attempt`: of this pledge is enough."""
    asked, currency = to_stripe(request.amount)
    if (amount, thing["currency"]) != (asked, currency):
        return Mismatch(f"{thing['id']} is about {amount} {thing['currency']}, not {asked} {currency}")
    name, expected = ("pledge_id", request.pledge_id) if any_attempt else ("operation_id", request.operation_id)
    if thing["metadata"].get(name) != str(expected):
        return Mismatch(f"{thing['id']} has another {name}")
    return None


def _payment(request: Request, intent: Thing) -> Outcome:  # noqa: PLR0911 - one a status
    """A hold or a charge."""
    if wrong := _mismatch(request, intent, intent["amount"]):
        return wrong
    match intent["status"]:
        case "requires_capture":
            return Succeeded(intent["id"], capture_before=_capture_before(intent))
        case "succeeded" if intent["capture_method"] == "manual":
            return Mismatch(f"{intent['id']} was captured by somebody else")
        case "succeeded":
            return _taken(request, intent)
        case "requires_action":
            return ActionRequired(intent["id"])
        case "requires_payment_method" | "canceled":
            return Declined(_failure(intent) or intent["status"])
        case status:
            return Unknown(str(status))


def _failure(intent: Thing) -> str | None:
    error = intent.get("last_payment_error") or {}
    return error.get("decline_code") or error.get("code")


def _capture(request: Request, intent: Thing, *, any_attempt: bool = False) -> Outcome:
    match intent["status"]:
        case "succeeded":
            wrong = _mismatch(request, intent, intent["amount_received"], any_attempt=any_attempt)
            return wrong or _taken(request, intent)
        case "requires_capture":
            return NoEffect("still held")
        case "canceled":
            return Declined("hold_expired", hard=True)
        case "requires_payment_method":
            return Declined(_failure(intent) or "capture_failed")
        case status:
            return Unknown(str(status))


def _void(request: Request, intent: Thing) -> Outcome:
    """Cancelling takes no metadata: the hold itself is what the answer is checked against."""
    if intent["metadata"].get("pledge_id") != str(request.pledge_id):
        return Mismatch(f"{intent['id']} belongs to another pledge")
    match intent["status"]:
        case "canceled":
            return Succeeded(intent["id"])
        case "succeeded":
            return Mismatch(f"{intent['id']} was captured")
        case "processing":
            return Unknown("processing")
        case _:
            return NoEffect("still held")


def _refund(request: Request, refund: Thing, *, any_attempt: bool = False) -> Outcome:
    if wrong := _mismatch(request, refund, refund["amount"], any_attempt=any_attempt):
        return wrong
    match refund["status"]:
        case "succeeded" | "pending":  # pending: the bank has not confirmed; Stripe tells when it fails (DOMAIN Y8)
            return Succeeded(refund["id"])
        case "failed" | "canceled":
            return Declined(refund.get("failure_reason") or "refund_failed")
        case status:
            return Unknown(str(status))


def _transfer(request: Request, transfer: Thing) -> Outcome:
    return _mismatch(request, transfer, transfer["amount"]) or Succeeded(transfer["id"])


def _expanded(thing: Thing, name: str) -> Thing | None:
    """The object under a name, if there is one and Stripe sent it whole and not its id."""
    found = thing.get(name)
    return found if isinstance(found, dict) else None


def _taken(request: Request, intent: Thing) -> Outcome:
    """A charge or a capture, with the fee that Stripe kept."""
    charge = _expanded(intent, "latest_charge")
    movement = charge and _expanded(charge, "balance_transaction")
    if not movement:
        return Unknown("its fee is not known yet")
    fee: Money = from_stripe(movement["fee"], movement["currency"])
    if fee.currency != request.amount.currency:
        return Mismatch(f"{intent['id']}: the fee is in {fee.currency}")
    return Succeeded(intent["id"], fee=fee)


def _capture_before(intent: Thing) -> datetime | None:
    charge = _expanded(intent, "latest_charge") or {}
    card = (charge.get("payment_method_details") or {}).get("card") or {}
    until = card.get("capture_before")
    return datetime.fromtimestamp(until, UTC) if isinstance(until, int) else None
