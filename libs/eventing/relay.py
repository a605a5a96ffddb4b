"""The relay: tails the service's own events and publishes them, in batches, with confirms.

The event store is the outbox. One replica relays, by a lease in the row `relay`; two at once only duplicate, and
readers take every event once. The cursor moves only forward and only past what the broker has confirmed.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import aio_pika.exceptions
import structlog
from asyncpg import Record
from faststream.rabbit import Channel, ExchangeType, RabbitBroker, RabbitExchange
from pydantic_core import from_json

from contracts.envelope import BATCH_CONTENT_TYPE, batch, encode
from contracts.ids import new_id
from contracts.registry import PUBLIC_EVENTS
from eventing.database import Pool
from eventing.metrics import Metrics
from eventing.topology import EXCHANGE

LEASE_SECONDS: Final = 5  # A dead holder is replaced after this; the issue of duplicates ends then, too.
RENEW_SECONDS: Final = 1.5  # Several chances to renew before the lease ends.
MESSAGE_EVENTS_MAX: Final = 100  # One message costs the reader about 200 us, whatever it carries.
IN_FLIGHT_MAX: Final = 500  # A quorum queue's throughput comes from unconfirmed messages; past this only memory grows.
ROUND_EVENTS_MAX: Final = 5_000  # Rows read at a time: a few megabytes.
ROUND_SECONDS: Final = 0.03  # While lately active, from one look to the next: what comes meanwhile shares a message.
IDLE_POLL_SECONDS: Final = 0.2
ACTIVE_SECONDS: Final = 2.0
CONFIRM_SECONDS: Final = 30.0
BACKOFF_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
UNROUTABLE_PAUSE_SECONDS: Final = 5.0  # Somebody has to declare a queue first.

log = structlog.get_logger(__name__)

_LEASE = """
    UPDATE relay
    SET holder = $1, until = now() + make_interval(secs => $2),
        epoch = epoch + CASE WHEN holder IS DISTINCT FROM $1 THEN 1 ELSE 0 END
    WHERE holder = $1 OR until < now()
    RETURNING epoch, xid::text AS xid, position
"""
# Not waited for on the disk: a cursor that a crash of the database sets back makes duplicates, which readers know.
_ADVANCE = """
    WITH fast AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    UPDATE relay
    SET xid = $3::text::xid8, position = $4, until = now() + make_interval(secs => $5)
    FROM fast
    WHERE holder = $1 AND epoch = $2 AND (xid, position) < ($3::text::xid8, $4)
"""
_RELEASE = "UPDATE relay SET until = '-infinity' WHERE holder = $1"
# The source is written into the text: with a parameter a generic plan would not use the partial index.
_READ = """
    SELECT xid::text AS xid, position, event_id, stream_id, version, type, data, meta
    FROM event
    WHERE source = '{source}'
      AND (xid, position) > ($1::text::xid8, $2)
      AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid, position
    LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    xid: str
    position: int


class UnroutableError(Exception):
    """An event was published into nothing: no queue is bound to its type."""


class Relay:
    """`run()` relays for ever; `run_once()` is one round, for tests and for `run`."""

    def __init__(
        self, pool: Pool, source: str, broker_url: str, *, holder: UUID | None = None, metrics: Metrics | None = None
    ) -> None:
        self._pool = pool
        self._source = source
        self._metrics = metrics or Metrics()
        self._broker = RabbitBroker(
            broker_url,
            default_channel=Channel(on_return_raises=True),
            logger=None,
            fail_fast=False,
            reconnect_interval=1.0,
        )
        self._exchange = RabbitExchange(EXCHANGE, type=ExchangeType.TOPIC, declare=False)
        self._holder = holder or new_id()
        self._epoch = 0
        self._cursor: Cursor | None = None  # None: not the holder
        self._ahead: tuple[Cursor, asyncio.Task[list[Record]]] | None = None
        self._leased_at = 0.0
        self._active_at = 0.0
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """This process has committed something."""
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Relay until `stop()`; every fault is waited out, an unroutable event included."""
        failures = 0
        await self._connect()
        while not self._stopping:
            try:
                relayed = await self.run_once()
                self._metrics.relay_stopped.set(0)
                failures = 0
            except UnroutableError as error:
                self._metrics.relay_stopped.set(1)
                log.error("relay_stopped", reason=str(error))  # noqa: TRY400 - the reason is all there is to say
                await self._pause(UNROUTABLE_PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - broker or database away: nothing is lost by waiting
                self._cursor = None
                log.warning("relay_waits", error=repr(error))
                await self._pause(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1
            else:
                await self._rest(relayed)
        await self._leave()

    async def run_once(self) -> int:
        """Publish what is new, one round. Returns the number of events that the cursor passed.

        Raises:
            UnroutableError: Nothing is bound to a type; the cursor stays before it.
            Exception: The database or the broker is away; the cursor stays.
        """
        self._wake.clear()
        if not await self._hold():
            return 0
        assert self._cursor is not None
        rows = await self._next_rows(self._cursor)
        if not rows:
            self._metrics.relay_lag_seconds.set(0)
            return 0
        self._active_at = time.monotonic()
        self._metrics.relay_lag_seconds.set((datetime.now(UTC) - _time_of(rows[0])).total_seconds())
        last = Cursor(rows[-1]["xid"], rows[-1]["position"])
        if len(rows) == ROUND_EVENTS_MAX:
            self._ahead = last, asyncio.create_task(self._read(last))
        await self._publish(rows)
        await self._advance(last)
        return len(rows)

    async def _next_rows(self, cursor: Cursor) -> list[Record]:
        """The rows after a cursor; mostly they were read while those before them were published."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return await self._read(cursor)
        after, reading = ahead
        if after == cursor:
            return await reading
        await asyncio.gather(reading, return_exceptions=True)  # the cursor is somewhere else by now
        return await self._read(cursor)

    async def _read(self, after: Cursor) -> list[Record]:
        return await self._pool.fetch(_READ.format(source=self._source), after.xid, after.position, ROUND_EVENTS_MAX)

    async def start(self) -> None:
        """Connect to the broker. `run` does this itself and waits as long as it takes."""
        await self._broker.start()

    async def close(self) -> None:
        if self._ahead is not None:
            await asyncio.gather(self._ahead[1], return_exceptions=True)
        await self._broker.stop()

    async def _connect(self) -> None:
        for pause in itertools.chain(BACKOFF_SECONDS, itertools.repeat(BACKOFF_SECONDS[-1])):
            if self._stopping:
                return
            try:
                await self.start()
            except Exception as error:  # noqa: BLE001 - the broker is away: the store accepts meanwhile
                log.warning("relay_waits_for_broker", error=repr(error))
                await self._pause(pause)
            else:
                return

    async def _leave(self) -> None:
        with contextlib.suppress(Exception):  # the lease ends by itself
            await self._pool.execute(_RELEASE, self._holder)
        await self.close()

    async def _rest(self, relayed: int) -> None:
        """Until the next look. Lately active: other replicas may have committed, and rows may be behind the xmin."""
        if relayed == ROUND_EVENTS_MAX:
            return
        if time.monotonic() - self._active_at < ACTIVE_SECONDS:
            await asyncio.sleep(ROUND_SECONDS)
        else:
            await self._pause(IDLE_POLL_SECONDS)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _hold(self) -> bool:
        if self._cursor is not None and time.monotonic() - self._leased_at < RENEW_SECONDS:
            return True
        leased_at = time.monotonic()
        row = await self._pool.fetchrow(_LEASE, self._holder, LEASE_SECONDS)
        if row is None:
            self._cursor = None
            return False
        if row["epoch"] != self._epoch:
            log.info("relay_lease_taken", epoch=row["epoch"])
        self._epoch, self._leased_at = row["epoch"], leased_at
        self._cursor = Cursor(row["xid"], row["position"])
        return True

    async def _advance(self, cursor: Cursor) -> None:
        moved = await self._pool.execute(
            _ADVANCE, self._holder, self._epoch, cursor.xid, cursor.position, LEASE_SECONDS
        )
        if moved == "UPDATE 0":
            self._cursor = None  # another replica has taken over while this one was away
            return
        self._cursor, self._leased_at = cursor, time.monotonic()

    async def _publish(self, rows: Sequence[Record]) -> None:
        messages = list(_messages(self._source, rows))
        for start in range(0, len(messages), IN_FLIGHT_MAX):
            flight = messages[start : start + IN_FLIGHT_MAX]
            sent = (self._publish_one(type_, events) for type_, events in flight)
            failures = [e for e in await asyncio.gather(*sent, return_exceptions=True) if e is not None]
            if failures:
                raise next((e for e in failures if isinstance(e, UnroutableError)), failures[0])
            self._metrics.relay_published.inc(sum(len(events) for _, events in flight))

    async def _publish_one(self, type_: str, events: Sequence[str]) -> None:
        try:
            await self._broker.publish(
                batch(events),
                exchange=self._exchange,
                routing_key=type_,
                persist=True,
                content_type=BATCH_CONTENT_TYPE,
                message_type=type_,
                timeout=CONFIRM_SECONDS,
            )
        except aio_pika.exceptions.PublishError as error:
            msg = f"no queue takes {type_}"
            raise UnroutableError(msg) from error


def _messages(source: str, rows: Iterable[Record]) -> Iterable[tuple[str, list[str]]]:
    """One event type per message. Order between types does not matter: folds do not depend on it."""
    waiting: dict[str, list[str]] = {}
    for row in rows:
        type_ = row["type"]
        if type_ not in PUBLIC_EVENTS:
            continue
        events = waiting.setdefault(type_, [])
        events.append(cloud_event(source, row))
        if len(events) == MESSAGE_EVENTS_MAX:
            yield type_, waiting.pop(type_)
    yield from waiting.items()


def cloud_event(source: str, row: Record) -> str:
    """One row of the event table as CloudEvent JSON."""
    meta = from_json(row["meta"])
    return encode(
        id=row["event_id"],
        source=source,
        type=row["type"],
        subject=row["stream_id"],
        version=row["version"],
        time=datetime.fromisoformat(meta["time"]),
        data_json=row["data"],
        traceparent=meta.get("traceparent", ""),
        correlation_id=meta.get("correlationid", ""),
        causation_id=meta.get("causationid", ""),
    )


def _time_of(row: Record) -> datetime:
    return datetime.fromisoformat(from_json(row["meta"])["time"])
