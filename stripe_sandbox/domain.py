"""The life of a payment intent, pure: records and a time in, new records out, refusals as Stripe words them.

requires_payment_method → requires_confirmation → requires_action → requires_capture → succeeded | canceled
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from stripe_sandbox.cards import AUTHENTICATION_REQUIRED, Authentication, Decline
from stripe_sandbox.errors import StripeError
from stripe_sandbox.resources import Charge, Failure, Intent, PaymentMethod, SetupIntent, Status

DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600
HOLD_SECONDS = 7 * DAY_SECONDS
VISA_OFF_SESSION_HOLD_SECONDS = 4 * DAY_SECONDS + 18 * HOUR_SECONDS
# https://docs.stripe.com/payments/extended-authorization: other networks have none.
EXTENDED_HOLD_SECONDS = {
    "visa": 29 * DAY_SECONDS + 18 * HOUR_SECONDS,
    "mastercard": 30 * DAY_SECONDS,
    "amex": 30 * DAY_SECONDS,
    "discover": 30 * DAY_SECONDS,
}

CONFIRMABLE = (Status.REQUIRES_PAYMENT_METHOD, Status.REQUIRES_CONFIRMATION, Status.REQUIRES_ACTION)
CANCELABLE = (*CONFIRMABLE, Status.REQUIRES_CAPTURE)

AUTHENTICATION_FAILED = Decline(
    "payment_intent_authentication_failure",
    "authentication_not_handled",
    "The provided PaymentMethod has failed authentication. You can provide another and confirm again.",
)
ACTION_NOT_WANTED = Decline(
    "authentication_required",
    "authentication_not_handled",
    "This payment required an authentication action to complete, but `error_on_requires_action` was set.",
)


class UnexpectedStateError(StripeError):
    """The intent is in a state that does not allow what was asked; the answer carries the intent."""

    def __init__(self, intent: Intent | SetupIntent, done: str, allowed: Iterable[Status]) -> None:
        what, code = (
            ("PaymentIntent", "payment_intent_unexpected_state")
            if isinstance(intent, Intent)
            else ("SetupIntent", "setup_intent_unexpected_state")
        )
        super().__init__(
            f"This {what} could not be {done} because it has a status of {intent.status}. Only a "
            f"{what} with one of the following statuses may be {done}: {', '.join(allowed)}.",
            code=code,
        )
        self.intent = intent


class DeclinedError(StripeError):
    """The card said no. The attempt has been recorded in the intent, which the answer carries."""

    def __init__(self, intent: Intent | SetupIntent) -> None:
        assert intent.last_failure is not None
        decline = intent.last_failure.decline
        super().__init__(decline.message, status=402, kind="card_error", code=decline.code)
        self.intent = intent


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a confirmation or a capture: the intent, its charge if there is one, a decline if any."""

    intent: Intent
    charge: Charge | None = None
    decline: Decline | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """How an intent is confirmed. `authenticated`: the backer has just passed 3-D Secure.

    `fail_on_action`: nobody is there to bring the backer to the bank's page, so the attempt fails instead.
    """

    charge_id: str
    now: int
    off_session: bool = False
    authenticated: bool = False
    fail_on_action: bool = False


def confirm(intent: Intent, method: PaymentMethod, terms: Terms) -> Attempt:
    """Hold or take the money, ask for authentication, or decline."""
    if intent.status not in CONFIRMABLE:
        raise UnexpectedStateError(intent, "confirmed", CONFIRMABLE)
    if intent.payment_method != method.id or intent.last_failure is not None:
        intent = replace(intent, payment_method=method.id, last_failure=None)
    if not terms.authenticated and _needs_authentication(intent, method, off_session=terms.off_session):
        if terms.off_session:
            return _declined(intent, method, AUTHENTICATION_REQUIRED, terms)
        if terms.fail_on_action:
            failed = _back_to_method(intent, Failure(ACTION_NOT_WANTED, method, None))
            return Attempt(failed, decline=ACTION_NOT_WANTED)
        return Attempt(replace(intent, status=Status.REQUIRES_ACTION))
    if method.card.decline is not None:
        return _declined(intent, method, method.card.decline, terms)
    return _approved(intent, method, terms)


def fail_authentication(intent: Intent, method: PaymentMethod) -> Attempt:
    """The backer did not pass 3-D Secure: another payment method is needed; no charge was tried."""
    if intent.status is not Status.REQUIRES_ACTION:
        raise UnexpectedStateError(intent, "authenticated", (Status.REQUIRES_ACTION,))
    failure = Failure(AUTHENTICATION_FAILED, method, None)
    return Attempt(_back_to_method(intent, failure), decline=AUTHENTICATION_FAILED)


def capture(intent: Intent, charge: Charge, amount: int | None) -> Attempt:
    """Take at most what is held, once; the rest is released."""
    if intent.status is not Status.REQUIRES_CAPTURE:
        raise UnexpectedStateError(intent, "captured", (Status.REQUIRES_CAPTURE,))
    taken = intent.amount_capturable if amount is None else amount
    if taken > intent.amount_capturable:
        raise StripeError(
            f"The amount to capture is greater than the amount that can be captured ({intent.amount_capturable}).",
            code="amount_too_large",
            param="amount_to_capture",
        )
    decline = charge.card.capture_decline
    if decline is not None:
        failed = replace(charge, decline=decline, capture_before=None)
        failure = Failure(decline, _method_of(charge), charge.id)
        return Attempt(_back_to_method(intent, failure), failed, decline)
    return Attempt(*_taken(intent, charge, taken))


def cancel(intent: Intent, charge: Charge | None, reason: str | None, now: int) -> Attempt:
    """Release the hold, if there is one, and end the intent."""
    if intent.status not in CANCELABLE:
        raise UnexpectedStateError(intent, "canceled", CANCELABLE)
    held = charge if intent.status is Status.REQUIRES_CAPTURE else None
    ended = replace(
        intent,
        status=Status.CANCELED,
        canceled_at=now,
        cancellation_reason=reason,
        amount_capturable=0,
    )
    if held is None:
        return Attempt(ended)
    released = replace(held, amount_refunded=held.amount, released=held.amount, capture_before=None)
    return Attempt(ended, released)


def refund(charge: Charge, amount: int | None) -> tuple[Charge, int]:
    """The charge after giving back `amount` (all that is left when None), and the amount."""
    if not charge.captured:
        raise StripeError(
            f"Charge {charge.id} has not been captured; cancel its PaymentIntent to release the hold.",
            code="charge_not_refundable",
        )
    if charge.charged_back:
        raise StripeError(
            f"Charge {charge.id} has been charged back; cannot issue a refund.",
            code="charge_disputed",
        )
    if charge.refundable == 0:
        raise StripeError(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
    given = charge.refundable if amount is None else amount
    if given > charge.refundable:
        raise StripeError(
            f"Refund amount ({given}) is greater than unrefunded amount on charge ({charge.refundable})",
            code="amount_too_large",
            param="amount",
        )
    return replace(charge, amount_refunded=charge.amount_refunded + given), given


def _needs_authentication(intent: Intent, method: PaymentMethod, *, off_session: bool) -> bool:
    if intent.options.three_d_secure != "automatic":
        return True
    match method.card.authentication:
        case Authentication.NEVER:
            return False
        case Authentication.ALWAYS:
            return True
        case Authentication.ON_SESSION:
            return not off_session
        case Authentication.UNLESS_SET_UP:
            return not method.set_up


def _approved(intent: Intent, method: PaymentMethod, terms: Terms) -> Attempt:
    if intent.capture_method != "manual":
        charge = _charge(intent, method, terms)
        return Attempt(*_taken(replace(intent, latest_charge=charge.id), charge, intent.amount))
    window, extended = _hold_seconds(intent, method.card.brand, off_session=terms.off_session)
    charge = _charge(intent, method, terms, capture_before=terms.now + window, extended=extended)
    held = replace(
        intent,
        status=Status.REQUIRES_CAPTURE,
        latest_charge=charge.id,
        amount_capturable=intent.amount,
    )
    return Attempt(held, charge)


def _hold_seconds(intent: Intent, brand: str, *, off_session: bool) -> tuple[int, bool]:
    """How long a hold lasts, and whether that is the network's extended window."""
    extended = EXTENDED_HOLD_SECONDS.get(brand)
    if extended is not None and intent.options.extended_authorization == "if_available":
        return extended, True
    return (VISA_OFF_SESSION_HOLD_SECONDS if off_session and brand == "visa" else HOLD_SECONDS), False


def _declined(intent: Intent, method: PaymentMethod, decline: Decline, terms: Terms) -> Attempt:
    charge = _charge(intent, method, terms, decline=decline)
    failed = _back_to_method(intent, Failure(decline, method, charge.id))
    return Attempt(replace(failed, latest_charge=charge.id), charge, decline)


def _taken(intent: Intent, charge: Charge, amount: int) -> tuple[Intent, Charge]:
    rest = charge.amount - amount
    return (
        replace(intent, status=Status.SUCCEEDED, amount_capturable=0, amount_received=amount),
        replace(
            charge,
            captured=True,
            amount_captured=amount,
            amount_refunded=rest,
            released=rest,
            capture_before=None,
        ),
    )


def _back_to_method(intent: Intent, failure: Failure) -> Intent:
    return replace(
        intent,
        status=Status.REQUIRES_PAYMENT_METHOD,
        payment_method=None,
        amount_capturable=0,
        last_failure=failure,
    )


def _charge(
    intent: Intent,
    method: PaymentMethod,
    terms: Terms,
    *,
    decline: Decline | None = None,
    capture_before: int | None = None,
    extended: bool = False,
) -> Charge:
    return Charge(
        id=terms.charge_id,
        created=terms.now,
        amount=intent.amount,
        currency=intent.currency,
        intent=intent.id,
        customer=intent.customer,
        payment_method=method.id,
        card=method.card,
        metadata=intent.metadata,
        description=intent.description,
        transfer_group=intent.transfer_group,
        decline=decline,
        capture_before=capture_before,
        authenticated=terms.authenticated and decline is None,
        extended=extended,
    )


def _method_of(charge: Charge) -> PaymentMethod:
    return PaymentMethod(charge.payment_method, charge.created, charge.card, charge.customer)
