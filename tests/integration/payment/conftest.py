"""A payment service, whole or in pieces, on real servers and a real sandbox process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from deploy.local.plain_http import NO_TLS
from deploy.local.provision import Provisioned
from payment.app import HOUSE, Settings
from payment.handlers import DEFINITION
from tests.contract.stripe_sandbox_server import API_KEY, running
from tests.integration.house import House, house
from tests.integration.payment.platform import Platform, Sandbox
from tests.integration.served import Served, served

SECRETS = ("whsec_old", "whsec_new")
TIMEOUT_SECONDS = 1.0  # A slow answer is a time-out sooner than in production.


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[str]:
    with running() as address:
        yield address


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Sandbox]:
    async with httpx.AsyncClient(verify=NO_TLS, base_url=address, auth=(API_KEY, ""), timeout=15) as raw:
        yield Sandbox(address, raw)


@pytest.fixture
async def sandbox(sandbox_process: str) -> AsyncIterator[Sandbox]:
    """A sandbox that has seen nothing."""
    async with connected(sandbox_process) as ready:
        (await ready.raw.post("/sandbox/reset")).raise_for_status()
        (await ready.raw.delete("/sandbox/faults")).raise_for_status()
        yield ready


@pytest.fixture
def more_settings() -> dict[str, Any]:
    """What a test sets beside the usual, or otherwise."""
    return {}


@pytest.fixture
async def service(provisioned: Provisioned, sandbox: Sandbox, more_settings: dict[str, Any]) -> AsyncIterator[Served]:
    settings: dict[str, Any] = {
        "stripe_api_key": SecretStr(API_KEY),
        "stripe_api_base": sandbox.address,
        "stripe_webhook_secrets": SecretStr(",".join(SECRETS)),
        "stripe_timeout_seconds": TIMEOUT_SECONDS,
    }
    async with served(HOUSE, Settings, provisioned, **settings | more_settings) as running_service:
        yield running_service


@pytest.fixture
async def core(database: Provisioned) -> AsyncIterator[House]:
    """The service without its doors and workers: the clock stands still, and the test gives the provider's answers."""
    async with house(database, DEFINITION) as running_core:
        yield running_core


@pytest.fixture
async def platform(service: Served, sandbox: Sandbox) -> Platform:
    told = Platform(service.runtime.commit, service.runtime.pool, sandbox)
    await told.tell(told.launched())
    return told
