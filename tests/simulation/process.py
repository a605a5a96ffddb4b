"""A replica of a service as it is put together in its `app.py`, on a database connection that may fail at any step."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import asyncpg
from prometheus_client import CollectorRegistry

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from eventing.house import House, Rooms
from eventing.restored import version_floor
from eventing.runtime import Job, Runtime
from tests.simulation.faults import Crash, Fate
from tests.simulation.loop import OWNER, real

T = TypeVar("T")
DATABASE_SECONDS: Final = 0.1  # Mean time until a transaction begins.
TICKS_SECONDS_MIN: Final = 5.0  # Timers that find nothing look again after that; each look costs real time.


class GoneError(Exception):
    """The process died before it answered."""


@dataclass
class Core:
    """What the jobs of a service are built of; the same names as in `eventing.runtime.Runtime`."""

    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock
    registry: CollectorRegistry


@dataclass
class Database:
    """One real connection of a service's role. Transactions take turns: their order is the seed's alone."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    turn: asyncio.Lock


class Process:
    """A replica. It dies at a step of its own, or when told so; a dead one can do nothing any more."""

    def __init__(
        self,
        name: str,
        house: House[Any],
        database: Database,
        *,
        fate: Fate,
        clock: DatabaseClock,
        committed: Callable[[], None],
    ) -> None:
        self.name = name
        self.house = house
        self.database = database
        self.fate = fate
        self.clock = clock
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.gone = asyncio.Event()
        self.frozen_until = 0.0
        self.thawed = asyncio.Event()
        self.committed = committed
        self.rooms: Rooms
        self.core: Core

    async def start(self, settings: Any) -> None:
        token = OWNER.set(self.tasks)
        try:
            opened: AbstractAsyncContextManager[Rooms] = self.house.open_rooms(settings)
            self.rooms = await opened.__aenter__()  # never left: a process that dies closes nothing
            pool = cast("Pool", _Pool(self))
            listeners, floor = self.rooms.after_commit, await self._version_floor()
            commit = GroupCommit(pool, self.house.definition, self.clock, listeners, version_floor=floor)
            self.core = Core(pool, commit, self.clock, CollectorRegistry())
            asyncio.create_task(commit.run())  # noqa: RUF006 - the loop keeps it in `tasks`
            for job in self.rooms.jobs(cast("Runtime", self.core)):
                asyncio.create_task(self._repeat(job))  # noqa: RUF006 - the same
        finally:
            OWNER.reset(token)

    async def _version_floor(self) -> int:
        async with self.database.turn:
            return real(version_floor(cast("Pool", self.database.connection)))

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Something asked of this process.

        Raises:
            GoneError: It died; whether it did what was asked is not known.
        """
        if self.gone.is_set():
            coroutine.close()
            raise GoneError
        token = OWNER.set(self.tasks)
        try:
            task = asyncio.create_task(coroutine)
        finally:
            OWNER.reset(token)
        await asyncio.wait({task})
        if task.cancelled():
            raise GoneError
        return task.result()

    def die(self) -> None:
        self.gone.set()
        for task in tuple(self.tasks):
            task.cancel()

    async def end(self) -> None:
        """Die, and let the loop forget the tasks."""
        self.die()
        while self.tasks:
            await asyncio.wait(tuple(self.tasks))

    async def pause(self, mean_seconds: float) -> None:
        """The time before a step, longer while the process is frozen."""
        loop = asyncio.get_running_loop()
        frozen = self.fate.freeze(loop.time(), self.name)
        self.frozen_until = max(self.frozen_until, loop.time() + frozen if frozen else 0)
        await asyncio.sleep(self.fate.latency(mean_seconds))
        while (left := self.frozen_until - loop.time()) > 0 and not self.thawed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self.thawed.wait()
        self.check()

    def thaw(self) -> None:
        """From now on it goes on."""
        self.thawed.set()

    def check(self) -> None:
        """Nothing leaves a dead process."""
        if self.gone.is_set():
            raise asyncio.CancelledError

    def step(self, what: str) -> Crash | None:
        self.check()
        return self.fate.step(asyncio.get_running_loop().time(), self.name, what)

    async def crash(self) -> None:
        self.die()
        await asyncio.get_running_loop().create_future()

    async def _repeat(self, job: Job) -> None:
        while True:
            try:
                more = await job.run_once()
            except Exception:  # noqa: BLE001 - as `eventing.runtime` does
                more = False
            if not more:
                await asyncio.sleep(max(job.every_seconds, TICKS_SECONDS_MIN) * self.fate.chance.uniform(0.8, 1.2))


class _Pool:
    """What services use of asyncpg's pool."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def acquire(self) -> "_Acquired":
        return _Acquired(self._process)

    async def execute(self, *query: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.execute(*query)

    async def fetch(self, *query: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetch(*query)

    async def fetchrow(self, *query: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchrow(*query)

    async def fetchval(self, *query: Any) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchval(*query)


class _Acquired:
    def __init__(self, process: Process) -> None:
        self._process = process

    async def __aenter__(self) -> "_Connection":
        await self._process.pause(DATABASE_SECONDS)
        await self._process.database.turn.acquire()
        if self._process.gone.is_set():
            self._process.database.turn.release()
        self._process.check()
        return _Connection(self._process)

    async def __aexit__(self, *_: object) -> None:
        database = self._process.database
        try:
            if database.connection.is_in_transaction():  # it died while one was begun
                real(database.connection.execute("ROLLBACK"))
        finally:
            database.turn.release()


class _Connection:
    """What services use of asyncpg's connection."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.depth = 0

    def transaction(self) -> "_Transaction":
        return _Transaction(self)

    async def execute(self, *query: Any) -> Any:
        return await self._run(self.process.database.connection.execute, *query)

    async def fetch(self, *query: Any) -> Any:
        return await self._run(self.process.database.connection.fetch, *query)

    async def fetchrow(self, *query: Any) -> Any:
        return await self._run(self.process.database.connection.fetchrow, *query)

    async def fetchval(self, *query: Any) -> Any:
        return await self._run(self.process.database.connection.fetchval, *query)

    async def _run(self, statement: Callable[..., Coroutine[Any, Any, T]], *query: Any) -> T:
        if self.depth:
            self.process.check()
            return real(statement(*query))
        return await self.step(lambda: statement(*query), "a statement")

    async def step(self, do: Callable[[], Coroutine[Any, Any, T]], what: str) -> T:
        """Something that takes place at once or not at all."""
        crash = self.process.step(what)
        if crash is Crash.BEFORE:
            await self.process.crash()
        result = real(do())
        if crash is Crash.AFTER:
            await self.process.crash()
        if crash is Crash.REPORTED:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return result


class _Transaction:
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._real = connection.process.database.connection.transaction()

    async def __aenter__(self) -> Self:
        self._connection.process.check()
        real(self._real.start())
        self._connection.depth += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        connection = self._connection
        connection.depth -= 1
        if kind is not None or connection.process.gone.is_set():
            real(self._real.rollback())
            connection.process.check()
        elif connection.depth:
            real(self._real.commit())
        else:
            await self._commit()

    async def _commit(self) -> None:
        connection = self._connection
        done = False

        async def commit() -> None:
            nonlocal done
            done = True
            await self._real.commit()
            connection.process.committed()

        try:
            await connection.step(commit, "a transaction")
        finally:
            if not done:
                real(self._real.rollback())
