"""What tests get: real backing servers once per session, and a fresh corner of them for each test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.provision import Provisioned, drop, namespaces, provision
from deploy.local.servers import Servers, backing_servers

TEST_PREFIX = "test_"


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
