"""Several replicas of the pledge service, whole and on ports of their own, over one database and one clock."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ed25519
from pydantic import SecretStr

from bench.load import Call
from contracts.event import Event
from contracts.ids import new_id
from deploy.local.plain_http import NO_TLS
from deploy.local.provision import Provisioned
from eventing import topology
from eventing.clock import DatabaseClock
from eventing.runtime import Runtime
from pledge.app import HOUSE, Settings
from tests.integration.eventing.shell import AUDIENCE, ISSUER, Issuer, serving
from tests.integration.house import Stories


@dataclass
class Replicas:
    """`addresses[n]` is the door of `runtimes[n]`; moving `clock` moves the time of all of them."""

    addresses: Sequence[str]
    runtimes: Sequence[Runtime]
    clock: DatabaseClock
    settings: Settings
    issuer: Issuer
    http: httpx.AsyncClient
    stories: Stories = field(default_factory=Stories)

    @property
    def runtime(self) -> Runtime:
        return self.runtimes[0]

    def token(self, person_id: UUID, role: str = "backer") -> str:
        return self.issuer.token(kid="quick", sub=str(person_id), roles=[role])

    async def hear(self, *events: Event) -> None:
        await self.runtime.commit.take_in(self.stories.tell(*events))

    def placing(self, campaign_id: UUID, body: dict[str, Any], backer_id: UUID | None = None) -> Call:
        path = f"/campaigns/{campaign_id}/pledges"
        return Call("POST", path, self.token(backer_id or new_id()), json.dumps(body))

    async def send(self, replica: int, method: str, path: str, person_id: UUID, body: Any = None) -> httpx.Response:
        """A person's command, by one of the replicas."""
        headers = {"Authorization": f"Bearer {self.token(person_id)}", "Idempotency-Key": str(new_id())}
        return await self.http.request(method, f"{self.addresses[replica]}{path}", headers=headers, json=body)


@asynccontextmanager
async def replicas(provisioned: Provisioned, number: int, clock: DatabaseClock) -> AsyncIterator[Replicas]:
    await topology.declare(provisioned.broker_admin_url)
    issuer = Issuer()
    issuer.keys["quick"] = ed25519.Ed25519PrivateKey.generate()  # thousands of tokens are signed
    async with AsyncExitStack() as stack:
        keys = await stack.enter_async_context(serving(issuer.app))
        settings = Settings(
            database_url=SecretStr(provisioned.database_urls["pledge"]),
            broker_url=SecretStr(provisioned.broker_urls["pledge"]),
            jwks_url=f"{keys}/jwks.json",
            jwt_issuer=ISSUER,
            jwt_audience=AUDIENCE,
        )
        apps = [await stack.enter_async_context(HOUSE.build(settings, clock)) for _ in range(number)]
        addresses = [await stack.enter_async_context(serving(app)) for app in apps]
        http = await stack.enter_async_context(httpx.AsyncClient(verify=NO_TLS, timeout=30))
        yield Replicas(addresses, [app.state.runtime for app in apps], clock, settings, issuer, http)
