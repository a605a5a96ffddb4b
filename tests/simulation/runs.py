"""Runs one after the other, on one database that is emptied between them."""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local.provision import drop_database, provision_database, provisioned
from deploy.local.servers import Backing
from eventing import migrations
from eventing.database import SERVER_SETTINGS
from payment import worker
from pledge import jobs
from tests.simulation.checks import check
from tests.simulation.faults import Crash, Fate, Rates
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Database
from tests.simulation.scenario import Plan, plan_of
from tests.simulation.story import Interlude, Story
from tests.simulation.world import SERVICES, World

# How often timers look by themselves; each look costs real time, and whoever has something for them wakes them.
SELDOM: Final = ((worker, "POLL_SECONDS"), (jobs, "PAUSE_SECONDS_MAX"))
SELDOM_SECONDS: Final = 4.0

_TABLES = """
    SELECT tablename
      FROM pg_tables
     WHERE schemaname = $1 AND tablename NOT LIKE 'migrated%'
"""


@dataclass
class Ground:
    """What runs stand on: a loop of virtual time and one connection for each service."""

    loop: VirtualLoop
    admin: "asyncpg.Connection[asyncpg.Record]"
    connections: "dict[str, asyncpg.Connection[asyncpg.Record]]"
    tables: Mapping[str, Sequence[str]]
    filled: Sequence[str]  # tables in which the migrations have left something

    def empty(self) -> None:
        """The ledger's triggers let nobody do it but a superuser."""
        names = [f"{service}.{table}" for service, tables in self.tables.items() for table in tables]
        fill = [f"INSERT INTO {name} TABLE {_copy(name)}" for name in self.filled]
        self.loop.real(self.admin.execute(";".join((f"TRUNCATE {', '.join(names)}", *fill))))

    def world(self, fate: Fate, plan: Plan) -> World:
        turn = asyncio.Lock()
        databases = {name: Database(connection, turn) for name, connection in self.connections.items()}
        admin = Database(self.admin, turn)
        return World(self.loop, databases, fate, admin=admin, tables=self.tables, complaints=plan.complaints)


@contextmanager
def ground(backing: Backing, namespace: str) -> Iterator[Ground]:
    loop = VirtualLoop()
    try:
        yield loop.real(_prepare(loop, backing, namespace))
    finally:
        loop.real(drop_database(backing, namespace))
        loop.close()


async def _prepare(loop: VirtualLoop, backing: Backing, namespace: str) -> Ground:
    await provision_database(backing, namespace)
    urls = provisioned(backing, namespace).database_urls
    for name, service in SERVICES.items():
        await migrations.migrate(urls[name], migrations.CORE, service.house.migrations)
    # What a lost server would take with it is not what is looked at here, and tables stay small: a plan each is enough.
    settings = {**SERVER_SETTINGS, "synchronous_commit": "off", "plan_cache_mode": "force_generic_plan"}
    connections = {
        name: await asyncpg.connect(urls[name], server_settings=settings, statement_cache_size=500) for name in SERVICES
    }
    admin = await asyncpg.connect(
        urlsplit(backing.postgres_url)._replace(path=f"/{namespace}").geturl(),
        server_settings={"session_replication_role": "replica", "synchronous_commit": "off"},
    )
    tables = {name: [row["tablename"] for row in await admin.fetch(_TABLES, name)] for name in SERVICES}
    names = [f"{service}.{table}" for service, found in tables.items() for table in found]
    for name in names:  # what is due at the same instant comes in the order of the plan, which must not change
        await admin.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = false)")
    filled = [name for name in names if await admin.fetchval(f"SELECT EXISTS (SELECT FROM {name})")]
    for name in filled:
        await admin.execute(f"CREATE TABLE {_copy(name)} AS TABLE {name}")
    return Ground(loop, admin, connections, tables, filled)


def _copy(table: str) -> str:
    return f"as_migrated_{table.replace('.', '_')}"


@dataclass(frozen=True)
class Run:
    """What a run is made of beside its seed."""

    rates: Rates = field(default_factory=Rates)
    plan: Plan | None = None  # None: drawn from the seed
    crash_at: tuple[int, Crash] | None = None
    freeze_at: tuple[int, float] | None = None
    interlude: Interlude | None = None
    parked_at: tuple[str, ...] = ()


USUAL: Final = Run()


def run(ground: Ground, seed: int, what: Run = USUAL) -> Fate:
    """One run. What went wrong in it is told when it fails."""
    fate = Fate(f"{seed} fate", what.rates, what.crash_at, what.freeze_at)
    random.seed(seed)
    ground.empty()
    ground.loop.begin()
    try:
        with pytest.MonkeyPatch.context() as patch:  # for this run: others on this worker look as often as ever
            for module, name in SELDOM:
                patch.setattr(module, name, SELDOM_SECONDS)
            ground.loop.run_until_complete(_run(ground, fate, what.plan or plan_of(seed), what))
    except BaseException as error:
        error.add_note("\n".join((f"seed {seed}, what was done to it:", *fate.told)))
        raise
    return fate


async def _run(ground: Ground, fate: Fate, plan: Plan, what: Run) -> None:
    world = ground.world(fate, plan)
    try:
        await world.open()
        story = Story(world, plan)
        await story.play(what.interlude)
        await check(world, story, what.parked_at)
    finally:
        await world.close()
