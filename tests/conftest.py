"""What tests get: real backing servers once per session, and a fresh corner of them for each test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Generator, Iterator

import pytest

from deploy.local.provision import Provisioned, drop, namespaces, provision
from deploy.local.servers import Servers, backing_servers

TEST_PREFIX = "test_"
FAILED_REQUEST = "request_failed"  # what the door logs (eventing.http)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL, RabbitMQ and Redis, started when the first test asks.

    A test that takes one away brings it back; in a coroutine it does so through `asyncio.to_thread`.
    """
    with backing_servers("test") as started:
        if started.postgres.controllable:  # Ours alone: what is left is from a run that was killed.
            asyncio.run(_drop_leftovers(started))
        yield started


async def _drop_leftovers(started: Servers) -> None:
    for namespace in await namespaces(started.backing, TEST_PREFIX):
        await drop(started.backing, namespace)


@pytest.fixture
async def provisioned(servers: Servers) -> AsyncIterator[Provisioned]:
    """A namespace of this test's own: database, roles, virtual host and users, gone afterwards."""
    namespace = f"{TEST_PREFIX}{uuid.uuid4().hex[:12]}"
    try:
        yield await provision(servers.backing, namespace)
    finally:
        await drop(servers.backing, namespace)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A 5xx in a test's log fails the test: a service has a bug, even if the test did not look there.

    503 for a server that is away is not logged like this. The marker `provokes_5xx` is for tests of the 500 itself.
    """
    report = yield
    told = report.capstdout + report.capstderr
    if report.passed and FAILED_REQUEST in told and item.get_closest_marker("provokes_5xx") is None:
        report.outcome = "failed"
        report.longrepr = f"a request ended with a 5xx: look for {FAILED_REQUEST} in the captured output"
    return report
