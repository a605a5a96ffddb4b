"""Records as Stripe's JSON, unexpanded. Each function needs its record alone."""

from stripe_sandbox.errors import Document
from stripe_sandbox.events import Event
from stripe_sandbox.rendering_cards import render_method
from stripe_sandbox.rendering_money import (
    render_dispute,
    render_movement,
    render_refund,
    render_reversal,
    render_transfer,
)
from stripe_sandbox.rendering_payments import render_charge, render_intent, render_setup
from stripe_sandbox.resources import (
    Charge,
    Customer,
    Dispute,
    Endpoint,
    Intent,
    Movement,
    PaymentMethod,
    Refund,
    Resource,
    Reversal,
    SetupIntent,
    Transfer,
)


def render(record: Resource) -> Document:  # noqa: C901, PLR0911 - one return a kind
    match record:
        case Intent():
            return render_intent(record)
        case Charge():
            return render_charge(record)
        case SetupIntent():
            return render_setup(record)
        case Customer():
            return _customer(record)
        case PaymentMethod():
            return render_method(record)
        case Refund():
            return render_refund(record)
        case Transfer():
            return render_transfer(record)
        case Reversal():
            return render_reversal(record)
        case Dispute():
            return render_dispute(record)
        case Movement():
            return render_movement(record)
        case Endpoint():
            return render_endpoint(record)


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
