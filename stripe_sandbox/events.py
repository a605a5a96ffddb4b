"""Events: what happened to which record, who asked for it, and which endpoints have heard of it."""

from dataclasses import dataclass, field
from enum import StrEnum

from stripe_sandbox.resources import Resource


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
        """Endpoints that do not have it, whether it is still tried or not."""
        return sum(1 for state in self.deliveries.values() if state is not Delivery.DELIVERED)

    @property
    def delivered(self) -> bool:
        """Every endpoint that wanted it has it."""
        return all(state is Delivery.DELIVERED for state in self.deliveries.values())
