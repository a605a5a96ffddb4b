"""The routes of payment intents."""

from dataclasses import dataclass, replace

from stripe_sandbox.confirming import (
    USAGES,
    confirmable,
    read_card_options,
    read_customer,
    read_methods,
    usable_method,
)
from stripe_sandbox.errors import Document, StripeError, not_found
from stripe_sandbox.forms import Params
from stripe_sandbox.methods import Methods
from stripe_sandbox.money import check_charge_amount, check_currency
from stripe_sandbox.payments import Payments
from stripe_sandbox.reading import Call
from stripe_sandbox.rendering_payments import render_intent
from stripe_sandbox.resources import Intent, PaymentMethod, Status
from stripe_sandbox.state import State

CANCELLATION_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")
CAPTURE_METHODS = ("automatic", "automatic_async", "manual")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The parameters that matter when an intent is confirmed."""

    off_session: bool
    fail_on_action: bool


class IntentsApi:
    def __init__(self, state: State, payments: Payments, methods: Methods, public_url: str) -> None:
        self._state = state
        self._payments = payments
        self._methods = methods
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
        method = confirmable(intent, method)
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
        usage = params.choice("setup_future_usage", USAGES)
        method_id = params.text("payment_method") or intent.payment_method
        params.close()
        intent = replace(
            intent,
            return_url=return_url or intent.return_url,
            setup_future_usage=usage or intent.setup_future_usage,
        )
        method = None if method_id is None else usable_method(self._methods, method_id, intent.customer)
        return self._confirmed(intent, confirmable(intent, method), confirmation, call)

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
        customer = read_customer(params, self._state)
        method_id = params.text("payment_method")
        method = None if method_id is None else usable_method(self._methods, method_id, customer)
        types, redirects = read_methods(params)
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
            options=read_card_options(params, holds=True),
        )
        return intent, method

    def _confirmed(self, intent: Intent, method: PaymentMethod, confirmation: Confirmation, call: Call) -> Document:
        confirmed = self._payments.confirm(
            intent,
            method,
            call.origin,
            off_session=confirmation.off_session,
            fail_on_action=confirmation.fail_on_action,
        )
        return render_intent(confirmed)

    def _intent(self, call: Call) -> Intent:
        intent = self._state.intents.get(call.object_id)
        if intent is None:
            raise not_found("payment_intent", call.object_id, "intent")
        return intent


def _confirmation(params: Params) -> Confirmation:
    return Confirmation(params.flag("off_session"), params.flag("error_on_requires_action"))
