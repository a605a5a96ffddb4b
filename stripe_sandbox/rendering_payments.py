"""Payment intents, setup intents and charges as Stripe's JSON, unexpanded."""

from stripe_sandbox.errors import Document
from stripe_sandbox.rendering_cards import NOBODY, render_charged_card, render_failure, render_outcome
from stripe_sandbox.resources import CardOptions, Charge, Intent, SetupIntent, Status


def render_intent(intent: Intent) -> Document:
    return {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.amount_capturable,
        "amount_details": {"tip": {}},
        "amount_received": intent.amount_received,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": _automatic_methods(intent),
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": intent.client_secret,
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "description": intent.description,
        "last_payment_error": None if intent.last_failure is None else render_failure(intent.last_failure),
        "latest_charge": intent.latest_charge,
        "livemode": False,
        "metadata": intent.metadata,
        "next_action": _next_action(intent),
        "on_behalf_of": None,
        "payment_method": intent.payment_method,
        "payment_method_options": {"card": _card_options(intent.options)},
        "payment_method_types": intent.method_types or ("card",),
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": intent.setup_future_usage,
        "shipping": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": intent.status,
        "transfer_data": None,
        "transfer_group": intent.transfer_group,
    }


def render_setup(setup: SetupIntent) -> Document:
    return {
        "id": setup.id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": _automatic_methods(setup),
        "cancellation_reason": setup.cancellation_reason,
        "client_secret": setup.client_secret,
        "created": setup.created,
        "customer": setup.customer,
        "description": setup.description,
        "flow_directions": None,
        "last_setup_error": None if setup.last_failure is None else render_failure(setup.last_failure),
        "latest_attempt": setup.latest_attempt,
        "livemode": False,
        "mandate": None,
        "metadata": setup.metadata,
        "next_action": _next_action(setup),
        "on_behalf_of": None,
        "payment_method": setup.payment_method,
        "payment_method_options": {
            "card": {
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": setup.options.three_d_secure,
            }
        },
        "payment_method_types": setup.method_types or ("card",),
        "single_use_mandate": None,
        "status": setup.status,
        "usage": setup.usage,
    }


# What a charge of ours never has; Stripe's answers name these all the same.
_ABSENT_IN_A_CHARGE: Document = dict.fromkeys(
    (
        "application",
        "application_fee",
        "application_fee_amount",
        "on_behalf_of",
        "receipt_email",
        "receipt_number",
        "receipt_url",
        "review",
        "shipping",
        "source_transfer",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
    )
)


def render_charge(charge: Charge) -> Document:
    declined = charge.decline is not None
    return _ABSENT_IN_A_CHARGE | {
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.amount_captured,
        "amount_refunded": charge.amount_refunded,
        "balance_transaction": charge.balance_transaction,
        "billing_details": NOBODY,
        "captured": charge.captured,
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": charge.description,
        "disputed": charge.disputed,
        "failure_code": charge.decline.code if charge.decline else None,
        "failure_message": charge.decline.message if charge.decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": charge.metadata,
        "outcome": render_outcome(charge.decline),
        "paid": not declined,
        "payment_intent": charge.intent,
        "payment_method": charge.payment_method,
        "payment_method_details": {"card": render_charged_card(charge), "type": "card"},
        "refunded": not declined and charge.amount_refunded == charge.amount,
        "status": "failed" if declined else "succeeded",
        "transfer_group": charge.transfer_group,
    }


def _automatic_methods(intent: Intent | SetupIntent) -> Document | None:
    if intent.method_types:
        return None
    return {"allow_redirects": "always" if intent.redirects else "never", "enabled": True}


def _next_action(intent: Intent | SetupIntent) -> Document | None:
    """Where the backer goes: a page, for callers that gave a `return_url`, else what Stripe.js would open."""
    if intent.status is not Status.REQUIRES_ACTION:
        return None
    if intent.return_url is None:
        return {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": intent.authenticate_url},
        }
    return {
        "type": "redirect_to_url",
        "redirect_to_url": {"return_url": intent.return_url, "url": intent.authenticate_url},
    }


def _card_options(options: CardOptions) -> Document:
    shown: Document = {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": options.three_d_secure,
    }
    if options.extended_authorization is not None:
        shown["request_extended_authorization"] = options.extended_authorization
    return shown
