"""Refunds, transfers, disputes and what they do to the balance as Stripe's JSON, unexpanded."""

from stripe_sandbox.domain import DAY_SECONDS
from stripe_sandbox.errors import Document
from stripe_sandbox.rendering_lists import render_list
from stripe_sandbox.resources import Dispute, DisputeStatus, Movement, Refund, Reversal, Transfer

EVIDENCE_DAYS = 9  # Stripe gives between 7 and 21, by network.
_NO_EVIDENCE: Document = dict.fromkeys(
    (
        "access_activity_log",
        "billing_address",
        "cancellation_policy",
        "cancellation_policy_disclosure",
        "cancellation_rebuttal",
        "customer_communication",
        "customer_email_address",
        "customer_name",
        "customer_purchase_ip",
        "customer_signature",
        "duplicate_charge_documentation",
        "duplicate_charge_explanation",
        "duplicate_charge_id",
        "product_description",
        "receipt",
        "refund_policy",
        "refund_policy_disclosure",
        "refund_refusal_explanation",
        "service_date",
        "service_documentation",
        "shipping_address",
        "shipping_carrier",
        "shipping_date",
        "shipping_documentation",
        "shipping_tracking_number",
        "uncategorized_file",
        "uncategorized_text",
    )
) | {"enhanced_evidence": {}}
REVERSALS_SHOWN = 10  # In a transfer itself; the list has all.


def render_refund(refund: Refund) -> Document:
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


def render_transfer(transfer: Transfer) -> Document:
    return {
        "id": transfer.id,
        "object": "transfer",
        "amount": transfer.amount,
        "amount_reversed": transfer.amount_reversed,
        "balance_transaction": transfer.balance_transaction,
        "created": transfer.created,
        "currency": transfer.currency,
        "description": transfer.description,
        "destination": transfer.destination,
        "destination_payment": transfer.destination_payment,
        "livemode": False,
        "metadata": transfer.metadata,
        "reversals": render_list(
            map(render_reversal, transfer.reversals[: -REVERSALS_SHOWN - 1 : -1]),
            f"/v1/transfers/{transfer.id}/reversals",
            has_more=len(transfer.reversals) > REVERSALS_SHOWN,
        ),
        "reversed": transfer.amount_reversed == transfer.amount,
        "source_transaction": transfer.source_transaction,
        "source_type": "card",
        "transfer_group": transfer.transfer_group,
    }


def render_reversal(reversal: Reversal) -> Document:
    return {
        "id": reversal.id,
        "object": "transfer_reversal",
        "amount": reversal.amount,
        "balance_transaction": reversal.balance_transaction,
        "created": reversal.created,
        "currency": reversal.currency,
        "destination_payment_refund": reversal.destination_payment_refund,
        "metadata": reversal.metadata,
        "source_refund": None,
        "transfer": reversal.transfer,
    }


def render_dispute(dispute: Dispute) -> Document:
    inquiry = dispute.status in {DisputeStatus.INQUIRED, DisputeStatus.INQUIRY_CLOSED}
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [render_movement(movement) for movement in dispute.movements],
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": dispute.currency,
        "enhanced_eligibility_types": [],
        "evidence": _NO_EVIDENCE,
        "evidence_details": {
            "due_by": dispute.created + EVIDENCE_DAYS * DAY_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": dispute.status
        in {DisputeStatus.INQUIRED, DisputeStatus.INQUIRY_CLOSED, DisputeStatus.WON},
        "livemode": False,
        "metadata": dispute.metadata,
        "payment_intent": dispute.intent,
        "payment_method_details": {
            "card": {
                "brand": dispute.brand,
                "case_type": "inquiry" if inquiry else "chargeback",
                "network_reason_code": None,
            },
            "type": "card",
        },
        "reason": dispute.reason,
        "status": dispute.status,
    }


def render_movement(movement: Movement) -> Document:
    fees: list[Document] = []
    if movement.fee:
        fees.append(
            {
                "amount": movement.fee,
                "application": None,
                "currency": movement.currency,
                "description": "Dispute fee" if movement.type == "adjustment" else "Stripe processing fees",
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
        "reporting_category": movement.category or movement.type,
        "source": movement.source,
        "status": "available",
        "type": movement.type,
    }
