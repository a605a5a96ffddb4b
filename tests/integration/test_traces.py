"""One trace through two services and the broker between them, as the processes that an operator starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import pytest

from contracts.campaign import CampaignLaunched
from contracts.ids import new_id
from deploy import topology
from deploy.local.issuer import Issuer, application
from deploy.local.private import free_ports
from deploy.local.processes import Process
from deploy.local.provision import Provisioned
from deploy.local.servers import Servers
from eventing.telemetry import new_traceparent
from tests.integration.campaign.client import Person, tier_body, until
from tests.integration.collector import Collector, collecting
from tests.integration.eventing.shell import serving

HOST = "127.0.0.1"

Service = Callable[[str], Process]  # by its name; not started


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as one:
        yield one


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path)


@pytest.fixture
async def service(
    servers: Servers, provisioned: Provisioned, collector: Collector, issuer: Issuer
) -> AsyncIterator[Service]:
    """Makes services of this test's own corner that send their spans to the collector."""
    async with serving(application(issuer)) as issuer_url:

        def make(name: str) -> Process:
            part, (port,) = topology.SERVICE_BY_NAME[name], free_ports(1)
            values = topology.DEVELOPMENT_VALUES | {
                "database_url": provisioned.database_urls[name],
                "broker_url": provisioned.broker_urls[name],
                "redis_url": servers.backing.redis_url,
                "http_host": HOST,
                "http_port": str(port),
                "jwks_url": f"{issuer_url}/.well-known/jwks.json",
                "otlp_endpoint": collector.address,
            }
            environment = topology.environment(part, values)
            admin = {"GROUNDSWELL_BROKER_ADMIN_URL": provisioned.broker_admin_url}
            migrate = servers.run.process(f"{name}-migrate", part.migrate, environment | admin)
            migrate.launch()
            migrate.wait_done()
            ready_url = f"http://{HOST}:{port}{part.ready_path}"
            return servers.run.process(name, topology.command(part, values), environment, ready_url)

        yield make


@asynccontextmanager
async def started(process: Process) -> AsyncIterator[str]:
    """Its address. A service that stops first sends the spans that it still holds."""
    try:
        await asyncio.to_thread(process.start)
        yield f"http://{HOST}:{process.env['GROUNDSWELL_HTTP_PORT']}"
    finally:
        await asyncio.to_thread(process.stop)


async def traceparents(database_url: str, campaign_id: UUID) -> list[str]:
    """Those that a service keeps with the launches of a campaign, its own or taken in."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT meta->>'traceparent' AS traceparent FROM event WHERE stream_id = $1 AND type = $2",
            campaign_id,
            CampaignLaunched.type,
        )
    finally:
        await connection.close()
    return [row["traceparent"] for row in rows]


async def test_a_request_is_followed_through_the_broker_into_the_next_service(
    service: Service, provisioned: Provisioned, collector: Collector, issuer: Issuer
) -> None:
    campaign, pledge = [await asyncio.to_thread(service, name) for name in ("campaign", "pledge")]
    traceparent = new_traceparent()
    _, trace_id, caller_id, _ = traceparent.split("-")
    creator_id = new_id()
    async with AsyncExitStack() as running:
        base, _ = [await running.enter_async_context(started(process)) for process in (campaign, pledge)]
        async with httpx.AsyncClient(base_url=base, headers={"traceparent": traceparent}) as http:
            creator = Person(http, issuer.mint(creator_id, ["creator"]), creator_id)
            path = await creator.launches(tier_body())
        campaign_id = UUID(path.rpartition("/")[2])
        (recorded,) = await traceparents(provisioned.database_urls["campaign"], campaign_id)
        (taken_in,) = await until(lambda: traceparents(provisioned.database_urls["pledge"], campaign_id), bool)

    spans = collector.of_trace(trace_id)
    service_name, request_id, parent_id = spans["POST /campaigns/{campaign_id}/launch"]
    assert (service_name, parent_id) == ("campaign", caller_id)
    assert recorded == taken_in == f"00-{trace_id}-{request_id}-01"
    service_name, _, parent_id = spans[f"take in {CampaignLaunched.type}"]
    assert (service_name, parent_id) == ("pledge", request_id)
