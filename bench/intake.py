"""Row `intake`: pledges placed through HTTP on one hot campaign with one limited tier, durable, 64 clients.

Tokens, idempotency and all rules are on; every placement is another backer's; two replicas of the service. Beside
the textbook transaction (guarded tier update, pledge insert, campaign update) in pure SQL by pgbench, 64 clients,
prepared statements.
"""

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from bench.broker import publish
from bench.facts import on_the_wire
from bench.load import Call, run
from bench.row import Figure, Ground, Row
from bench.services import running_service
from contracts.campaign import CampaignLaunched, RewardTier
from contracts.ids import CampaignId, PersonId, PoolId, TierId, new_id
from contracts.money import Money
from deploy.local.issuer import Issuer
from eventing.database import connect_pool

CLIENTS: Final = 64
REPLICAS: Final = 2  # One for each core: deciding is quick, HTTP and tokens are what takes the time.
PLEDGES: Final = 8_000
WARM_UP: Final = 500
PGBENCH_SECONDS: Final = 4

_SCHEMA = """
    CREATE TABLE textbook_campaign (id int PRIMARY KEY, total bigint NOT NULL);
    CREATE TABLE textbook_tier (id int PRIMARY KEY, taken int NOT NULL, slots int NOT NULL);
    CREATE TABLE textbook_pledge (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), campaign_id int NOT NULL, tier_id int NOT NULL,
        backer_id uuid NOT NULL DEFAULT gen_random_uuid(), amount bigint NOT NULL,
        placed_at timestamptz NOT NULL DEFAULT now()
    );
    INSERT INTO textbook_campaign VALUES (1, 0);
    INSERT INTO textbook_tier VALUES (1, 0, 100000000);
"""
_TRANSACTION = """
BEGIN;
UPDATE textbook_tier SET taken = taken + 1 WHERE id = 1 AND taken < slots;
INSERT INTO textbook_pledge (campaign_id, tier_id, amount) VALUES (1, 1, 2500);
UPDATE textbook_campaign SET total = total + 2500 WHERE id = 1;
END;
"""


async def textbook(ground: Ground) -> float:
    """Transactions a second of the textbook way, as the administrator: no service's role may have 64 connections."""
    servers = ground.servers
    url = urlunsplit(urlsplit(servers.backing.postgres_url)._replace(path=f"/{ground.provisioned.namespace}"))
    async with await connect_pool(url, "bench") as pool:
        await pool.execute(_SCHEMA)
    script = servers.run.path / "textbook.sql"
    script.write_text(_TRANSACTION)
    arguments = ("-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(PGBENCH_SECONDS), "-f", str(script))
    printed = await asyncio.to_thread(
        subprocess.run, [_pgbench(), *arguments, url], capture_output=True, text=True, check=False
    )
    found = re.search(r"tps = ([\d.]+) \(without", printed.stdout)
    assert found, printed.stderr
    return float(found.group(1))


def _pgbench() -> str:
    """Debian keeps it beside the server, not on the PATH."""
    beside = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    program = shutil.which("pgbench") or (str(beside[-1]) if beside else None)
    if program is None:
        msg = "pgbench is missing: it comes with PostgreSQL's server package"
        raise FileNotFoundError(msg)
    return program


def launched(slots: int) -> CampaignLaunched:
    """A campaign that is open for an hour and has one limited tier."""
    now = datetime.now(UTC)
    tier = RewardTier(
        tier_id=TierId(new_id()),
        title="The one",
        minimum=Money(amount=2500, currency="EUR"),
        estimated_delivery="2027-06",
        pool_id=PoolId(new_id()),
        limit=slots,
    )
    return CampaignLaunched.model_validate(
        {
            "campaign_id": CampaignId(new_id()),
            "creator_id": PersonId(new_id()),
            "title": "Hot",
            "goal": {"amount": 10**9, "currency": "EUR"},
            "model": "all_or_nothing",
            "deadline": now + timedelta(hours=1),
            "policy": {"cancellation_cutoff_seconds": 60},
            "tiers": (tier,),
            "launched_at": now,
        }
    )


def placements(campaign: CampaignLaunched, issuer: Issuer, count: int) -> list[Call]:
    """`count` placements, each by a backer of its own."""
    path = f"/campaigns/{campaign.campaign_id}/pledges"
    return [Call("POST", path, issuer.mint(new_id(), ["backer"], 3600), body(campaign)) for _ in range(count)]


def body(campaign: CampaignLaunched) -> str:
    """A placement in its only tier."""
    return json.dumps(
        {
            "amount": {"amount": 2500, "currency": "EUR"},
            "tier_id": str(campaign.tiers[0].tier_id),
            "payment_method": "pm_card_visa",
            "country": "DE",
        }
    )


async def wait_until_open(bases: Sequence[str], calls: Sequence[Call]) -> None:
    """The service has heard of the campaign: the first placement is accepted."""
    for call in calls:
        answers = await run(bases, [call], connections=1)
        if answers.statuses == {201: 1}:
            return
        await asyncio.sleep(0.1)
    msg = "the pledge service does not open the campaign"
    raise TimeoutError(msg)


async def measure(ground: Ground) -> Figure:
    provisioned = ground.provisioned
    baseline = await textbook(ground)
    campaign = launched(PLEDGES + WARM_UP + 100)
    async with running_service(ground, "pledge", REPLICAS) as service:
        message = b"[" + on_the_wire(campaign, 1).encode() + b"]"
        await publish(provisioned.broker_urls["campaign"], "events", [(campaign.type, message)])
        await wait_until_open(service.bases, placements(campaign, service.issuer, 50))
        await run(service.bases, placements(campaign, service.issuer, WARM_UP), connections=CLIENTS)
        calls = placements(campaign, service.issuer, PLEDGES)
        started, cpu = time.perf_counter(), time.process_time()
        answers = await run(service.bases, calls, connections=CLIENTS)
        seconds = time.perf_counter() - started
        load_cpu = (time.process_time() - cpu) / seconds
    assert answers.statuses == {201: PLEDGES}, answers.statuses
    note = f"p50 {answers.percentile(50):.0f} ms, p99 {answers.percentile(99):.0f} ms"
    return Figure(PLEDGES / seconds, baseline, load_cpu, note)


ROW = Row("intake", __doc__, "pledges/s", "≥ 2 ×", measure)
