"""What tests get: real backing servers once per session, and a fresh corner of them for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from deploy.local.provision import Provisioned
from deploy.local.servers import Servers, backing_servers
from tests.rooms import Rooms, drop_leftovers, open_rooms
from tests.service_logs import FAILED_REQUEST, ServiceLogs

PLATFORM_TESTS = "tests/acceptance/"
SIMULATIONS = "tests/simulation/"
LOGS = pytest.StashKey[ServiceLogs]()

# A pause of a busy machine is no failure.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LOGS] = ServiceLogs()
    # Faults are made on purpose here, and a traceback in colours takes as long as the test that it comes from.
    *before, _ = structlog.get_config()["processors"]
    structlog.configure([*before, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """With several workers a file stays on one; of what needs the whole platform, all does: there is one platform.

    Simulated campaigns go to whoever is free: hundreds of them, which would keep one worker long after the others.

    The marker `xdist_group` does not do it: pytest-xdist 3.8 writes groups where pytest 9.2 reads no names any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(SIMULATIONS):
            return nodeid
        return PLATFORM_TESTS if nodeid.startswith(PLATFORM_TESTS) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFile(config, log)


@pytest.fixture(scope="session")
def service_logs(pytestconfig: pytest.Config) -> ServiceLogs:
    """Whoever starts services as processes has their logs watched."""
    return pytestconfig.stash[LOGS]


@pytest.fixture(scope="session")
def servers(service_logs: ServiceLogs) -> Iterator[Servers]:
    """PostgreSQL, RabbitMQ and Redis, started when the first test asks; for each worker its own.

    A test that takes one away brings it back; in a coroutine it does so through `asyncio.to_thread`.
    """
    with backing_servers("test", in_memory=True) as started:
        service_logs.watch(started.run.logs)
        if started.postgres.controllable:  # Ours alone: what is left is from a run that was killed.
            asyncio.run(drop_leftovers(started.backing))
        yield started


@pytest.fixture(scope="session")
async def rooms(servers: Servers) -> AsyncIterator[Rooms]:
    async with open_rooms(servers.backing) as opened:
        yield opened


@pytest.fixture
async def database(rooms: Rooms) -> AsyncIterator[Provisioned]:
    """A database of this test's own with the tables of all services. Its broker URLs lead nowhere."""
    async with rooms.database() as room:
        yield room


@pytest.fixture
async def provisioned(rooms: Rooms, database: Provisioned) -> AsyncIterator[Provisioned]:
    """The same with a virtual host."""
    async with rooms.virtual_host(database):
        yield database


@pytest.fixture
async def empty(rooms: Rooms) -> AsyncIterator[Provisioned]:
    """A database and a virtual host of this test's own. The schemas have no tables yet."""
    async with rooms.database(empty=True) as room, rooms.virtual_host(room):
        yield room


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A 5xx in a test's log fails the test: a service has a bug, even if the test did not look there.

    Looked at are what the test itself has logged and the logs of all processes that it or a fixture has started. 503
    for a server that is away is not logged as a failed request. The marker `provokes_5xx` is for tests of the 500
    itself, `takes_a_server_away` for those at whose gateway it may come to a 503.
    """
    report = yield
    away = item.get_closest_marker("takes_a_server_away") is not None
    told = (report.capstdout + report.capstderr).splitlines()
    failures = [line for line in told if FAILED_REQUEST in line] + item.config.stash[LOGS].failures(server_away=away)
    if report.passed and failures and item.get_closest_marker("provokes_5xx") is None:
        report.outcome = "failed"
        report.longrepr = "\n".join(["a request ended with a 5xx:", *failures])
    return report
