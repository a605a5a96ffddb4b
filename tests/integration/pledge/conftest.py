"""The pledge service's core on a real database, and a campaign to pledge to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from deploy.local.provision import Provisioned
from pledge.app import HOUSE
from tests.integration.house import House, house
from tests.integration.pledge.backers import Backers
from tests.integration.pledge.door import Door, open_door


@pytest.fixture
async def pledges(database: Provisioned) -> AsyncIterator[House]:
    """One replica."""
    async with _open(database, 1) as opened:
        yield opened


@pytest.fixture
async def two_replicas(database: Provisioned) -> AsyncIterator[House]:
    async with _open(database, 2) as opened:
        yield opened


@pytest.fixture(scope="session")
def issuer_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: it takes as long as a test."""
    return tmp_path_factory.mktemp("issuer")


@pytest.fixture
async def door(provisioned: Provisioned, issuer_keys: Path) -> AsyncIterator[Door]:
    async with open_door(provisioned, issuer_keys) as opened:
        yield opened


@pytest.fixture
def backers(pledges: House) -> Backers:
    return Backers(pledges)


def _open(database: Provisioned, replicas: int) -> AbstractAsyncContextManager[House]:
    return house(database, HOUSE.definition, replicas)
