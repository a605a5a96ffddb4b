"""The routes of payment intents."""

from dataclasses import dataclass, replace

from stripe_sandbox.domain import CONFIRMABLE, UnexpectedStateError
from stripe_sandbox.errors import Document, StripeError, no_such, not_found
from stripe_sandbox.forms import Params
from stripe_sandbox.money import check_charge_amount, check_currency
from stripe_sandbox.payments import DeclinedError, Payments
from stripe_sandbox.reading import Call
from stripe_sandbox.rendering import render_failure, render_intent
from stripe_sandbox.resources import Intent, PaymentMethod, Status
from stripe_sandbox.state import State

CANCELLATION_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
CAPTURE_METHODS = ("automatic", "automatic_async", "manual")
USAGES = ("off_session", "on_session")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The parameters that matter when an intent is confirmed."""

    off_session: bool
    fail_on_action: bool


class IntentsApi:
    def __init__(self, state: State, payments: Payments, public_url: str) -> None:
        self._state = state
        self._payments = payments
        self._public_url = public_url

    def create(self, call: Call) -> Document:
        params = call.params
        confirm = params.flag("confirm")
        confirmation = _confirmation(params)
        intent, method = self._new_intent(params)
        params.close()
        if confirmation.off_session and not confirm:
            raise StripeError("`off_session` may only be given when `confirm` is true.", param="off_session")
        if not confirm:
            return render_intent(self._payments.add_intent(intent, call.origin))
        method = _confirmable(intent, method)
        self._payments.add_intent(intent, call.origin)
        return self._confirmed(intent, method, confirmation, call)

    def retrieve(self, call: Call) -> Document:
        call.params.text("client_secret")
        call.params.close()
        return render_intent(self._intent(call))

    def confirm(self, call: Call) -> Document:
        params, intent = call.params, self._intent(call)
        confirmation = _confirmation(params)
        return_url = params.text("return_url")
        method_id = params.text("payment_method") or intent.payment_method
        params.close()
        if return_url is not None:
            intent = replace(intent, return_url=return_url)
        method = None if method_id is None else self._method(method_id, intent.customer)
        return self._confirmed(intent, _confirmable(intent, method), confirmation, call)

    def capture(self, call: Call) -> Document:
        amount = call.params.integer("amount_to_capture", minimum=1)
        metadata = call.params.metadata()
        call.params.close()
        intent = self._intent(call)
        return render_intent(self._payments.capture(intent, amount, metadata, call.origin))

    def cancel(self, call: Call) -> Document:
        reason = call.params.choice("cancellation_reason", CANCELLATION_REASONS)
        call.params.close()
        intent = self._intent(call)
        return render_intent(self._payments.cancel(intent, reason, call.origin))

    def _new_intent(self, params: Params) -> tuple[Intent, PaymentMethod | None]:
        currency = check_currency(params.required_text("currency"))
        amount = check_charge_amount(params.required_integer("amount", minimum=1), currency)
        customer = params.text("customer")
        if customer is not None and self._state.customers.get(customer) is None:
            raise no_such("customer", customer, "customer")
        method_id = params.text("payment_method")
        method = None if method_id is None else self._method(method_id, customer)
        types, redirects = _methods(params)
        intent_id = self._state.ids.new("pi")
        intent = Intent(
            id=intent_id,
            created=self._state.clock.now(),
            amount=amount,
            currency=currency,
            status=Status.REQUIRES_PAYMENT_METHOD if method is None else Status.REQUIRES_CONFIRMATION,
            client_secret=f"{intent_id}_{self._state.ids.new('secret')}",
            metadata=params.metadata(),
            capture_method=params.choice("capture_method", CAPTURE_METHODS) or "automatic_async",
            customer=customer,
            payment_method=None if method is None else method.id,
            description=params.text("description"),
            transfer_group=params.text("transfer_group"),
            statement_descriptor_suffix=params.text("statement_descriptor_suffix"),
            setup_future_usage=params.choice("setup_future_usage", USAGES),
            return_url=params.text("return_url"),
            authenticate_url=f"{self._public_url}/sandbox/authenticate/{intent_id}",
            method_types=types,
            redirects=redirects,
        )
        return intent, method

    def _method(self, method_id: str, customer: str | None) -> PaymentMethod:
        method = self._payments.method(method_id)
        if method is None:
            raise no_such("PaymentMethod", method_id, "payment_method")
        if method.customer is not None and method.customer != customer:
            raise StripeError(
                "The PaymentMethod belongs to a customer: pass that customer with the PaymentIntent.",
                param="payment_method",
            )
        if method.used:
            raise StripeError(
                "The provided PaymentMethod was previously used without being attached to a customer. It may "
                "not be used again: attach it to a customer first.",
                param="payment_method",
            )
        return method

    def _confirmed(self, intent: Intent, method: PaymentMethod, confirmation: Confirmation, call: Call) -> Document:
        document = render_intent(
            self._payments.confirm(intent, method, call.origin, off_session=confirmation.off_session)
        )
        if document["status"] == Status.REQUIRES_ACTION and confirmation.fail_on_action:
            raise StripeError(
                "This payment required an authentication action to complete, but `error_on_requires_action` was set.",
                status=402,
                kind="card_error",
                code="authentication_required",
                decline_code="authentication_not_handled",
                payment_intent=document,
            )
        return document

    def _intent(self, call: Call) -> Intent:
        intent = self._state.intents.get(call.object_id)
        if intent is None:
            raise not_found("payment_intent", call.object_id, "intent")
        return intent


def with_intent(error: UnexpectedStateError | DeclinedError) -> StripeError:
    """The error with the intent in its body, as Stripe sends it."""
    intent = error.intent
    if isinstance(error, UnexpectedStateError):
        return StripeError(str(error), code=error.code, payment_intent=render_intent(intent))
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
        payment_intent=render_intent(intent),
    )


def _confirmation(params: Params) -> Confirmation:
    return Confirmation(params.flag("off_session"), params.flag("error_on_requires_action"))


def _methods(params: Params) -> tuple[tuple[str, ...], bool]:
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


def _confirmable(intent: Intent, method: PaymentMethod | None) -> PaymentMethod:
    """The method to confirm with, once everything that confirming needs is there."""
    if intent.status not in CONFIRMABLE:
        raise UnexpectedStateError(intent, "confirmed", CONFIRMABLE)
    if method is None:
        raise StripeError(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    if not intent.method_types and intent.redirects and intent.return_url is None:
        raise StripeError(
            "This PaymentIntent accepts automatic payment methods, some of which redirect: provide a `return_url`, "
            "or set automatic_payment_methods[allow_redirects] to `never`, or payment_method_types to `card`.",
            param="return_url",
        )
    return method
