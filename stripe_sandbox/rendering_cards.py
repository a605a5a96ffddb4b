"""Cards and payment methods as Stripe's JSON, whole and as parts of payments; and why a card said no."""

from stripe_sandbox.cards import Card, Decline
from stripe_sandbox.errors import Document
from stripe_sandbox.resources import Charge, Failure, PaymentMethod

NOBODY: Document = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
_CARD_EXPIRY = {"exp_month": 12, "exp_year": 2040}
_CHECKS: Document = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}


def render_method(method: PaymentMethod) -> Document:
    card = method.card
    return {
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": NOBODY,
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


def render_outcome(decline: Decline | None) -> Document:
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


def render_charged_card(charge: Charge) -> Document:
    details: Document = {
        **_card(charge.card),
        "amount_authorized": None if charge.decline else charge.amount,
        "authorization_code": None,
        "checks": _CHECKS,
        "extended_authorization": {"status": "enabled" if charge.extended else "disabled"},
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
