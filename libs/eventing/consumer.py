"""The broker's door: message bodies become events for the group commit, settled only after its commit."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import structlog
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue
from faststream.rabbit.subscriber import RabbitSubscriber
from pydantic import ValidationError
from pydantic_core import to_json

from contracts.envelope import Envelope, UndecodableError, decode, decode_batch
from contracts.event import Event
from contracts.registry import PUBLIC_EVENTS
from eventing.database import Connection, Pool
from eventing.faults import Fault, fault_of
from eventing.group_commit import GroupCommit
from eventing.metrics import Metrics
from eventing.store import park, park_body
from eventing.telemetry import under
from eventing.topology import dead_queue_of, queue_of

PREFETCH_MESSAGES: Final = 20  # Times 100 events a message: 2 000 events on the way at most.
DEAD_PREFETCH: Final = 5
GRACEFUL_SECONDS: Final = 10.0
PING_SECONDS: Final = 1.0
BACKOFF_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)

log = structlog.get_logger(__name__)


class MisplacedError(ValueError):
    """An event whose type, source and routing key do not belong together: forged, or a bug at its source."""


class DeadLetterError(Exception):
    """The broker gave up on a message."""


class Consumer:
    """Reads the service's queue until `stop()`, up to PREFETCH_MESSAGES bodies side by side."""

    def __init__(
        self, pool: Pool, commit: GroupCommit, service: str, broker_url: str, metrics: Metrics | None = None
    ) -> None:
        self._pool = pool
        self._metrics = metrics or Metrics()
        self._commit = commit
        self._service = service
        self._broker = RabbitBroker(
            broker_url,
            apply_types=False,
            logger=None,
            fail_fast=False,
            reconnect_interval=1.0,
            graceful_timeout=GRACEFUL_SECONDS,
            decoder=_as_it_came,
        )
        self._subscribers = [
            self._subscribe(queue_of(service), PREFETCH_MESSAGES, self._take_in),
            self._subscribe(dead_queue_of(service), DEAD_PREFETCH, self._bury),
        ]

    async def start(self) -> None:
        """Connect and consume; waits for a broker that is away."""
        for pause in itertools.chain(BACKOFF_SECONDS, itertools.repeat(BACKOFF_SECONDS[-1])):
            try:
                await self._broker.start()
            except Exception as error:  # noqa: BLE001 - whatever it is, a later try may succeed
                log.warning("consumer_waits_for_broker", error=repr(error))
                await asyncio.sleep(pause)
            else:
                return

    async def stop(self) -> None:
        """Take nothing new; what was not settled comes again elsewhere."""
        await self._broker.stop()

    async def consuming(self) -> bool:
        """Whether this process has its consumers at the broker; a connection alone is not enough."""
        if not self._broker.running or not await self._broker.ping(timeout=PING_SECONDS):
            return False
        for subscriber in self._subscribers:
            queue, tag = subscriber._queue_obj, subscriber._consumer_tag  # noqa: SLF001 - no public way to ask
            if queue is None or tag is None:
                return False
            channel = await queue.channel.get_underlay_channel()
            if channel.is_closed or tag not in getattr(channel, "consumers", ()):
                return False
        return True

    def _subscribe(
        self, queue: str, prefetch: int, handler: Callable[[RabbitMessage], Awaitable[None]]
    ) -> RabbitSubscriber:
        subscriber = self._broker.subscriber(
            RabbitQueue(queue, declare=False),
            channel=Channel(prefetch_count=prefetch),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )
        subscriber(handler)
        return subscriber

    async def _take_in(self, message: RabbitMessage) -> None:
        body: bytes = message.body
        routing_key = message.raw_message.routing_key or ""
        try:
            raw = decode_batch(body)
        except UndecodableError as error:
            await self._park(error, partial(park_body, body=body, error=error, type_=routing_key))
        else:
            await self._take_in_batch(raw, routing_key)
        await message.ack()
        message.clear_cache()

    async def _take_in_batch(self, batch: list[Mapping[str, Any]], routing_key: str) -> None:
        events: list[tuple[Envelope, Event]] = []
        for raw in batch:
            envelope = None
            try:
                envelope = decode(raw)
                events.append((envelope, self._event_of(envelope, routing_key)))
            except (UndecodableError, MisplacedError, ValidationError) as error:
                await self._park_one(raw, envelope, error, routing_key)
        if events:
            first = events[0][0]  # a batch may hold many traces; each event goes on with its own
            with under(first.traceparent, first.correlation_id, span=f"take in {routing_key}"):
                await self._commit.take_in(events)

    def _event_of(self, envelope: Envelope, routing_key: str) -> Event:
        """The event as its model, checked: who may say this, and is it what the routing key promises?

        Operators republish history straight to a queue; then the routing key is the queue's name.
        """
        model = PUBLIC_EVENTS.get(envelope.type)
        if model is None:
            msg = f"no contract for {envelope.type!r}"
            raise MisplacedError(msg)
        if envelope.source != model.source or routing_key not in {envelope.type, queue_of(self._service)}:
            msg = f"{envelope.type} came from {envelope.source!r} under the routing key {routing_key!r}"
            raise MisplacedError(msg)
        event = model.model_validate(envelope.data)
        if event.subject != envelope.subject:
            msg = f"the event is about {event.subject}, its envelope about {envelope.subject}"
            raise MisplacedError(msg)
        return event

    async def _park_one(
        self, raw: Mapping[str, Any], envelope: Envelope | None, error: Exception, routing_key: str
    ) -> None:
        if envelope is not None:
            await self._park(error, partial(park, envelope=envelope, error=error))
        else:
            body = to_json([raw])
            await self._park(error, partial(park_body, body=body, error=error, type_=routing_key))

    async def _bury(self, message: RabbitMessage) -> None:
        """A dead letter becomes a parked event, so that operators have one place to look."""
        deaths = message.headers.get("x-death", "")
        error = DeadLetterError(f"dead-lettered by the broker: {deaths}")
        body: bytes = message.body
        type_ = str(message.raw_message.type or "")
        await self._park(error, partial(park_body, body=body, error=error, type_=type_))
        await message.ack()
        message.clear_cache()

    async def _park(self, reason: Exception, parking: Callable[[Connection], Awaitable[None]]) -> None:
        """Park, however long the database takes to come back; the message stays unacknowledged meanwhile."""
        for pause in itertools.chain(BACKOFF_SECONDS, itertools.repeat(BACKOFF_SECONDS[-1])):
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    await parking(connection)
                self._metrics.parked.labels(type(reason).__name__).inc()
            except Exception as error:
                if fault_of(error) is Fault.MEMBER:
                    raise
                log.warning("parking_waits_for_database", error=repr(error))
                await asyncio.sleep(pause)
            else:
                return


async def _as_it_came(message: Any) -> Any:
    """A FastStream decoder that decodes nothing: the handler wants the message itself.

    FastStream keeps in a message what it was decoded to. A message that keeps itself would be freed only when garbage
    is looked for, thousands of messages later; so the handlers clear that cache.
    """
    return message
