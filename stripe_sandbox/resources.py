"""What the sandbox keeps: one frozen record for each object of Stripe's.

Records are replaced, never changed, so an event can hold the record as it was at that moment for free.
Times are Unix seconds, amounts minor units.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stripe_sandbox.cards import Card, Decline

Metadata = Mapping[str, str]


class Status(StrEnum):
    """The states of a payment intent. `processing` is missing: cards never rest there."""

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
    """`used`: charged once without a customer, so it may not be used again. `set_up`: good for off-session."""

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


@dataclass(frozen=True, slots=True)
class Charge:
    """`amount_refunded` counts what was released at a partial capture too, as Stripe's does."""

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

    @property
    def refundable(self) -> int:
        return self.amount_captured - (self.amount_refunded - self.released)


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


@dataclass(frozen=True, slots=True)
class Movement:
    """A balance transaction: `net` = `amount` - `fee`, signed as seen by the platform."""

    id: str
    created: int
    amount: int
    fee: int
    currency: str
    type: str
    source: str
    description: str | None

    @property
    def net(self) -> int:
        return self.amount - self.fee


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


Resource = Customer | PaymentMethod | Intent | Charge | Refund | Transfer | Movement | Endpoint


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that caused something; empty for what the sandbox does by itself."""

    request: str | None = None
    idempotency_key: str | None = None


class Delivery(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(slots=True)
class Event:
    """What happened to `subject`, as it was then. `deliveries` is the only part that changes."""

    id: str
    created: int
    type: str
    subject: Resource
    origin: Origin
    api_version: str
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    @property
    def pending(self) -> int:
        return sum(1 for state in self.deliveries.values() if state is Delivery.PENDING)

    @property
    def delivered(self) -> bool:
        """Every endpoint that wanted it has it."""
        return all(state is Delivery.DELIVERED for state in self.deliveries.values())
