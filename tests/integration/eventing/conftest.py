"""The jar service on real servers: a schema, the broker's topology and a running group commit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import eventing
from deploy.local.provision import Provisioned
from eventing.clock import DatabaseClock
from eventing.database import Pool, connect_pool
from eventing.definition import Definition, nothing
from eventing.group_commit import GroupCommit
from eventing.topology import declare
from tests.integration.eventing.jar import DEFINITION, SCHEMA, SOURCE

CORE = Path(next(iter(eventing.__path__))) / "migrations"


@dataclass
class Jar:
    """One replica's writing side."""

    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock = field(default_factory=DatabaseClock)


@dataclass
class Ground:
    """A fresh schema and virtual host; `replica()` starts a process's worth of group commit on it."""

    database_url: str
    broker_url: str
    admin_url: str
    publisher_url: str  # the pledge service's user: it may say `pledge.*`

    def replica(
        self, patient: Callable[[Any], bool] = nothing, gather_seconds: float = 0.0
    ) -> AbstractAsyncContextManager[Jar]:
        return _replica(self.database_url, replace(DEFINITION, patient=patient), gather_seconds)


@asynccontextmanager
async def _replica(database_url: str, definition: Definition, gather_seconds: float) -> AsyncIterator[Jar]:
    async with await connect_pool(database_url, "jar") as pool:
        jar = Jar(pool, GroupCommit(pool, definition, gather_seconds=gather_seconds))
        running = asyncio.create_task(jar.commit.run())
        try:
            yield jar
        finally:
            jar.commit.stop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(running, 10)


@pytest.fixture
async def ground(empty: Provisioned) -> Ground:
    url = empty.database_urls[SOURCE]
    async with await connect_pool(url, "schema") as pool:
        for file in sorted(CORE.glob("*.sql")):
            await pool.execute(file.read_text())
        await pool.execute(SCHEMA)
    await declare(empty.broker_admin_url)
    return Ground(url, empty.broker_urls[SOURCE], empty.broker_admin_url, empty.broker_urls["pledge"])


@pytest.fixture
async def jar(ground: Ground) -> AsyncIterator[Jar]:
    async with ground.replica() as one:
        yield one
