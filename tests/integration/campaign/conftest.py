"""The campaign service on real servers: its core alone with two replicas, or the whole service behind HTTP."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from campaign.app import HOUSE, Settings
from campaign.handlers import DEFINITION
from deploy.local.issuer import Issuer, application
from deploy.local.provision import Provisioned, drop, provision
from deploy.local.servers import Servers
from deploy.topology import JWT_AUDIENCE, JWT_ISSUER
from eventing import migrations
from eventing.topology import declare
from tests.conftest import TEST_PREFIX
from tests.integration.campaign.client import Site
from tests.integration.eventing.shell import serving
from tests.integration.house import House, house


@pytest.fixture
async def core(provisioned: Provisioned) -> AsyncIterator[House]:
    async with house(provisioned.database_urls["campaign"], DEFINITION, HOUSE.migrations, replicas=2) as one:
        yield one


@asynccontextmanager
async def _site(servers: Servers, keys: Path) -> AsyncIterator[Site]:
    namespace = f"{TEST_PREFIX}{uuid.uuid4().hex[:12]}"
    issuer = Issuer(keys)
    try:
        corner = await provision(servers.backing, namespace)
        await migrations.migrate(corner.database_urls["campaign"], migrations.CORE, HOUSE.migrations)
        await declare(corner.broker_admin_url)
        async with serving(application(issuer)) as address:
            yield Site(
                Settings(
                    database_url=corner.database_urls["campaign"],
                    broker_url=corner.broker_urls["campaign"],
                    redis_url=servers.backing.redis_url,
                    jwks_url=f"{address}/.well-known/jwks.json",
                    jwt_issuer=JWT_ISSUER,
                    jwt_audience=JWT_AUDIENCE,
                    min_campaign_seconds=1,
                    mirror_ttl_seconds=1,
                ),
                issuer,
            )
    finally:
        await drop(servers.backing, namespace)


@pytest.fixture(scope="module")
async def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One corner of the servers for all tests of a module; each test has people and campaigns of its own."""
    async with _site(servers, tmp_path_factory.mktemp("issuer")) as one:
        yield one
