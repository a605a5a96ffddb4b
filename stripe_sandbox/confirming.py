"""What payment intents and setup intents read and check alike: the card, how it may be used, and refusals."""

from stripe_sandbox.domain import CONFIRMABLE, DeclinedError, UnexpectedStateError
from stripe_sandbox.errors import StripeError, no_such
from stripe_sandbox.forms import Params
from stripe_sandbox.methods import Methods
from stripe_sandbox.rendering_cards import render_failure
from stripe_sandbox.rendering_payments import render_intent, render_setup
from stripe_sandbox.resources import CardOptions, Intent, PaymentMethod, SetupIntent
from stripe_sandbox.state import State

USAGES = ("off_session", "on_session")
THREE_D_SECURE = ("any", "automatic", "challenge")
IF_AVAILABLE = ("if_available", "never")


def read_customer(params: Params, state: State) -> str | None:
    customer = params.text("customer")
    if customer is not None and state.customers.get(customer) is None:
        raise no_such("customer", customer, "customer")
    return customer


def read_methods(params: Params) -> tuple[tuple[str, ...], bool]:
    """Payment method types given by the caller, and whether automatic ones may redirect."""
    types = params.texts("payment_method_types")
    unsupported = [name for name in types if name != "card"]
    if unsupported:
        raise StripeError(
            f"The payment method type {unsupported[0][:40]} is not supported by the sandbox.",
            param="payment_method_types",
        )
    automatic = params.section("automatic_payment_methods")
    if automatic is None:
        return types, True
    enabled = automatic.flag("enabled")
    redirects = automatic.choice("allow_redirects", ("always", "never")) != "never"
    automatic.close()
    if types and enabled:
        raise StripeError(
            "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
            param="payment_method_types",
        )
    return types if enabled or types else ("card",), redirects


def read_card_options(params: Params, *, holds: bool) -> CardOptions:
    """`payment_method_options[card]`; `holds`: of a payment, which may ask for an extended authorization."""
    options = params.section("payment_method_options")
    card = None if options is None else options.section("card")
    if options is None or card is None:
        return CardOptions()
    read = CardOptions(
        card.choice("request_three_d_secure", THREE_D_SECURE) or "automatic",
        card.choice("request_extended_authorization", IF_AVAILABLE) if holds else None,
    )
    card.close()
    options.close()
    return read


def usable_method(methods: Methods, method_id: str, customer: str | None) -> PaymentMethod:
    """The method with that id, when that customer, or nobody, may use it."""
    method = methods.get(method_id)
    if method is None:
        raise no_such("PaymentMethod", method_id, "payment_method")
    if method.customer is not None and method.customer != customer:
        raise StripeError(
            "The PaymentMethod belongs to a customer: pass that customer with the request.",
            param="payment_method",
        )
    if method.used:
        raise StripeError(
            "The provided PaymentMethod was previously used without being attached to a customer, or was detached "
            "from one. It may not be used again.",
            param="payment_method",
        )
    return method


def confirmable(intent: Intent | SetupIntent, method: PaymentMethod | None) -> PaymentMethod:
    """The method to confirm with, once everything that confirming needs is there."""
    if intent.status not in CONFIRMABLE:
        raise UnexpectedStateError(intent, "confirmed", CONFIRMABLE)
    what, kind = ("PaymentIntent", "payment") if isinstance(intent, Intent) else ("SetupIntent", "setup")
    if method is None:
        raise StripeError(
            f"You cannot confirm this {what} because it's missing a payment method.",
            code=f"{kind}_intent_unexpected_state",
        )
    if not intent.method_types and intent.redirects and intent.return_url is None:
        raise StripeError(
            f"This {what} accepts automatic payment methods, some of which redirect: provide a `return_url`, "
            "or set automatic_payment_methods[allow_redirects] to `never`, or payment_method_types to `card`.",
            param="return_url",
        )
    return method


def with_intent(error: UnexpectedStateError | DeclinedError) -> StripeError:
    """The error with the intent in its body, as Stripe sends it."""
    intent = error.intent
    payment = render_intent(intent) if isinstance(intent, Intent) else None
    setup = render_setup(intent) if isinstance(intent, SetupIntent) else None
    if isinstance(error, UnexpectedStateError):
        return StripeError(str(error), code=error.code, payment_intent=payment, setup_intent=setup)
    assert intent.last_failure is not None
    fields = render_failure(intent.last_failure)
    del fields["type"], fields["doc_url"], fields["message"], fields["code"]
    return StripeError(
        str(error),
        status=402,
        kind="card_error",
        code=error.code,
        param=None,
        **fields,
        payment_intent=payment,
        setup_intent=setup,
    )
