"""Analytics' core on a real database."""

from collections.abc import AsyncIterator

import pytest

from analytics.projections import DEFINITION
from deploy.local.provision import Provisioned
from tests.integration.house import House, house


@pytest.fixture
async def core(database: Provisioned) -> AsyncIterator[House]:
    async with house(database, DEFINITION, replicas=2) as opened:
        yield opened
