"""The life of a setup intent, pure: a card is checked with its bank for later payments, and no money moves.

requires_payment_method → requires_confirmation → requires_action → succeeded | canceled
"""

from dataclasses import replace

from stripe_sandbox.cards import Authentication, Decline
from stripe_sandbox.domain import CONFIRMABLE, UnexpectedStateError
from stripe_sandbox.resources import Failure, PaymentMethod, SetupIntent, Status

AUTHENTICATION_FAILED = Decline(
    "setup_intent_authentication_failure",
    "authentication_not_handled",
    "The provided PaymentMethod has failed authentication. You can provide another and confirm again.",
)


def confirm(setup: SetupIntent, method: PaymentMethod, attempt_id: str, *, authenticated: bool) -> SetupIntent:
    """Set up, ask for authentication, or decline; the failure, if any, is `last_failure`."""
    if setup.status not in CONFIRMABLE:
        raise UnexpectedStateError(setup, "confirmed", CONFIRMABLE)
    setup = replace(setup, payment_method=method.id, latest_attempt=attempt_id, last_failure=None)
    if not authenticated and _needs_authentication(setup, method):
        return replace(setup, status=Status.REQUIRES_ACTION)
    if method.card.decline is not None and not method.card.attaches:
        return _declined(setup, method, method.card.decline)
    return replace(setup, status=Status.SUCCEEDED)


def fail_authentication(setup: SetupIntent, method: PaymentMethod) -> SetupIntent:
    """The backer did not pass 3-D Secure: another payment method is needed."""
    if setup.status is not Status.REQUIRES_ACTION:
        raise UnexpectedStateError(setup, "authenticated", (Status.REQUIRES_ACTION,))
    return _declined(setup, method, AUTHENTICATION_FAILED)


def cancel(setup: SetupIntent, reason: str | None) -> SetupIntent:
    if setup.status not in CONFIRMABLE:
        raise UnexpectedStateError(setup, "canceled", CONFIRMABLE)
    return replace(setup, status=Status.CANCELED, cancellation_reason=reason)


def set_up(method: PaymentMethod, setup: SetupIntent) -> PaymentMethod:
    """The method after its setup has succeeded: the customer's, and good for what it was set up for."""
    return replace(
        method,
        customer=setup.customer or method.customer,
        set_up=method.set_up or setup.usage == "off_session",
    )


def _needs_authentication(setup: SetupIntent, method: PaymentMethod) -> bool:
    if setup.options.three_d_secure != "automatic":
        return True
    match method.card.authentication:
        case Authentication.NEVER | Authentication.ON_SESSION:  # the second counts as set up already
            return False
        case Authentication.ALWAYS:
            return True
        case Authentication.UNLESS_SET_UP:
            return not method.set_up


def _declined(setup: SetupIntent, method: PaymentMethod, decline: Decline) -> SetupIntent:
    return replace(
        setup,
        status=Status.REQUIRES_PAYMENT_METHOD,
        payment_method=None,
        last_failure=Failure(decline, method, None),
    )
