"""A running service: pool, group commit, relay, consumer and timers, started and stopped in the right order."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from eventing.clock import DatabaseClock
from eventing.consumer import Consumer
from eventing.database import CONNECT_SECONDS, Pool, connect_pool
from eventing.definition import Definition
from eventing.faults import Fault, fault_of
from eventing.group_commit import GroupCommit
from eventing.metrics import Metrics
from eventing.relay import Relay
from eventing.restored import version_floor
from eventing.settings import ServiceSettings
from eventing.work import Work

DATABASE_START_SECONDS: Final = 60.0  # A database that is still away then is a matter for whoever restarts us.
BACKOFF_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
STOP_SECONDS: Final = 20.0  # More than a group, a round of the relay and a slow provider call take together.

CANCELS_MAX: Final = 10
CANCEL_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Job:
    """A timer's door: `run_once` does what is due and says whether there may be more at once."""

    name: str
    run_once: Callable[[], Awaitable[bool]]
    every_seconds: float


@dataclass
class Runtime:
    """What the doors of a service work with. `registry` is for metrics of the service's own."""

    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock
    registry: CollectorRegistry
    _relay: Relay
    _consumer: Consumer
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def consumer_consumes(self) -> None:
        """A readiness check: raises unless the broker has this process's consumers."""
        if not await self._consumer.consuming():
            msg = "no consumer at the broker"
            raise ConnectionError(msg)

    def start_jobs(self, jobs: Iterable[Job]) -> None:
        """Run timers until the service stops; a job that fails is tried again later."""
        self._tasks += [asyncio.create_task(_repeat(job), name=job.name) for job in jobs]


@asynccontextmanager
async def running(
    settings: ServiceSettings,
    definition: Definition,
    *,
    clock: DatabaseClock | None = None,
    after_commit: Iterable[Callable[[Work], None]] = (),
    metrics: Metrics | None = None,
    consume: bool = True,
) -> AsyncIterator[Runtime]:
    """The service from its database connection up; leaving it is a graceful stop.

    Stop: timers first, then the consumer takes nothing new, then the group commit finishes what waits, then the
    relay confirms what it holds.
    """
    clock = clock or DatabaseClock()
    metrics = metrics or Metrics()
    pool = await _connect(settings, definition.source)
    floor = await version_floor(pool)
    broker_url = settings.broker_url.get_secret_value()
    relay = Relay(pool, definition.source, broker_url, metrics=metrics)
    listeners = (lambda _work: relay.wake(), *after_commit)
    gather = definition.gather_seconds
    commit = GroupCommit(pool, definition, clock, listeners, metrics, gather_seconds=gather, version_floor=floor)
    consumer = Consumer(pool, commit, definition.source, broker_url, metrics)
    committing = asyncio.create_task(commit.run(), name="group commit")
    relaying = asyncio.create_task(relay.run(), name="relay")
    consuming = [asyncio.create_task(consumer.start(), name="consumer start")] if consume else []
    runtime = Runtime(pool, commit, clock, metrics.registry, relay, consumer)
    try:
        yield runtime
    finally:
        await _cancel(*runtime._tasks, *consuming)  # noqa: SLF001 - its own factory
        await consumer.stop()
        commit.stop()
        relay.stop()
        await _finish(committing, relaying)
        await pool.close()


async def _connect(settings: ServiceSettings, application: str) -> Pool:
    """Wait for a database that is just starting."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DATABASE_START_SECONDS
    url = settings.database_url.get_secret_value()
    for pause in itertools.chain(BACKOFF_SECONDS, itertools.repeat(BACKOFF_SECONDS[-1])):
        try:
            return await connect_pool(url, application)
        except Exception as error:
            if fault_of(error) is not Fault.AWAY or loop.time() + CONNECT_SECONDS > deadline:
                raise
            log.warning("waits_for_database", error=repr(error))
            await asyncio.sleep(pause)
    raise AssertionError


async def _repeat(job: Job) -> None:
    failures = 0
    while True:
        try:
            more = await job.run_once()
            failures = 0
        except Exception as error:  # noqa: BLE001 - a timer outlives every fault
            log.warning("job_failed", job=job.name, error=repr(error))
            await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
            failures += 1
        else:
            if not more:
                await asyncio.sleep(job.every_seconds)


async def _cancel(*tasks: "asyncio.Task[None]") -> None:
    """Cancel, again and again: before Python 3.12 a library's `wait_for` can swallow a cancellation."""
    left = set(tasks)
    for _ in range(CANCELS_MAX):
        if not left:
            return
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_SECONDS)
    log.error("tasks_left", tasks=[task.get_name() for task in left])


async def _finish(*tasks: "asyncio.Task[None]") -> None:
    _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
    if late:
        log.error("stopped_with_work_left", tasks=[task.get_name() for task in late])
        await _cancel(*late)
