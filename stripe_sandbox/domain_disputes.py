"""The life of a dispute, pure: opened by the backer's bank, closed as won or lost.

https://docs.stripe.com/disputes/how-disputes-work
"""

from dataclasses import dataclass, replace

from stripe_sandbox.errors import StripeError
from stripe_sandbox.resources import Charge, Dispute, DisputeStatus

REASONS = (
    "bank_cannot_process",
    "check_returned",
    "credit_not_processed",
    "customer_initiated",
    "debit_not_authorized",
    "duplicate",
    "fraudulent",
    "general",
    "incorrect_account_details",
    "insufficient_funds",
    "noncompliant",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "unrecognized",
)
OPEN = (DisputeStatus.NEEDS_RESPONSE, DisputeStatus.INQUIRED)


@dataclass(frozen=True, slots=True)
class Opening:
    """What the bank says; `amount` is all that the payment still has when None, `inquiry` takes no money."""

    dispute_id: str
    now: int
    reason: str
    amount: int | None = None
    inquiry: bool = False


def open_dispute(charge: Charge, opening: Opening) -> tuple[Charge, Dispute]:
    """Both as they are once the bank has spoken; the balance is the caller's."""
    amount = charge.refundable if opening.amount is None else opening.amount
    if not charge.captured:
        raise StripeError(f"Charge {charge.id} has not been captured: a bank does not dispute a hold.")
    if charge.disputed:
        raise StripeError(f"Charge {charge.id} has been disputed already.", code="charge_disputed")
    if not 0 < amount <= charge.refundable:
        raise StripeError(
            f"The charge has {charge.refundable} left: that is the most that can be disputed.", param="amount"
        )
    dispute = Dispute(
        id=opening.dispute_id,
        created=opening.now,
        amount=amount,
        currency=charge.currency,
        charge=charge.id,
        intent=charge.intent,
        brand=charge.card.brand,
        reason=opening.reason,
        status=DisputeStatus.INQUIRED if opening.inquiry else DisputeStatus.NEEDS_RESPONSE,
        metadata={},
    )
    return replace(charge, disputed=True, charged_back=0 if opening.inquiry else amount), dispute


def close(charge: Charge, dispute: Dispute, *, won: bool) -> tuple[Charge, Dispute]:
    """The end of it; a lost dispute keeps what it took."""
    if dispute.status not in OPEN:
        raise StripeError(f"This dispute is already closed as {dispute.status}.")
    if dispute.status is DisputeStatus.INQUIRED:
        return charge, replace(dispute, status=DisputeStatus.INQUIRY_CLOSED)
    if not won:
        return charge, replace(dispute, status=DisputeStatus.LOST)
    return replace(charge, charged_back=0), replace(dispute, status=DisputeStatus.WON)
