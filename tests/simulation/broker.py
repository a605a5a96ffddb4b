"""Between the services: what one has recorded reaches the others at least once, in any order, sooner or later."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pydantic_core import from_json

from contracts.envelope import Envelope
from contracts.event import Event
from contracts.registry import PUBLIC_EVENTS
from contracts.subscriptions import SUBSCRIPTIONS
from tests.simulation.faults import Fate
from tests.simulation.loop import real
from tests.simulation.process import Database, GoneError, Process

RELAY_SECONDS: Final = 0.15  # Mean time from a commit to the broker.
DELIVERY_SECONDS: Final = 0.25  # Mean time that a queue gathers.
BATCH_MAX: Final = 40
CONSUMERS: Final = 2  # Deliveries of one queue that may be under way at once.
WITHHELD_SECONDS: Final = (1.0, 30.0, 400.0, 4_000.0)

Message = tuple[Envelope, Event]

_NEW = """
    SELECT position, event_id, source, stream_id, version, type, data, meta->>'time' AS time
      FROM event
     WHERE source = $1 AND position > $2 AND type = ANY($3::text[])
     ORDER BY position
"""


@dataclass
class Queue:
    """Of one service. A message that was delivered may come again, and one whose consumer died does."""

    service: str
    waiting: list[Message] = field(default_factory=list)
    withheld: dict[asyncio.TimerHandle, Message] = field(default_factory=dict)
    under_way: int = 0
    filled: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, message: Message) -> None:
        self.waiting.append(message)
        self.filled.set()

    def put_later(self, message: Message, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle = loop.call_later(seconds, lambda: self._bring(handle))
        self.withheld[handle] = message

    def _bring(self, handle: asyncio.TimerHandle) -> None:
        self.put(self.withheld.pop(handle))

    def bring_all(self) -> None:
        """What is withheld comes now."""
        for handle in tuple(self.withheld):
            handle.cancel()
            self._bring(handle)


@dataclass
class Broker:
    fate: Fate
    replica: Callable[[str], Awaitable[Process]]
    queues: Mapping[str, Queue]
    databases: Mapping[str, Database]
    positions: dict[str, int] = field(default_factory=dict)  # up to which each service's events are published
    published: list[Message] = field(default_factory=list)

    def publish(self, message: Message) -> None:
        self.published.append(message)
        for service, queue in self.queues.items():
            if type(message[1]) in SUBSCRIPTIONS[service]:
                self._send(queue, message)
                if self.fate.happens(self.fate.rates.doubled):
                    self._send(queue, message)

    async def publish_again(self, service: str, *, backwards: bool) -> None:
        """All that ever was, to one service: as an operator does for one that has lost its last minutes.

        Replicas take turns, and one may be slow: in the worst case the last message is the first one that is taken in.
        """
        again = [message for message in self.published if type(message[1]) in SUBSCRIPTIONS[service]]
        if backwards:
            again.reverse()
        for start in range(0, len(again), BATCH_MAX):
            await self._deliver(self.queues[service], again[start : start + BATCH_MAX])

    def _send(self, queue: Queue, message: Message) -> None:
        if self.fate.happens(self.fate.rates.withheld):
            queue.put_later(message, self.fate.chance.choice(WITHHELD_SECONDS))
        else:
            queue.put(message)

    async def relay(self, service: str) -> None:
        """Publish what a service has recorded since the last time."""
        database, types = self.databases[service], [t for t in PUBLIC_EVENTS if t.startswith(f"{service}.")]
        async with database.turn:
            rows = real(database.connection.fetch(_NEW, service, self.positions.get(service, 0), types))
        for row in rows:
            data = from_json(row["data"])
            envelope = Envelope(
                id=row["event_id"],
                source=row["source"],
                type=row["type"],
                subject=row["stream_id"],
                version=row["version"],
                time=datetime.fromisoformat(row["time"]),
                data=data,
            )
            self.publish((envelope, PUBLIC_EVENTS[row["type"]].model_validate(data)))
            self.positions[service] = row["position"]

    async def consume(self, queue: Queue) -> None:
        """One consumer, for ever: takes what it finds in any order, and acknowledges after the commit."""
        while True:
            await queue.filled.wait()
            await asyncio.sleep(self.fate.latency(DELIVERY_SECONDS))
            self.fate.chance.shuffle(queue.waiting)
            batch = queue.waiting[:BATCH_MAX]
            del queue.waiting[:BATCH_MAX]
            if not queue.waiting:
                queue.filled.clear()
            queue.under_way += len(batch)
            await self._deliver(queue, batch)
            queue.under_way -= len(batch)

    async def _deliver(self, queue: Queue, batch: list[Message]) -> None:
        if not batch:
            return
        try:
            process = await self.replica(queue.service)
            await process.call(process.core.commit.take_in(batch))
        except GoneError:
            for message in batch:
                queue.put(message)
