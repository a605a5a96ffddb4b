"""One trace through two services and the broker between them, as the processes that an operator starts."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import asyncpg
import httpx

from contracts.campaign import CampaignLaunched
from contracts.ids import new_id
from deploy.local.issuer import Issuer, application
from deploy.local.plain_http import NO_TLS
from deploy.local.provision import Provisioned
from deploy.local.servers import Servers
from eventing.telemetry import new_traceparent
from tests.integration.campaign.client import Person, tier_body, until
from tests.integration.collector import collecting
from tests.integration.corner import Corner
from tests.integration.eventing.shell import serving


async def test_a_request_is_followed_through_the_broker_into_the_next_service(
    servers: Servers, provisioned: Provisioned, tmp_path: Path
) -> None:
    issuer, creator_id, traceparent = Issuer(tmp_path), new_id(), new_traceparent()
    _, trace_id, caller_id, _ = traceparent.split("-")
    async with collecting() as collector, serving(application(issuer)) as keys:
        values = {"jwks_url": f"{keys}/.well-known/jwks.json", "otlp_endpoint": collector.address}
        corner = Corner(servers, provisioned, values)
        await corner.migrate("campaign", "pledge")
        async with corner.serve("campaign") as address, corner.serve("pledge"):
            async with httpx.AsyncClient(verify=NO_TLS, base_url=address, headers={"traceparent": traceparent}) as http:
                creator = Person(http, issuer.mint(creator_id, ["creator"]), creator_id)
                campaign_id = UUID((await creator.launches(tier_body())).rpartition("/")[2])
            (recorded,) = await traceparents(provisioned.database_urls["campaign"], campaign_id)
            (taken_in,) = await until(lambda: traceparents(provisioned.database_urls["pledge"], campaign_id), bool)

        # Both have stopped, and so have sent every span that they held.
        spans = collector.of_trace(trace_id)
    service, request_id, parent_id = spans["POST /campaigns/{campaign_id}/launch"]
    assert (service, parent_id) == ("campaign", caller_id)
    assert recorded == taken_in == f"00-{trace_id}-{request_id}-01"
    service, _, parent_id = spans[f"take in {CampaignLaunched.type}"]
    assert (service, parent_id) == ("pledge", request_id)


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
