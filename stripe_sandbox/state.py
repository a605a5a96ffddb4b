"""Everything the sandbox knows, in memory, and the events it has recorded. Nothing here speaks HTTP."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from stripe_sandbox.books import Books
from stripe_sandbox.clock import Clock
from stripe_sandbox.events import Delivery, Event, Origin
from stripe_sandbox.ids import Ids
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
from stripe_sandbox.tables import Table

API_VERSION = "2026-05-27.dahlia"


class _Lookup(Protocol):
    def get(self, row_id: str) -> Resource | None: ...


def _customers() -> Table[Customer]:
    return Table("customer", {"email": lambda row: row.email})


def _intents() -> Table[Intent]:
    return Table("payment_intent", {"customer": lambda row: row.customer})


def _setups() -> Table[SetupIntent]:
    return Table("setup_intent", {"customer": lambda row: row.customer})


def _refunds() -> Table[Refund]:
    return Table("refund", {"payment_intent": lambda row: row.intent, "charge": lambda row: row.charge})


def _transfers() -> Table[Transfer]:
    return Table(
        "transfer",
        {"transfer_group": lambda row: row.transfer_group, "destination": lambda row: row.destination},
    )


def _reversals() -> Table[Reversal]:
    return Table("transfer_reversal", {"transfer": lambda row: row.transfer})


def _disputes() -> Table[Dispute]:
    return Table("dispute", {"payment_intent": lambda row: row.intent, "charge": lambda row: row.charge})


def _movements() -> Table[Movement]:
    return Table(
        "balance_transaction",
        {"type": lambda row: row.type, "source": lambda row: row.source, "currency": lambda row: row.currency},
    )


def _events() -> Table[Event]:
    return Table("event", {"type": lambda row: row.type})


@dataclass
class State:
    """`deliver` takes an event to the webhook sender for each endpoint that wants it."""

    clock: Clock = field(default_factory=Clock)
    ids: Ids = field(default_factory=Ids)
    deliver: Callable[[Event, Endpoint], None] = lambda _event, _endpoint: None
    customers: Table[Customer] = field(default_factory=_customers)
    methods: Table[PaymentMethod] = field(default_factory=lambda: Table("payment_method"))
    intents: Table[Intent] = field(default_factory=_intents)
    setups: Table[SetupIntent] = field(default_factory=_setups)
    charges: Table[Charge] = field(default_factory=lambda: Table("charge"))
    refunds: Table[Refund] = field(default_factory=_refunds)
    transfers: Table[Transfer] = field(default_factory=_transfers)
    reversals: Table[Reversal] = field(default_factory=_reversals)
    disputes: Table[Dispute] = field(default_factory=_disputes)
    movements: Table[Movement] = field(default_factory=_movements)
    events: Table[Event] = field(default_factory=_events)
    endpoints: Table[Endpoint] = field(default_factory=lambda: Table("webhook endpoint"))
    balance: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    holds: list[tuple[int, str]] = field(default_factory=list)
    """A heap of (capture_before, intent id); entries of holds that ended stay until they come up."""
    books: Books = field(default_factory=Books)

    def __post_init__(self) -> None:
        self._by_prefix: Mapping[str, _Lookup] = {
            "cus": self.customers,
            "pm": self.methods,
            "pi": self.intents,
            "seti": self.setups,
            "ch": self.charges,
            "re": self.refunds,
            "tr": self.transfers,
            "trr": self.reversals,
            "du": self.disputes,
            "txn": self.movements,
        }

    def emit(self, event_type: str, subject: Resource, origin: Origin) -> None:
        event = Event(self.ids.new("evt"), self.clock.now(), event_type, subject, origin, API_VERSION)
        for endpoint in self.endpoints:
            if endpoint.wants(event_type):
                event.deliveries[endpoint.id] = Delivery.PENDING
        self.events.add(event)
        for endpoint_id in event.deliveries:
            endpoint_of_event = self.endpoints.get(endpoint_id)
            assert endpoint_of_event is not None
            self.deliver(event, endpoint_of_event)

    def move(self, movement: Movement) -> None:
        self.movements.add(movement)
        self.balance[movement.currency] += movement.net

    def find(self, object_id: str) -> Resource | None:
        """The record with that id, whatever its kind; for expanding ids in answers."""
        table = self._by_prefix.get(object_id.partition("_")[0])
        return None if table is None else table.get(object_id)
