"""Records as Stripe's JSON, unexpanded. Each function needs its record alone."""

from collections.abc import Iterable

from stripe_sandbox.cards import Card, Decline
from stripe_sandbox.errors import Document
from stripe_sandbox.resources import (
    Charge,
    Customer,
    Endpoint,
    Event,
    Failure,
    Intent,
    Movement,
    PaymentMethod,
    Refund,
    Resource,
    Status,
    Transfer,
)

_CARD_EXPIRY = {"exp_month": 12, "exp_year": 2040}
_NOBODY: Document = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
_CHECKS: Document = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}


def render(record: Resource) -> Document:  # noqa: PLR0911 - one return a kind
    match record:
        case Intent():
            return render_intent(record)
        case Charge():
            return render_charge(record)
        case Customer():
            return _customer(record)
        case PaymentMethod():
            return render_method(record)
        case Refund():
            return _refund(record)
        case Transfer():
            return _transfer(record)
        case Movement():
            return _movement(record)
        case Endpoint():
            return render_endpoint(record)


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
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
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
        "billing_details": _NOBODY,
        "captured": charge.captured,
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": charge.description,
        "disputed": False,
        "failure_code": charge.decline.code if charge.decline else None,
        "failure_message": charge.decline.message if charge.decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": charge.metadata,
        "outcome": _outcome(charge.decline),
        "paid": not declined,
        "payment_intent": charge.intent,
        "payment_method": charge.payment_method,
        "payment_method_details": {"card": _charged_card(charge), "type": "card"},
        "refunded": not declined and charge.amount_refunded == charge.amount,
        "status": "failed" if declined else "succeeded",
        "transfer_group": charge.transfer_group,
    }


def render_method(method: PaymentMethod) -> Document:
    card = method.card
    return {
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": _NOBODY,
        "card": {
            **_card(card),
            "checks": _CHECKS,
            "display_brand": card.brand,
            "generated_from": None,
            "networks": {"available": [card.brand], "preferred": None},
            "three_d_secure_usage": {"supported": True},
        },
        "created": method.created,
        "customer": method.customer,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def render_failure(failure: Failure) -> Document:
    """The `error` object of a declined payment, without the payment intent."""
    decline = failure.decline
    error: Document = {
        "type": "card_error",
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
        "payment_method": render_method(failure.method),
    }
    if failure.charge is not None:
        error["charge"] = failure.charge
    if decline.advice_code is not None:
        error["advice_code"] = decline.advice_code
    if decline.network_decline_code is not None:
        error["network_decline_code"] = decline.network_decline_code
    return error


def render_event(event: Event) -> Document:
    return {
        "id": event.id,
        "object": "event",
        "api_version": event.api_version,
        "created": event.created,
        "data": {"object": render(event.subject)},
        "livemode": False,
        "pending_webhooks": event.pending,
        "request": {"id": event.origin.request, "idempotency_key": event.origin.idempotency_key},
        "type": event.type,
    }


def render_endpoint(endpoint: Endpoint, *, with_secret: bool = False) -> Document:
    """Stripe shows the secret in the answer to the creation alone."""
    document: Document = {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "api_version": endpoint.api_version,
        "application": None,
        "created": endpoint.created,
        "description": endpoint.description,
        "enabled_events": endpoint.enabled_events,
        "livemode": False,
        "metadata": endpoint.metadata,
        "status": "enabled",
        "url": endpoint.url,
    }
    if with_secret:
        document["secret"] = endpoint.secret
    return document


def render_list(documents: Iterable[Document], url: str, *, has_more: bool) -> Document:
    return {"object": "list", "data": list(documents), "has_more": has_more, "url": url}


def _automatic_methods(intent: Intent) -> Document | None:
    if intent.method_types:
        return None
    return {"allow_redirects": "always" if intent.redirects else "never", "enabled": True}


def _next_action(intent: Intent) -> Document | None:
    if intent.status is not Status.REQUIRES_ACTION:
        return None
    if intent.return_url is None:
        return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    return {
        "type": "redirect_to_url",
        "redirect_to_url": {
            "return_url": intent.return_url,
            "url": intent.authenticate_url,
        },
    }


def _outcome(decline: Decline | None) -> Document:
    if decline is None:
        return {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "advice_code": decline.advice_code,
        "network_advice_code": None,
        "network_decline_code": decline.network_decline_code,
        "network_status": "declined_by_network",
        "reason": decline.decline_code,
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": decline.message,
        "type": "issuer_declined",
    }


def _card(card: Card) -> Document:
    return {
        "brand": card.brand,
        "country": card.country,
        **_CARD_EXPIRY,
        "fingerprint": f"fp{card.brand}{card.last4}",
        "funding": card.funding,
        "last4": card.last4,
        "regulated_status": "unregulated",
        "wallet": None,
    }


def _charged_card(charge: Charge) -> Document:
    details: Document = {
        **_card(charge.card),
        "amount_authorized": None if charge.decline else charge.amount,
        "authorization_code": None,
        "checks": _CHECKS,
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": charge.card.brand,
        "network_token": {"used": False},
        "overcapture": {"maximum_amount_capturable": charge.amount, "status": "unavailable"},
        "three_d_secure": None,
    }
    if charge.authenticated:
        details["three_d_secure"] = {
            "authentication_flow": "challenge",
            "electronic_commerce_indicator": "05",
            "exemption_indicator": None,
            "result": "authenticated",
            "result_reason": None,
            "transaction_id": None,
            "version": "2.2.0",
        }
    if charge.capture_before is not None:
        details["capture_before"] = charge.capture_before
    return details


def _customer(customer: Customer) -> Document:
    return {
        "id": customer.id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": customer.created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": customer.description,
        "discount": None,
        "email": customer.email,
        "invoice_prefix": customer.id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": customer.metadata,
        "name": customer.name,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def _refund(refund: Refund) -> Document:
    return {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": refund.balance_transaction,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def _transfer(transfer: Transfer) -> Document:
    return {
        "id": transfer.id,
        "object": "transfer",
        "amount": transfer.amount,
        "amount_reversed": 0,
        "balance_transaction": transfer.balance_transaction,
        "created": transfer.created,
        "currency": transfer.currency,
        "description": transfer.description,
        "destination": transfer.destination,
        "destination_payment": transfer.destination_payment,
        "livemode": False,
        "metadata": transfer.metadata,
        "reversals": render_list((), f"/v1/transfers/{transfer.id}/reversals", has_more=False),
        "reversed": False,
        "source_transaction": transfer.source_transaction,
        "source_type": "card",
        "transfer_group": transfer.transfer_group,
    }


def _movement(movement: Movement) -> Document:
    fees: list[Document] = []
    if movement.fee:
        fees.append(
            {
                "amount": movement.fee,
                "application": None,
                "currency": movement.currency,
                "description": "Stripe processing fees",
                "type": "stripe_fee",
            }
        )
    return {
        "id": movement.id,
        "object": "balance_transaction",
        "amount": movement.amount,
        "available_on": movement.created,
        "balance_type": "payments",
        "created": movement.created,
        "currency": movement.currency,
        "description": movement.description,
        "exchange_rate": None,
        "fee": movement.fee,
        "fee_details": fees,
        "net": movement.net,
        "reporting_category": movement.type,
        "source": movement.source,
        "status": "available",
        "type": movement.type,
    }
