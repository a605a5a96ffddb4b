"""Analytics' core on a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import analytics
from analytics.projections import DEFINITION
from deploy.local.provision import Provisioned
from tests.integration.house import House, house

MIGRATIONS = Path(next(iter(analytics.__path__))) / "migrations"


@pytest.fixture
async def core(provisioned: Provisioned) -> AsyncIterator[House]:
    async with house(provisioned.database_urls["analytics"], DEFINITION, MIGRATIONS, replicas=2) as opened:
        yield opened
