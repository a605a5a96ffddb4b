"""What Stripe's answers and errors mean, in our own terms: pure functions over the JSON that it sends.

Every answer is checked against what was asked (DOMAIN Y2). Whatever it does not say clearly is Unknown.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import stripe

from contracts.money import Money
from payment.gateway import (
    ActionRequired,
    Contention,
    Declined,
    Mismatch,
    NextAction,
    NoEffect,
    Outcome,
    Request,
    Succeeded,
    Throttled,
    Unknown,
)
from payment.stripe_money import UnsupportedAmountError, from_stripe, to_stripe

# https://docs.stripe.com/declines/codes: the issuer does not want to see the card again.
_HARD: Final = frozenset(
    ("lost_card", "stolen_card", "fraudulent", "pickup_card", "restricted_card", "merchant_blacklist",
     "revocation_of_all_authorizations", "revocation_of_authorization", "stop_payment_order")
)  # fmt: skip
# A capture leaves its own mark beside that of the operation which made the hold, by which a hold is found again.
CAPTURED_BY: Final = "capture_operation_id"
_NEVER_AGAIN: Final = frozenset(("03", "21"))  # Mastercard's advice; Visa's comes as `do_not_try_again`.

Thing: TypeAlias = Mapping[str, Any]  # one of Stripe's objects; a field that must be there and is not makes it Unknown


def failure(error: stripe.StripeError) -> Outcome:
    """The outcome of a call that Stripe refused, but for a 400: what that means depends on what was asked."""
    match error:
        case stripe.CardError():
            return _declined(error)
        case stripe.RateLimitError():
            locked = _field(error.error, "code") == "lock_timeout"  # the SDK leaves its own `code` empty here
            return Contention() if locked else Throttled()
        case _ if error.http_status == 409:
            return Contention()
        case _:
            return Unknown(f"{type(error).__name__} {error.http_status}")


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


def _field(error: object, name: str) -> str | None:
    """A field of an error that Stripe may leave out."""
    found = getattr(error, name, None)
    return found if isinstance(found, str) else None


def operation_of(thing: Thing) -> str | None:
    found = thing["metadata"].get("operation_id")
    return found if isinstance(found, str) else None


def _mismatch(
    request: Request, thing: Thing, amount: int, *, any_attempt: bool = False, mark: str = "operation_id"
) -> Mismatch | None:
    """Every answer is checked against what was asked (DOMAIN Y2). `any_attempt`: of this pledge is enough."""
    asked, currency = to_stripe(request.amount)
    if (amount, thing["currency"]) != (asked, currency):
        return Mismatch(f"{thing['id']} is about {amount} {thing['currency']}, not {asked} {currency}")
    name, expected = ("pledge_id", request.pledge_id) if any_attempt else (mark, request.operation_id)
    if thing["metadata"].get(name) != str(expected):
        return Mismatch(f"{thing['id']} has another {name}")
    return None


def payment(  # noqa: PLR0911 - one a status
    request: Request, intent: Thing, *, any_attempt: bool = False
) -> Outcome:
    """A hold or a charge."""
    if wrong := _mismatch(request, intent, intent["amount"], any_attempt=any_attempt):
        return wrong
    match intent["status"]:
        case "requires_capture":
            return _held(intent)
        case "succeeded" if intent["capture_method"] == "manual":
            return _captured_meanwhile(request, intent)
        case "succeeded":
            return _taken(request, intent)
        case "requires_action":
            return ActionRequired(intent["id"])
        case "requires_payment_method" | "canceled":
            return Declined(_failure(intent) or intent["status"])
        case status:
            return Unknown(str(status))


def left(request: Request, intent: Thing, *, any_attempt: bool = False) -> Outcome:
    """A hold or a charge of which a restored database has forgotten how it went on."""
    outcome = payment(request, intent, any_attempt=any_attempt)
    charge = _expanded(intent, "latest_charge")
    released = intent["status"] == "canceled" and charge is not None and charge["status"] == "succeeded"
    return _held(intent) if isinstance(outcome, Declined) and released else outcome


def took(request: Request, intent: Thing) -> Outcome | None:
    """What another payment of the same pledge has taken; None: nothing."""
    if intent["status"] != "succeeded":
        return None
    wrong = _mismatch(request, intent, intent["amount_received"], any_attempt=True)
    return wrong or _captured_meanwhile(request, intent)


def nothing(_request: Request, _thing: Thing) -> None:
    """Whatever others of the pledge's payments are."""


def _captured_meanwhile(request: Request, intent: Thing) -> Outcome:
    """By a capture of ours that the database has forgotten."""
    if intent["capture_method"] == "manual" and CAPTURED_BY not in intent["metadata"]:
        return Mismatch(f"{intent['id']} was captured by somebody else")
    outcome = _taken(request, intent)
    if not isinstance(outcome, Succeeded):
        return outcome
    return replace(outcome, captured=from_stripe(intent["amount_received"], intent["currency"]))


def saved(request: Request, setup: Thing, *, any_attempt: bool = False) -> Outcome:
    """A card that is kept for later. A SetupIntent names no amount."""
    name, expected = ("pledge_id", request.pledge_id) if any_attempt else ("operation_id", request.operation_id)
    if setup["metadata"].get(name) != str(expected):
        return Mismatch(f"{setup['id']} has another {name}")
    match setup["status"]:
        case "succeeded":
            return Succeeded(setup["id"], payment_method=setup["payment_method"] or "")
        case "requires_action":
            return ActionRequired(setup["id"])
        case "requires_payment_method" | "canceled":
            return Declined(_failure(setup) or setup["status"])
        case status:
            return Unknown(str(status))


def next_action(thing: Thing) -> NextAction | None:
    if thing["status"] != "requires_action":
        return None
    redirect = (thing.get("next_action") or {}).get("redirect_to_url") or {}
    return NextAction(thing["client_secret"], redirect.get("url"))


def _failure(intent: Thing) -> str | None:
    error = intent.get("last_payment_error") or intent.get("last_setup_error") or {}
    return error.get("decline_code") or error.get("code")


def capture(request: Request, intent: Thing, *, any_attempt: bool = False) -> Outcome:
    match intent["status"]:
        case "succeeded":
            wrong = _mismatch(request, intent, intent["amount_received"], any_attempt=any_attempt, mark=CAPTURED_BY)
            return wrong or _taken(request, intent)
        case "requires_capture":
            return NoEffect("still held")
        case "canceled":
            return Declined("hold_expired", hard=True)
        case "requires_payment_method":
            return Declined(_failure(intent) or "capture_failed")
        case status:
            return Unknown(str(status))


def void(request: Request, intent: Thing) -> Outcome:
    """Cancelling takes no metadata: the hold itself is what the answer is checked against."""
    if intent["metadata"].get("pledge_id") != str(request.pledge_id):
        return Mismatch(f"{intent['id']} belongs to another pledge")
    match intent["status"]:
        case "canceled":
            return Succeeded(intent["id"])
        case "succeeded" if intent["capture_method"] != "manual":
            return NoEffect("it was charged meanwhile")  # the backer passed the bank's check after all
        case "succeeded":
            return Mismatch(f"{intent['id']} was captured")
        case "processing":
            return Unknown("processing")
        case _:
            return NoEffect("still held")


def refund(request: Request, made: Thing, *, any_attempt: bool = False) -> Outcome:
    if wrong := _mismatch(request, made, made["amount"], any_attempt=any_attempt):
        return wrong
    match made["status"]:
        case "succeeded" | "pending":  # pending: the bank has not confirmed; Stripe tells when it fails (DOMAIN Y8)
            return Succeeded(made["id"])
        case "failed" | "canceled":
            return Declined(made.get("failure_reason") or "refund_failed")
        case status:
            return Unknown(str(status))


def transfer(request: Request, made: Thing) -> Outcome:
    return _mismatch(request, made, made["amount"]) or Succeeded(made["id"])


def _expanded(thing: Thing, name: str) -> Thing | None:
    """The object under a name, if there is one and Stripe sent it whole and not its id."""
    found = thing.get(name)
    return found if isinstance(found, dict) else None


def _taken(request: Request, intent: Thing) -> Outcome:
    """A charge or a capture, with the fee that Stripe kept. One that no ledger can hold is not rounded."""
    charge = _expanded(intent, "latest_charge")
    movement = charge and _expanded(charge, "balance_transaction")
    if not movement:
        return Unknown("its fee is not known yet")
    try:
        fee: Money = from_stripe(movement["fee"], movement["currency"])
    except UnsupportedAmountError as error:  # asked again, it says the same
        return Mismatch(f"{intent['id']}: the fee is {error}, {movement['fee']} as the provider counts")
    if fee.currency != request.amount.currency:
        return Mismatch(f"{intent['id']}: the fee is in {fee.currency}")
    return Succeeded(intent["id"], fee=fee, payment_method=intent["payment_method"] or "")


def _held(intent: Thing) -> Succeeded:
    return Succeeded(
        intent["id"], capture_before=_capture_before(intent), payment_method=intent["payment_method"] or ""
    )


def _capture_before(intent: Thing) -> datetime | None:
    charge = _expanded(intent, "latest_charge") or {}
    card = (charge.get("payment_method_details") or {}).get("card") or {}
    until = card.get("capture_before")
    return datetime.fromtimestamp(until, UTC) if isinstance(until, int) else None
