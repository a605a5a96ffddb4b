"""What the sandbox keeps: one frozen record for each object of Stripe's.

Records are replaced, never changed, so an event can hold the record as it was at that moment for free.
Times are Unix seconds, amounts minor units.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from stripe_sandbox.cards import Card, Decline

Metadata = Mapping[str, str]


class Status(StrEnum):
    """The states of a payment intent, and but for `requires_capture` those of a setup intent.

    `processing` is missing: cards never rest there.
    """

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Customer:
    id: str
    created: int
    metadata: Metadata
    description: str | None = None
    email: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """`used`: charged without a customer, or detached, so it is spent. `set_up`: good for off-session."""

    id: str
    created: int
    card: Card
    customer: str | None = None
    used: bool = False
    set_up: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last attempt failed, with the payment method that it used."""

    decline: Decline
    method: PaymentMethod
    charge: str | None


@dataclass(frozen=True, slots=True)
class CardOptions:
    """`payment_method_options[card]`; `extended_authorization` is None when it was not spoken of."""

    three_d_secure: str = "automatic"
    extended_authorization: str | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    id: str
    created: int
    amount: int
    currency: str
    status: Status
    client_secret: str
    metadata: Metadata
    capture_method: str = "automatic"
    customer: str | None = None
    payment_method: str | None = None
    latest_charge: str | None = None
    amount_capturable: int = 0
    amount_received: int = 0
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    last_failure: Failure | None = None
    description: str | None = None
    transfer_group: str | None = None
    statement_descriptor_suffix: str | None = None
    setup_future_usage: str | None = None
    return_url: str | None = None
    authenticate_url: str | None = None
    """Where the backer answers the bank; shown only to callers that gave a return_url, as Stripe does."""
    method_types: tuple[str, ...] = ()
    """Given by the caller; empty means automatic payment methods."""
    redirects: bool = True
    """Automatic payment methods may send the backer to another page, so confirming needs a return_url."""
    options: CardOptions = CardOptions()


@dataclass(frozen=True, slots=True)
class SetupIntent:
    """Makes a payment method ready for later; the fields that it shares with an intent mean the same."""

    id: str
    created: int
    status: Status
    client_secret: str
    metadata: Metadata
    usage: str = "off_session"
    customer: str | None = None
    payment_method: str | None = None
    latest_attempt: str | None = None
    cancellation_reason: str | None = None
    last_failure: Failure | None = None
    description: str | None = None
    return_url: str | None = None
    authenticate_url: str | None = None
    method_types: tuple[str, ...] = ()
    redirects: bool = True
    options: CardOptions = CardOptions()


@dataclass(frozen=True, slots=True)
class Charge:
    """`amount_refunded` counts what was released at a partial capture too, as Stripe's does.

    `charged_back`: what disputes have taken and not given back.
    """

    id: str
    created: int
    amount: int
    currency: str
    intent: str
    customer: str | None
    payment_method: str
    card: Card
    metadata: Metadata
    description: str | None
    transfer_group: str | None
    decline: Decline | None = None
    captured: bool = False
    amount_captured: int = 0
    amount_refunded: int = 0
    released: int = 0
    capture_before: int | None = None
    balance_transaction: str | None = None
    authenticated: bool = False
    extended: bool = False
    disputed: bool = False
    charged_back: int = 0

    @property
    def refundable(self) -> int:
        return self.amount_captured - (self.amount_refunded - self.released) - self.charged_back


@dataclass(frozen=True, slots=True)
class Refund:
    id: str
    created: int
    amount: int
    currency: str
    charge: str
    intent: str
    balance_transaction: str
    metadata: Metadata
    reason: str | None


@dataclass(frozen=True, slots=True)
class Reversal:
    """A transfer taken back, in part or whole."""

    id: str
    created: int
    amount: int
    currency: str
    transfer: str
    balance_transaction: str
    destination_payment_refund: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Transfer:
    id: str
    created: int
    amount: int
    currency: str
    destination: str
    destination_payment: str
    balance_transaction: str
    metadata: Metadata
    description: str | None
    source_transaction: str | None
    transfer_group: str | None
    reversals: tuple[Reversal, ...] = ()

    @property
    def amount_reversed(self) -> int:
        return sum(reversal.amount for reversal in self.reversals)


@dataclass(frozen=True, slots=True)
class Movement:
    """A balance transaction: `net` = `amount` - `fee`, signed as seen by the platform.

    `category` groups the types for accountants, `type` where it is empty.
    """

    id: str
    created: int
    amount: int
    fee: int
    currency: str
    type: str
    source: str
    description: str | None
    category: str = ""

    @property
    def net(self) -> int:
        return self.amount - self.fee


class DisputeStatus(StrEnum):
    NEEDS_RESPONSE = "needs_response"
    INQUIRED = "warning_needs_response"
    """An inquiry: the bank asks, no money is taken."""
    INQUIRY_CLOSED = "warning_closed"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Dispute:
    """`movements`: what it took from the balance and gave back."""

    id: str
    created: int
    amount: int
    currency: str
    charge: str
    intent: str
    brand: str
    reason: str
    status: DisputeStatus
    metadata: Metadata
    movements: tuple[Movement, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint. `enabled_events` may be `*`."""

    id: str
    created: int
    url: str
    secret: str
    enabled_events: tuple[str, ...]
    metadata: Metadata
    description: str | None = None
    api_version: str | None = None

    def wants(self, event_type: str) -> bool:
        return "*" in self.enabled_events or event_type in self.enabled_events


Resource = (
    Customer
    | PaymentMethod
    | Intent
    | SetupIntent
    | Charge
    | Refund
    | Transfer
    | Reversal
    | Dispute
    | Movement
    | Endpoint
)
