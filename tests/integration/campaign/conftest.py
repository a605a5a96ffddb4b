"""The campaign service on real servers: its core alone with two replicas, or the whole service behind HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from campaign.app import Settings
from campaign.handlers import DEFINITION
from deploy.local.issuer import Issuer, application
from deploy.local.provision import Provisioned
from deploy.topology import JWT_AUDIENCE, JWT_ISSUER
from eventing.topology import declare
from tests.integration.campaign.client import Site
from tests.integration.eventing.shell import serving
from tests.integration.house import House, house
from tests.rooms import Rooms


@pytest.fixture
async def core(database: Provisioned) -> AsyncIterator[House]:
    async with house(database, DEFINITION, replicas=2) as one:
        yield one


@asynccontextmanager
async def _site(rooms: Rooms, keys: Path) -> AsyncIterator[Site]:
    issuer = Issuer(keys)
    async with rooms.database() as corner, rooms.virtual_host(corner):
        await declare(corner.broker_admin_url)
        async with serving(application(issuer)) as address:
            yield Site(
                Settings(
                    database_url=corner.database_urls["campaign"],
                    broker_url=corner.broker_urls["campaign"],
                    redis_url=rooms.backing.redis_url,
                    jwks_url=f"{address}/.well-known/jwks.json",
                    jwt_issuer=JWT_ISSUER,
                    jwt_audience=JWT_AUDIENCE,
                    min_campaign_seconds=1,
                    mirror_ttl_seconds=1,
                ),
                issuer,
            )


@pytest.fixture(scope="module")
async def site(rooms: Rooms, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One corner of the servers for all tests of a module; each test has people and campaigns of its own."""
    async with _site(rooms, tmp_path_factory.mktemp("issuer")) as one:
        yield one
