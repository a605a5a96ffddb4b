"""The pledge service's core on a real database, and a campaign to pledge to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest

from deploy.local.provision import Provisioned
from pledge.app import HOUSE
from tests.integration.house import House, house
from tests.integration.pledge.backers import Backers


@pytest.fixture
async def pledges(database: Provisioned) -> AsyncIterator[House]:
    """One replica."""
    async with _open(database, 1) as opened:
        yield opened


@pytest.fixture
async def two_replicas(database: Provisioned) -> AsyncIterator[House]:
    async with _open(database, 2) as opened:
        yield opened


@pytest.fixture
def backers(pledges: House) -> Backers:
    return Backers(pledges)


def _open(database: Provisioned, replicas: int) -> AbstractAsyncContextManager[House]:
    return house(database, HOUSE.definition, replicas)
