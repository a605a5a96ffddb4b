"""Between an event and its delivery: what webhook faults double, hold back or lose."""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from stripe_sandbox.clock import Clock
from stripe_sandbox.events import Delivery, Event
from stripe_sandbox.faults import Faults, WebhookKind
from stripe_sandbox.resources import Endpoint

REORDER_SECONDS = 2  # An event that waits for a later one goes by itself when there is none.

Send = Callable[[Event, Endpoint], None]


@dataclass(frozen=True, slots=True, order=True)
class _Held:
    due: int
    number: int
    event: Event
    endpoint: Endpoint


class Crossing:
    """Every delivery passes it; `delivered` and `release` let go what it has held back."""

    def __init__(self, send: Send, faults: Faults, clock: Clock) -> None:
        self._send = send
        self._faults = faults
        self._clock = clock
        self._numbers = count()
        self._late: list[_Held] = []
        """A heap by the time at which each is due."""
        self._next: dict[str, list[_Held]] = {}
        """By endpoint: what the next event to it is to overtake."""
        self._behind: dict[tuple[str, str], list[_Held]] = {}
        """By event and endpoint: what goes once that one has ended."""

    def __len__(self) -> int:
        """How many deliveries are held back."""
        return len(self._late) + sum(map(len, (*self._next.values(), *self._behind.values())))

    def deliver(self, event: Event, endpoint: Endpoint) -> None:
        fault = self._faults.take_webhook(event)
        match None if fault is None else fault.kind:
            case None:
                self._send_on(event, endpoint)
            case WebhookKind.DUPLICATE:
                self._send_on(event, endpoint)
                self._send(event, endpoint)
            case WebhookKind.LOSE:
                event.deliveries[endpoint.id] = Delivery.GIVEN_UP
            case WebhookKind.DELAY:
                assert fault is not None
                heappush(self._late, self._held(event, endpoint, fault.seconds))
            case WebhookKind.REORDER:
                self._next.setdefault(endpoint.id, []).append(self._held(event, endpoint, REORDER_SECONDS))

    def ended(self, event: Event, endpoint: Endpoint) -> None:
        """A delivery is over: what it was to overtake may go."""
        for held in self._behind.pop((event.id, endpoint.id), ()):
            self._send(held.event, held.endpoint)

    def release(self) -> None:
        """Send what is due by the sandbox's clock."""
        now = self._clock.now()
        while self._late and self._late[0].due <= now:
            held = heappop(self._late)
            self._send_on(held.event, held.endpoint)
        for endpoint_id, waiting in list(self._next.items()):
            if waiting[0].due <= now:
                for held in self._next.pop(endpoint_id):
                    self._send(held.event, held.endpoint)

    def _send_on(self, event: Event, endpoint: Endpoint) -> None:
        if endpoint.id in self._next:
            self._behind[event.id, endpoint.id] = self._next.pop(endpoint.id)
        self._send(event, endpoint)

    def _held(self, event: Event, endpoint: Endpoint, seconds: int) -> _Held:
        return _Held(self._clock.now() + seconds, next(self._numbers), event, endpoint)
