"""A whole service for tests: its real app on a real port, with database, broker and an issuer of tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import httpx
from pydantic import SecretStr

from deploy.local.provision import Provisioned
from eventing import topology
from eventing.clock import DatabaseClock
from eventing.house import House
from eventing.runtime import Runtime
from eventing.settings import ServiceSettings
from eventing.tokens import Role
from tests.integration.eventing.shell import AUDIENCE, ISSUER, Issuer, client, serving

S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True)
class Served:
    """`http` talks to the service, `runtime` is its inside, `bearer` makes headers for a person."""

    http: httpx.AsyncClient
    runtime: Runtime
    issuer: Issuer

    def bearer(self, person_id: UUID, *roles: Role) -> dict[str, str]:
        token = self.issuer.token(sub=str(person_id), roles=[role.value for role in roles])
        return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def served(
    house: House[S],
    settings: type[S],
    provisioned: Provisioned,
    clock: DatabaseClock | None = None,
    **given: Any,
) -> AsyncIterator[Served]:
    """The service with its doors open; `given` are settings of its own."""
    name = settings.service
    issuer = Issuer()
    database_url = provisioned.database_urls[name]
    await topology.declare(provisioned.broker_admin_url)
    async with serving(issuer.app) as issuer_url:
        loaded = settings(
            database_url=SecretStr(database_url),
            broker_url=SecretStr(provisioned.broker_urls[name]),
            jwks_url=f"{issuer_url}/jwks.json",
            jwt_issuer=ISSUER,
            jwt_audience=AUDIENCE,
            **given,
        )
        async with house.build(loaded, clock) as app, client(app) as http:
            yield Served(http, app.state.runtime, issuer)
