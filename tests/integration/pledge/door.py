"""The pledge service behind its HTTP door, with real tokens, on a real database and a real broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from contracts.event import Event
from contracts.ids import new_id
from deploy.local.issuer import Issuer, Role, application
from deploy.local.provision import Provisioned
from deploy.topology import JWT_AUDIENCE, JWT_ISSUER
from eventing import topology
from eventing.clock import DatabaseClock
from eventing.runtime import Runtime
from pledge.app import HOUSE, Settings
from tests.integration.eventing.shell import serving
from tests.integration.house import START, Stories

PATIENCE_SECONDS = 20.0


@dataclass
class Door:
    """A client of the running service."""

    http: httpx.AsyncClient
    runtime: Runtime
    issuer: Issuer
    stories: Stories = field(default_factory=Stories)

    def token(self, person_id: UUID, roles: list[Role] | None = None, lifetime_seconds: int = 600) -> str:
        return self.issuer.mint(person_id, roles or ["backer"], lifetime_seconds)

    async def hear(self, *events: Event) -> None:
        await self.runtime.commit.take_in(self.stories.tell(*events))

    def set_time(self, at: Any) -> None:
        self.runtime.clock.frozen_at = at

    async def post(
        self,
        path: str,
        body: Any = None,
        *,
        person_id: UUID | None = None,
        key: str = "",
        headers: Mapping[str, str | None] | None = None,
    ) -> httpx.Response:
        """A command of a person, a new one if none is named. `headers` replace the usual ones; None leaves one out."""
        return await self.send("POST", path, body, person_id=person_id, key=key, headers=headers)

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        person_id: UUID | None = None,
        key: str = "",
        headers: Mapping[str, str | None] | None = None,
    ) -> httpx.Response:
        """The same by another method."""
        usual = {
            "Authorization": f"Bearer {self.token(person_id or new_id())}",
            "Idempotency-Key": key or str(new_id()),
            "Content-Type": "application/json",
            **(headers or {}),
        }
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        sent = {name: value for name, value in usual.items() if value is not None}
        return await self.http.request(method, path, content=content, headers=sent)

    async def get(self, path: str, person_id: UUID) -> httpx.Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer {self.token(person_id)}"})

    async def until(self, query: str) -> None:
        """Wait for something that the service does by itself: the query then has a row."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self.runtime.pool.fetchrow(query):  # noqa: ASYNC110 - the database wakes nobody
                await asyncio.sleep(0.02)

    async def recorded(self) -> int:
        """How many own events and stored answers there are."""
        events = await self.runtime.pool.fetchval("SELECT count(*) FROM event WHERE source = 'pledge'")
        answers = await self.runtime.pool.fetchval("SELECT count(*) FROM idempotency")
        return int(events) + int(answers)


@asynccontextmanager
async def open_door(provisioned: Provisioned, issuer_directory: Path) -> AsyncIterator[Door]:
    await topology.declare(provisioned.broker_admin_url)
    issuer = await asyncio.to_thread(Issuer, issuer_directory)
    async with serving(application(issuer)) as address:
        given: dict[str, Any] = {
            "database_url": provisioned.database_urls["pledge"],
            "broker_url": provisioned.broker_urls["pledge"],
            "jwks_url": f"{address}/.well-known/jwks.json",
            "jwt_issuer": JWT_ISSUER,
            "jwt_audience": JWT_AUDIENCE,
        }
        async with HOUSE.build(Settings(**given), DatabaseClock(frozen_at=START)) as app:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://pledge") as http:
                yield Door(http, app.state.runtime, issuer)
