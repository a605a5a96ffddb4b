"""The house that every service is: a definition, wired to its doors, its core and its command line."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

import typer
from fastapi import APIRouter, FastAPI
from pydantic import ValidationError

from contracts.envelope import UndecodableError
from eventing import parked, topology
from eventing.clock import DatabaseClock
from eventing.database import connect_pool
from eventing.definition import Definition
from eventing.health import database_check
from eventing.http import build_app
from eventing.metrics import Metrics
from eventing.rebuild import rebuild
from eventing.republish import republish
from eventing.restored import note_restore
from eventing.runtime import Job, Runtime, running
from eventing.service import CommandError, Commands, Republish, S, build_cli, collect_less
from eventing.telemetry import Tracing, new_registry
from eventing.work import Work

VERSION: Final = "0.1.0"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


@dataclass(frozen=True)
class Rooms:
    """What a service adds to the core: its HTTP routes, its timers, and who wants to know of a commit."""

    routers: Callable[[Runtime], Sequence[APIRouter]]
    jobs: Callable[[Runtime], Iterable[Job]] = lambda _runtime: ()
    after_commit: tuple[Callable[[Work], None], ...] = ()


@dataclass(frozen=True)
class House(Generic[S]):
    """A service, described. `open_rooms` opens what it needs beside database and broker, and closes it again."""

    title: str
    definition: Definition
    migrations: Path
    open_rooms: Callable[[S], AbstractAsyncContextManager[Rooms]]

    @asynccontextmanager
    async def build(self, settings: S, clock: DatabaseClock | None = None) -> AsyncIterator[FastAPI]:
        """The running service and its app. Leaving it is a graceful stop."""
        registry = new_registry()
        tracing = Tracing(settings.service, settings.otlp_endpoint)
        async with AsyncExitStack() as stack:
            stack.callback(tracing.stop)
            rooms = await stack.enter_async_context(self.open_rooms(settings))
            core = running(
                settings, self.definition, clock=clock, after_commit=rooms.after_commit, metrics=Metrics(registry)
            )
            runtime = await stack.enter_async_context(core)
            checks = {"database": database_check(runtime.pool), "consumer": runtime.consumer_consumes}
            app = build_app(
                settings,
                title=self.title,
                version=VERSION,
                routers=rooms.routers(runtime),
                checks=checks,
                registry=registry,
            )
            runtime.start_jobs(rooms.jobs(runtime))
            app.state.runtime = runtime
            yield app

    def cli(self, settings: type[S]) -> typer.Typer:
        """The command line of the service's console script."""
        commands = Commands(
            self.migrations, _declare, self._rebuild, self._republish, _restored, _Parked(self.definition)
        )
        return build_cli(settings.service, settings, self.build, commands)

    async def _rebuild(self, settings: S, name: str | None) -> None:
        projections = [p for p in self.definition.projections if name in {None, p.name}]
        if not projections:
            known = ", ".join(p.name for p in self.definition.projections)
            msg = f"There is no projection {name!r}. This service has: {known or 'none'}."
            raise CommandError(msg)
        collect_less()  # thousands of events are in memory at a time, none of them garbage
        async with await connect_pool(settings.database_url.get_secret_value(), "rebuild") as pool:
            for projection in projections:
                events = await rebuild(pool, self.definition, projection)
                typer.echo(f"{projection.name}: rebuilt from {events} events")

    async def _republish(self, settings: S, wanted: Republish) -> int:
        async with await connect_pool(settings.database_url.get_secret_value(), "republish") as pool:
            return await republish(
                pool,
                self.definition.source,
                _admin_url(settings),
                types=wanted.types,
                since=wanted.since or EPOCH,
                to=wanted.to,
            )


def _admin_url(settings: S) -> str:
    """The operators' broker address: declaring queues and publishing into one is not the service's own right."""
    return (settings.broker_admin_url or settings.broker_url).get_secret_value()


async def _declare(settings: S) -> None:
    await topology.declare(_admin_url(settings))


async def _restored(settings: S) -> int:
    async with await connect_pool(settings.database_url.get_secret_value(), "restored") as pool:
        return await note_restore(pool)


@dataclass(frozen=True)
class _Parked(Generic[S]):
    """The operator's commands for parked events."""

    definition: Definition

    async def list(self, settings: S) -> Sequence[object]:
        async with await connect_pool(settings.database_url.get_secret_value(), "parked") as pool:
            return [
                f"{p.id}  {p.parked_at:%Y-%m-%d %H:%M:%S}  {p.type}  {p.error}"
                for p in await parked.parked_events(pool)
            ]

    async def show(self, settings: S, parked_id: int) -> object:
        async with await connect_pool(settings.database_url.get_secret_value(), "parked") as pool:
            one = await _found(parked.parked_event(pool, parked_id))
            return f"{one.type}  {one.parked_at.isoformat()}\n{one.error}\n{one.body.decode(errors='replace')}"

    async def retry(self, settings: S, parked_id: int | None) -> int:
        async with running(settings, self.definition, consume=False) as runtime:
            numbers = [parked_id] if parked_id is not None else await parked.numbers(runtime.pool)
            results = [await _found(parked.retry(runtime.pool, runtime.commit, number)) for number in numbers]
            return sum(results)

    async def discard(self, settings: S, parked_id: int) -> None:
        async with await connect_pool(settings.database_url.get_secret_value(), "parked") as pool:
            await _found(parked.discard(pool, parked_id))


async def _found(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except parked.NotParkedError as error:
        raise CommandError(str(error)) from None
    except (UndecodableError, KeyError, ValidationError) as error:
        msg = f"It still cannot be read and stays parked: {error}"
        raise CommandError(msg) from None
