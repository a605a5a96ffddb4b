"""Corners of the backing servers for one test each, made fast: roles and users are made once, databases are copied."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import httpx

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

TEST_PREFIX = "test_"
CALL_SECONDS = 30.0


def new_name() -> str:
    return f"{TEST_PREFIX}{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True)
class Rooms:
    """Their roles and users are those of `model`, in which nobody works. `empty` is a second database of it."""

    backing: Backing
    model: Provisioned
    empty: str

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
        definitions = broker_definitions(self.model.namespace, dict.fromkeys((*SERVICES, MIGRATOR), ""))
        here = {
            "vhosts": [{"name": room.namespace}],
            **{
                kind: [rights | {"vhost": room.namespace} for rights in definitions[kind]]
                for kind in ("permissions", "topic_permissions")
            },
        }
        async with httpx.AsyncClient(
            verify=NO_TLS, base_url=self.backing.rabbitmq_api_url, timeout=CALL_SECONDS
        ) as api:
            try:
                (await api.post("/api/definitions", json=here)).raise_for_status()
                yield
            finally:
                await api.delete(f"/api/vhosts/{room.namespace}")

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


def _named(model: Provisioned, name: str) -> Provisioned:
    """The model's addresses, with another database and virtual host."""

    def elsewhere(urls: Mapping[str, str]) -> dict[str, str]:
        return {service: urlsplit(url)._replace(path=f"/{name}").geturl() for service, url in urls.items()}

    (admin,) = elsewhere({MIGRATOR: model.broker_admin_url}).values()
    return Provisioned(name, elsewhere(model.database_urls), elsewhere(model.broker_urls), admin)
