"""The budget of calls that all replicas share (DOMAIN Y7): its buckets are rows, locked while tokens are taken.

Also the last look before a call is sent: whether an operator has stopped its kind.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from eventing.clock import DatabaseClock
from eventing.database import Connection, Pool
from payment import switches
from payment.budget import ENDPOINTS, OVERALL, UNLIMITED_RATE, Bucket, Lane, Limits, Wish, admit, fill, full, slow
from payment.calls import Meter, Report, SwitchedOffError, Ticket
from payment.switches import ALL, READS

LOOK_SECONDS: Final = 1.0  # How soon a replica without limits hears that another one was slowed down.
FRESH_SECONDS: Final = 0.1  # A stopped kind is known everywhere after this; at 400 calls a second one look serves 40.
TURN_SECONDS: Final = 0.05  # Between two tries of a call without an operation to get a token.

_ADD: Final = """
    INSERT INTO provider_bucket (endpoint, rate, tokens, filled_at, throttled)
    SELECT endpoint, rate, tokens, $4, 0
      FROM unnest($1::text[], $2::float8[], $3::float8[]) AS given(endpoint, rate, tokens)
     ORDER BY endpoint
        ON CONFLICT (endpoint) DO NOTHING
"""
_LOCK: Final = """
    SELECT endpoint, rate, tokens, filled_at, slowed_at, throttled
      FROM provider_bucket
     ORDER BY endpoint
       FOR UPDATE
"""
_SAVE: Final = """
    UPDATE provider_bucket
       SET rate = given.rate, tokens = given.tokens, filled_at = given.filled_at, slowed_at = given.slowed_at,
           throttled = given.throttled
      FROM unnest($1::text[], $2::float8[], $3::float8[], $4::timestamptz[], $5::timestamptz[], $6::bigint[])
        AS given(endpoint, rate, tokens, filled_at, slowed_at, throttled)
     WHERE provider_bucket.endpoint = given.endpoint
"""
_SLOWED: Final = "SELECT EXISTS (SELECT FROM provider_bucket WHERE rate < $1)"


class BudgetMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        label = ("endpoint",)
        self.rate = Gauge("payment_provider_rate", "Calls a second allowed just now", label, registry=registry)
        self.tokens = Gauge("payment_provider_tokens", "Calls that may be made at once", label, registry=registry)
        self.throttled = Counter("payment_provider_throttled", "Answers of 429", label, registry=registry)


@dataclass
class Purse:
    """The buckets, while they are locked."""

    buckets: Mapping[str, Bucket]


@dataclass
class Budget:
    """Implements `payment.calls.Gate`."""

    pool: Pool
    clock: DatabaseClock
    limits: Limits = field(default_factory=Limits)
    meter: Meter = field(default_factory=Meter)
    metrics: BudgetMetrics = field(default_factory=lambda: BudgetMetrics(CollectorRegistry()))
    _added: set[str] = field(default_factory=set)
    _slowed: bool = False
    _looked_at: float = float("-inf")
    _stopped: frozenset[str] = frozenset()
    _read_at: float = float("-inf")
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def limited(self, connection: Connection) -> bool:
        """Whether tokens have to be taken: there is a limit, or somebody was slowed down lately."""
        if self.limits.any or self.meter.throttled:
            return True
        if self.clock.monotonic() - self._looked_at > LOOK_SECONDS:
            self._looked_at = self.clock.monotonic()
            self._slowed = await connection.fetchval(_SLOWED, UNLIMITED_RATE)
        if not self._slowed:
            self.meter.take_report()  # nobody has to pay
        return self._slowed

    @asynccontextmanager
    async def opened(self, connection: Connection, now: datetime, *also: str) -> AsyncIterator[Purse]:
        """A transaction with the buckets locked, filled up to `now`, and written back at its end.

        `also`: endpoints that no operation is known to call.
        """
        report = self.meter.take_report()
        try:
            await self._add({OVERALL, *ENDPOINTS, *report.unpaid, *report.throttled, *also}, connection, now)
            async with connection.transaction():
                purse = Purse(self._told(await self._locked(connection, now), report, now))
                yield purse
                await connection.execute(_SAVE, *_columns(purse.buckets.values()))
        except BaseException:
            self.meter.keep(report)
            raise
        self._slowed = self._slowed or bool(report.throttled)
        self._show(purse.buckets, report)

    async def let_through(self, endpoint: str, ticket: Ticket | None) -> None:
        await self._check_switches(endpoint, ticket)
        while ticket is None and not await self._paid(endpoint):  # noqa: ASYNC110 - replicas share no event
            await asyncio.sleep(TURN_SECONDS)

    async def _check_switches(self, endpoint: str, ticket: Ticket | None) -> None:
        stopped = await self._switches()
        kinds = {READS} if endpoint.startswith("GET ") else {ALL, ticket.kind if ticket else ALL}
        if kinds & stopped:
            if ticket is not None:
                ticket.held_back = True
            raise SwitchedOffError(endpoint)

    async def _switches(self) -> frozenset[str]:
        """What is stopped, not older than FRESH_SECONDS; those who ask together share one look."""
        if self.clock.monotonic() - self._read_at > FRESH_SECONDS:
            async with self._reading:
                if self.clock.monotonic() - self._read_at > FRESH_SECONDS:
                    began = self.clock.monotonic()
                    self._stopped = await switches.stopped(self.pool)
                    self._read_at = began
        return self._stopped

    async def _paid(self, endpoint: str) -> bool:
        """A call without an operation: few, and somebody waits for most of them."""
        async with self.pool.acquire() as connection:
            if not await self.limited(connection):
                return True
            async with self.opened(connection, await self.clock.now(connection), endpoint) as purse:
                (goes,), purse.buckets = admit(purse.buckets, [Wish(Lane.CHECKOUT, (endpoint,))], 1)
                return goes

    async def _add(self, endpoints: set[str], connection: Connection, now: datetime) -> None:
        new = [full(endpoint, self.limits, now) for endpoint in sorted(endpoints - self._added)]
        if new:
            given = [[b.endpoint for b in new], [b.rate for b in new], [b.tokens for b in new]]
            await connection.execute(_ADD, *given, now)
            self._added |= endpoints

    async def _locked(self, connection: Connection, now: datetime) -> dict[str, Bucket]:
        buckets = (Bucket(**row) for row in await connection.fetch(_LOCK))
        return {bucket.endpoint: fill(bucket, self.limits.of(bucket.endpoint), now) for bucket in buckets}

    @staticmethod
    def _told(buckets: dict[str, Bucket], report: Report, now: datetime) -> dict[str, Bucket]:
        """With what this process has to report: its 429s, and what its calls took beyond their tokens."""
        for endpoint, count in report.throttled.items():
            buckets[endpoint] = slow(buckets[endpoint], count, now)
        for endpoint, count in [*report.unpaid.items(), (OVERALL, report.unpaid.total())]:
            buckets[endpoint] = replace(buckets[endpoint], tokens=buckets[endpoint].tokens - count)
        return buckets

    def _show(self, buckets: Mapping[str, Bucket], report: Report) -> None:
        for endpoint, bucket in buckets.items():
            self.metrics.rate.labels(endpoint).set(bucket.rate)
            self.metrics.tokens.labels(endpoint).set(bucket.tokens)
        for endpoint, count in report.throttled.items():
            self.metrics.throttled.labels(endpoint).inc(count)


def _columns(buckets: Iterable[Bucket]) -> list[list[Any]]:
    return [list(column) for column in zip(*(astuple(bucket) for bucket in buckets), strict=True)]
