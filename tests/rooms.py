"""Corners of the backing servers for one test each, made fast: roles and users are made once, databases are copied."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import httpx

from contracts.subscriptions import SUBSCRIPTIONS
from deploy.local.plain_http import NO_TLS
from deploy.local.platform import migrations_of
from deploy.local.provision import (
    MIGRATOR,
    SERVICES,
    Provisioned,
    broker_definitions,
    drop,
    namespaces,
    provision,
    role,
)
from deploy.local.servers import Backing
from eventing import migrations
from eventing.topology import dead_queue_of, queue_of

TEST_PREFIX = "test_"
CALL_SECONDS = 30.0
LEAVE_SECONDS = 5.0  # A connection that is gone is noticed at once.


def new_name() -> str:
    return f"{TEST_PREFIX}{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True)
class Rooms:
    """Their roles and users are those of `model`, in which nobody works. `empty` is a second database of it."""

    backing: Backing
    model: Provisioned
    empty: str
    _idle_hosts: list[str] = field(default_factory=list)  # virtual hosts that nobody uses

    @asynccontextmanager
    async def database(self, *, empty: bool = False) -> AsyncIterator[Provisioned]:
        """A database with the tables of all services, or with their schemas alone; no virtual host."""
        room = _named(self.model, new_name())
        try:
            await self.copy(self.empty if empty else self.model.namespace, room.namespace)
            yield room
        finally:
            await self._sql(f'DROP DATABASE IF EXISTS "{room.namespace}" WITH (FORCE)')

    @asynccontextmanager
    async def virtual_host(self, room: Provisioned) -> AsyncIterator[None]:
        """The room's virtual host, in which nothing is declared yet."""
        try:
            await self._make_host(room.namespace)
            yield
        finally:
            await self._delete_host(room.namespace)

    @asynccontextmanager
    async def broker(self, room: Provisioned) -> AsyncIterator[Provisioned]:
        """The room with a virtual host that others may have had before it, with nothing in its queues.

        Its dozen of queues take longer to make than most tests do.
        """
        if self._idle_hosts:
            host = self._idle_hosts.pop()
        else:
            host = new_name()
            await self._make_host(host)
        here = _at(room, host)
        try:
            yield here
        finally:
            if await _emptied(here.broker_admin_url):
                self._idle_hosts.append(host)
            else:
                await self._delete_host(host)

    async def close(self) -> None:
        for host in self._idle_hosts:
            await self._delete_host(host)

    async def _make_host(self, name: str) -> None:
        definitions = broker_definitions(self.model.namespace, dict.fromkeys((*SERVICES, MIGRATOR), ""))
        rights = ("permissions", "topic_permissions")
        here = {kind: [right | {"vhost": name} for right in definitions[kind]] for kind in rights}
        async with self._api() as api:
            (await api.post("/api/definitions", json={"vhosts": [{"name": name}], **here})).raise_for_status()

    async def _delete_host(self, name: str) -> None:
        async with self._api() as api:
            await api.delete(f"/api/vhosts/{name}")

    def _api(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=NO_TLS, base_url=self.backing.rabbitmq_api_url, timeout=CALL_SECONDS)

    async def copy(self, template: str, name: str) -> None:
        """A database that the model's roles may enter. Nobody may be connected to `template`."""
        roles = ", ".join(f'"{role(self.model.namespace, service)}"' for service in SERVICES)
        await self._sql(
            f'CREATE DATABASE "{name}" TEMPLATE "{template}"',
            f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC',  # a copy has its template's schemas, not its rights
            f'GRANT CONNECT ON DATABASE "{name}" TO {roles}',
        )

    async def _sql(self, *statements: str) -> None:
        server = await asyncpg.connect(self.backing.postgres_url, timeout=CALL_SECONDS)
        try:
            for statement in statements:
                await server.execute(statement)
        finally:
            await server.close()


@asynccontextmanager
async def open_rooms(backing: Backing) -> AsyncIterator[Rooms]:
    name = new_name()
    rooms = Rooms(backing, await provision(backing, name), f"{name}_empty")
    try:
        await rooms.copy(name, rooms.empty)  # while it has no tables yet
        for service, url in rooms.model.database_urls.items():
            await migrations.migrate(url, migrations.CORE, migrations_of(service))
        yield rooms
    finally:
        await rooms.close()
        await drop(backing, rooms.empty)
        await drop(backing, name)


async def drop_leftovers(backing: Backing, prefix: str = TEST_PREFIX) -> None:
    """What killed runs left. Databases first: the roles of a model have rights in its copies."""
    left = await namespaces(backing, prefix)
    server = await asyncpg.connect(backing.postgres_url, timeout=CALL_SECONDS)
    try:
        for name in left:
            await server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await server.close()
    for name in left:
        await drop(backing, name)


async def _emptied(broker_url: str) -> bool:
    """Whether all queues are as good as new: nobody listens any more, and what was in them is gone."""
    queues = [queue for service in SUBSCRIPTIONS for queue in (queue_of(service), dead_queue_of(service))]
    try:
        async with await aio_pika.connect(broker_url, timeout=CALL_SECONDS) as connection:
            channel = await connection.channel()
            for name in queues:
                await _left_alone(channel, name)
            for name in queues:  # What a consumer had not acknowledged is back by now.
                await (await channel.get_queue(name, ensure=False)).purge()
    except (aio_pika.exceptions.AMQPError, TimeoutError):
        return False
    return True


async def _left_alone(channel: aio_pika.abc.AbstractChannel, queue: str) -> None:
    async with asyncio.timeout(LEAVE_SECONDS):
        while (await channel.declare_queue(queue, passive=True)).declaration_result.consumer_count:  # noqa: ASYNC110 - in the broker
            await asyncio.sleep(0.02)


def _named(model: Provisioned, name: str) -> Provisioned:
    """The model's addresses, with another database and virtual host."""
    there = _at(model, name)
    return Provisioned(name, _elsewhere(model.database_urls, name), there.broker_urls, there.broker_admin_url)


def _at(room: Provisioned, host: str) -> Provisioned:
    """The room's addresses, with another virtual host."""
    (admin,) = _elsewhere({MIGRATOR: room.broker_admin_url}, host).values()
    return replace(room, broker_urls=_elsewhere(room.broker_urls, host), broker_admin_url=admin)


def _elsewhere(urls: Mapping[str, str], path: str) -> dict[str, str]:
    return {service: urlsplit(url)._replace(path=f"/{path}").geturl() for service, url in urls.items()}
