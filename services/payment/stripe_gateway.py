"""The provider port on Stripe's API, by the `stripe` SDK's async client.

Whatever an answer does not say clearly is Unknown, never a failure. No retries here: the worker counts them.
Answers are read as the JSON that they are: the SDK's objects of the same cost a third of the service's whole work.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote
from uuid import UUID

import stripe

from payment import stripe_disputes, stripe_events, stripe_movements
from payment import stripe_reading as reading
from payment.domain_state import SAVED_CARD
from payment.gateway import (
    Card,
    Contention,
    Declined,
    LookupFailedError,
    Movement,
    NextAction,
    NoEffect,
    Outcome,
    Request,
    Succeeded,
    Throttled,
    Undecided,
    Unknown,
)
from payment.gateway_found import RefundsFound, SeenDispute
from payment.stripe_money import UnsupportedAmountError, to_stripe
from payment.stripe_reading import Thing

API_VERSION: Final = "2026-05-27.dahlia"  # Pinned: an account's default may change under us.
PAGE: Final = 100  # Stripe's largest.
PAGES_MAX: Final = 20  # A pledge has far fewer payments than fit in these.
EXPAND: Final = "latest_charge.balance_transaction"

# The SDK tells of every request, at a cost; our own operations say what was asked and what came of it.
logging.getLogger("stripe").setLevel(logging.WARNING)

T = TypeVar("T")


class StripeProvider:
    """Implements `payment.gateway.Provider`. `close()` it when done."""

    def __init__(
        self, api_key: str, base: str | None, timeout_seconds: float, http_client: stripe.HTTPClient | None = None
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

    # -- what takes money, or prepares to ------------------------------------------------------------------------

    async def create_customer(self, request: Request) -> str | Undecided:
        """A refusal of so plain a call is nobody's decline: it is asked again."""
        call = self._post("/v1/customers", request.key, {"metadata": _metadata(request)})
        outcome = await _asked(call, lambda customer: Succeeded(customer["id"]))
        match outcome:
            case Succeeded(reference):
                return reference
            case Throttled() | Contention() | Unknown():
                return outcome
            case _:
                return Unknown(f"no customer: {outcome}")

    async def authorize(self, request: Request, card: Card) -> Outcome:
        return await self._create(request, card, "manual")

    async def charge(self, request: Request, card: Card) -> Outcome:
        return await self._create(request, card, "automatic")

    async def _create(self, request: Request, card: Card, capture_method: str) -> Outcome:
        try:
            amount, currency = to_stripe(request.amount)
        except UnsupportedAmountError:
            return Declined("amount_not_supported", hard=True)
        params: dict[str, Any] = {
            "amount": amount,
            "currency": currency,
            "capture_method": capture_method,
            "transfer_group": str(request.campaign_id),
            "expand": [EXPAND],
            **_with_card(request, card),
        }
        if card.off_session:
            params["off_session"] = True
        elif capture_method == "manual":
            params["setup_future_usage"] = "off_session"  # the hold is renewed when its owner is not there
        if card.extended and capture_method == "manual":
            params["payment_method_options"] = {"card": {"request_extended_authorization": "if_available"}}
        call = self._post("/v1/payment_intents", request.key, params)
        return await _asked(call, lambda intent: reading.payment(request, intent), _refused)

    async def save(self, request: Request, card: Card) -> Outcome:
        params = {"usage": "off_session", **_with_card(request, card)}
        call = self._post("/v1/setup_intents", request.key, params)
        return await _asked(call, lambda setup: reading.saved(request, setup), _refused)

    # -- what comes after ----------------------------------------------------------------------------------------

    async def capture(self, request: Request, hold_id: str) -> Outcome:
        amount, _ = to_stripe(request.amount)
        mark = {reading.CAPTURED_BY: str(request.operation_id)}
        params = {"amount_to_capture": amount, "metadata": mark, "expand": [EXPAND]}
        call = self._post(f"{_path(hold_id)}/capture", request.key, params)
        return await _asked(
            call, lambda intent: reading.capture(request, intent), lambda _: self.find_capture(request, hold_id)
        )

    async def void(self, request: Request, hold_id: str) -> Outcome:
        if hold_id.startswith(SAVED_CARD):
            return await _asked(self._forget(request, hold_id), lambda forgotten: forgotten)
        call = self._post(f"{_path(hold_id)}/cancel", request.key, {})
        return await _asked(
            call, lambda intent: reading.void(request, intent), lambda _: self.find_void(request, hold_id)
        )

    async def _forget(self, request: Request, setup_id: str) -> Outcome:
        """Cancel what the bank still waits for; detach a card that is kept."""
        setup = await self._get(_path(setup_id), {})
        known = reading.saved(request, setup, any_attempt=True)
        if isinstance(known, Succeeded):
            method = f"/v1/payment_methods/{quote(known.payment_method, safe='')}"
            if (await self._get(method, {}))["customer"] is not None:
                await self._post(f"{method}/detach", request.key, {})
            return Succeeded(setup_id)
        if setup["status"] == "canceled":
            return Succeeded(setup_id)
        await self._post(f"{_path(setup_id)}/cancel", request.key, {})
        return Succeeded(setup_id)

    async def refund(self, request: Request, hold_id: str) -> Outcome:
        amount, _ = to_stripe(request.amount)
        params = {"payment_intent": hold_id, "amount": amount, "metadata": _metadata(request)}
        call = self._post("/v1/refunds", request.key, params)
        return await _asked(
            call, lambda refund: reading.refund(request, refund), lambda _: self.find_refund(request, hold_id)
        )

    async def transfer(self, request: Request, destination: str) -> Outcome:
        amount, currency = to_stripe(request.amount)
        params = {
            "amount": amount,
            "currency": currency,
            "destination": destination,
            "metadata": _metadata(request),
            "transfer_group": str(request.campaign_id),
        }
        call = self._post("/v1/transfers", request.key, params)
        return await _asked(call, lambda transfer: reading.transfer(request, transfer), _no_effect)

    # -- reading back --------------------------------------------------------------------------------------------

    async def find_payment(self, request: Request, customer: str) -> Outcome:
        return await _asked(self._search("/v1/payment_intents", request, customer, reading.payment), lambda it: it)

    async def find_forgotten(self, request: Request, customer: str, *, takes: bool) -> Outcome:
        others = reading.took if takes else reading.nothing
        search = self._search("/v1/payment_intents", request, customer, reading.left, others)
        return await _asked(search, lambda it: it)

    async def find_saved(self, request: Request, customer: str) -> Outcome:
        return await _asked(self._search("/v1/setup_intents", request, customer, reading.saved), lambda it: it)

    async def _search(
        self,
        path: str,
        request: Request,
        customer: str,
        read: Callable[[Request, Thing], Outcome],
        read_other: Callable[[Request, Thing], Outcome | None] = reading.nothing,
    ) -> Outcome:
        """Look for the operation's id among all that the pledge's customer has, or else for what says as much."""
        other: Outcome | None = None
        expand = [f"data.{EXPAND}"] if path.endswith("payment_intents") else []
        after: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            page = await self._get(path, {"customer": customer, "limit": PAGE, "expand": expand, **after})
            for thing in page["data"]:
                if reading.operation_of(thing) == str(request.operation_id):
                    return read(request, thing)
                other = other or read_other(request, thing)
            if not page["has_more"]:
                return other or NoEffect("the provider has no such payment")
            after = {"starting_after": page["data"][-1]["id"]}
        return Unknown("too many payments to look through")

    async def follow(self, request: Request, reference: str, *, forgotten: bool = False) -> Outcome:
        if reference.startswith(SAVED_CARD):
            return await _asked(self._fetch(reference), lambda setup: reading.saved(request, setup, any_attempt=True))
        read = reading.left if forgotten else reading.payment
        return await _asked(self._fetch(reference), lambda intent: read(request, intent, any_attempt=True))

    async def next_action(self, reference: str) -> NextAction | None:
        try:
            return reading.next_action(await self._fetch(reference))
        except Exception as error:
            raise LookupFailedError(repr(error)) from error

    async def find_capture(self, request: Request, hold_id: str) -> Outcome:
        return await _asked(self._fetch(hold_id), lambda intent: reading.capture(request, intent, any_attempt=True))

    async def find_void(self, request: Request, hold_id: str) -> Outcome:
        """Forgetting a saved card looks before it acts, so asking again is reading back."""
        if hold_id.startswith(SAVED_CARD):
            return await self.void(request, hold_id)
        return await _asked(self._fetch(hold_id), lambda intent: reading.void(request, intent))

    async def find_refund(self, request: Request, hold_id: str) -> Outcome:
        """Any attempt of ours counts: one that was overtaken by its successor has given the money back as well."""

        def ours(refunds: Thing) -> Outcome:
            for refund in refunds["data"]:
                about = refund["metadata"]
                if (about.get("pledge_id"), about.get("purpose", "")) == (str(request.pledge_id), request.purpose):
                    return reading.refund(request, refund, any_attempt=True)
            return NoEffect("the provider has no such refund")

        return await _asked(self._get("/v1/refunds", {"payment_intent": hold_id, "limit": PAGE}), ours)

    async def find_transfer(self, request: Request) -> Outcome:
        def ours(transfers: Thing) -> Outcome:
            for transfer in transfers["data"]:
                if reading.operation_of(transfer) == str(request.operation_id):
                    return reading.transfer(request, transfer)
            return NoEffect("the provider has no such transfer")

        params = {"transfer_group": str(request.campaign_id), "limit": PAGE}
        return await _asked(self._get("/v1/transfers", params), ours)

    async def reverse(self, request: Request, transfer_id: str) -> Outcome:
        amount, _ = to_stripe(request.amount)
        params = {"amount": amount, "metadata": _metadata(request)}
        call = self._post(_reversals(transfer_id), request.key, params)
        return await _asked(call, lambda reversal: reading.transfer(request, reversal), _no_effect)

    async def find_reversal(self, request: Request, transfer_id: str) -> Outcome:
        def ours(reversals: Thing) -> Outcome:
            for reversal in reversals["data"]:
                if reading.operation_of(reversal) == str(request.operation_id):
                    return reading.transfer(request, reversal)
            return NoEffect("the provider has no such reversal")

        params = {"limit": PAGE}
        return await _asked(self._get(_reversals(transfer_id), params), ours)

    async def refunds_of(self, object_id: str) -> RefundsFound | None:
        return await _looked_up(stripe_disputes.refunds_of(self._get, object_id))

    async def dispute(self, dispute_id: str) -> SeenDispute | None:
        return await _looked_up(stripe_disputes.dispute(self._get, dispute_id))

    async def operation_of(self, reference: str) -> UUID | None:
        try:
            operation = reading.operation_of(await self._fetch(reference))
            return UUID(operation) if operation else None
        except Exception as error:
            if isinstance(error, stripe.InvalidRequestError | ValueError):
                return None  # not one of ours
            raise LookupFailedError(repr(error)) from error

    def movements(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[Movement]]:
        return stripe_movements.pages(self._get, since, until)

    async def events(self, since: datetime, after: str) -> stripe_events.EventPage:
        return await stripe_events.page(self._get, since, after)

    # -- the wire ------------------------------------------------------------------------------------------------

    async def _fetch(self, reference: str) -> Thing:
        expand = [] if reference.startswith(SAVED_CARD) else [EXPAND]
        return await self._get(_path(reference), {"expand": expand} if expand else {})

    async def _post(self, path: str, key: str, params: Thing) -> Thing:
        return _answered(await self._client.raw_request_async("post", path, idempotency_key=key, **params))

    async def _get(self, path: str, params: Thing) -> Thing:
        return _answered(await self._client.raw_request_async("get", path, **params))


def _with_card(request: Request, card: Card) -> dict[str, Any]:
    return {
        "confirm": True,
        "customer": card.customer,
        "payment_method": card.payment_method,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": _metadata(request),
    }


def _path(reference: str) -> str:
    kind = "setup_intents" if reference.startswith(SAVED_CARD) else "payment_intents"
    return f"/v1/{kind}/{quote(reference, safe='')}"


def _metadata(request: Request) -> dict[str, str]:
    pledge = {} if request.pledge_id is None else {"pledge_id": str(request.pledge_id)}
    purpose = {"purpose": request.purpose} if request.purpose else {}
    return {"campaign_id": str(request.campaign_id), "operation_id": str(request.operation_id), **pledge, **purpose}


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


async def _refused(error: stripe.InvalidRequestError) -> Outcome:
    """A new payment that Stripe does not even try, such as with a payment method that does not exist."""
    return Declined(error.code or "invalid_request", hard=True)


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
    except stripe.InvalidRequestError as error:
        return Unknown(f"refused: {error.code}") if refused is None else await refused(error)
    except stripe.StripeError as error:
        return reading.failure(error)
    except Exception as error:  # noqa: BLE001 - the SDK breaks in many ways on an answer that it does not expect
        return Unknown(type(error).__name__)
