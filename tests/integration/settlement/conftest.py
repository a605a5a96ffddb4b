"""Settlement's core on a real database, with the timers of two replicas."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.provision import Provisioned
from settlement.handlers import DEFINITION
from settlement.jobs import Settler
from tests.integration.house import House, house

OUTSTANDING_MAX = 5


@pytest.fixture
async def core(database: Provisioned) -> AsyncIterator[House]:
    async with house(database, DEFINITION, replicas=2) as opened:
        yield opened


@pytest.fixture
def settlers(core: House) -> tuple[Settler, ...]:
    return tuple(Settler(core.pool, commit, core.clock, OUTSTANDING_MAX) for commit in core.replicas)
