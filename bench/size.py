"""Row `size`: a cancellation in a campaign of 200 000 pledges, beside one in a campaign of 200, in the same run.

The note has the same for the public page, for the creator's list of backers and for the backer's own list.
"""

import asyncio
import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import httpx

from bench.facts import NOON, pledges
from bench.intake import launched
from bench.load import Call, run
from bench.page import Read
from bench.page import launched as launched_page
from bench.row import Figure, Ground, Row
from bench.services import Service, running_service
from campaign.app import HOUSE as CAMPAIGN
from contracts.campaign import CampaignLaunched
from contracts.envelope import Envelope
from contracts.event import Event
from contracts.ids import PersonId, PledgeId, new_id
from contracts.money import Money
from deploy.local.issuer import Role
from eventing import migrations
from eventing.clock import DatabaseClock
from eventing.database import connect_pool
from eventing.group_commit import GroupCommit
from eventing.lane import GROUP_MEMBERS_MAX
from pledge.app import HOUSE
from pledge.domain_decisions import PlacePledge

LARGE: Final = 200_000
SMALL: Final = 200
CALLS: Final = 150  # Of each kind in each campaign.
LEASE_SECONDS: Final = 86_400

Placed = Sequence[PlacePledge]


def _placing(campaign: CampaignLaunched) -> PlacePledge:
    return PlacePledge(
        pledge_id=PledgeId(new_id()),
        campaign_id=campaign.campaign_id,
        backer_id=PersonId(new_id()),
        tier_id=campaign.tiers[0].tier_id,
        amount=Money(amount=2500, currency="EUR"),
        country="DE",
        payment_method="pm_card_visa",
        lease_seconds=LEASE_SECONDS,
        pool_hint=campaign.tiers[0].pool_id,
    )


async def fill(ground: Ground, campaigns: Sequence[tuple[CampaignLaunched, int]]) -> list[Placed]:
    """Pledges as the service itself records them, without its doors. Returns the last of each campaign."""
    url = ground.provisioned.database_urls["pledge"]
    await migrations.migrate(url, migrations.CORE, HOUSE.migrations)
    placed: list[Placed] = []
    async with await connect_pool(url, "bench") as pool:
        commit = GroupCommit(pool, HOUSE.definition, DatabaseClock())
        running = asyncio.create_task(commit.run())
        for campaign, count in campaigns:
            await commit.take_in([(_envelope(campaign, 1, campaign.launched_at), campaign)])
            commands: list[PlacePledge] = []
            for start in range(0, count, GROUP_MEMBERS_MAX):
                commands = [_placing(campaign) for _ in range(min(GROUP_MEMBERS_MAX, count - start))]
                await asyncio.gather(*map(commit.execute, commands))
            placed.append(commands)
        commit.stop()
        await running
        await pool.execute("ANALYZE")
    return placed


async def _back(ground: Ground, path: str, count: int) -> None:
    """Pledges of a campaign as the campaign service hears of them."""
    told: list[tuple[Envelope, Event]] = []
    for pair in pledges(UUID(path.rpartition("/")[2]), count):
        told += [(_envelope(event, version, NOON), event) for version, event in enumerate(pair, 1)]
    async with await connect_pool(ground.provisioned.database_urls["campaign"], "bench") as pool:
        commit = GroupCommit(pool, CAMPAIGN.definition, DatabaseClock())
        running = asyncio.create_task(commit.run())
        for start in range(0, len(told), GROUP_MEMBERS_MAX):
            await commit.take_in(told[start : start + GROUP_MEMBERS_MAX])
        commit.stop()
        await running
        await pool.execute("ANALYZE")


async def pages(ground: Ground) -> tuple[float, float]:
    """Median milliseconds of the public page of either campaign."""
    async with running_service(ground, "campaign") as service:
        [base] = service.bases
        paths = [await launched_page(base, service.issuer) for _ in range(2)]
        for path, count in zip(paths, (LARGE, SMALL), strict=True):
            await _back(ground, path, count)
        async with httpx.AsyncClient(base_url=base) as http:
            shown = [(await http.get(path)).json()["backers"] for path in paths]
        assert shown == [LARGE, SMALL], shown
        large, small = ([Read("GET", path, "", "")] * CALLS for path in paths)
        return await _both(service, large, small)


def _envelope(event: Event, version: int, time: datetime) -> Envelope:
    return Envelope(
        id=new_id(),
        source=event.source,
        type=event.type,
        subject=event.subject,
        version=version,
        time=time,
        data=event.model_dump(mode="json"),
    )


async def _both(service: Service, large: Sequence[Call], small: Sequence[Call]) -> tuple[float, float]:
    """Median milliseconds of either, in turn, so that both see the same noise."""
    milliseconds: tuple[list[float], list[float]] = [], []
    for pair in zip(large, small, strict=True):
        for call, into in zip(pair, milliseconds, strict=True):
            answers = await run(service.bases, [call], connections=1)
            assert answers.statuses.keys() <= {200, 202}, answers.statuses
            into.extend(answers.milliseconds)
    return statistics.median(milliseconds[0]), statistics.median(milliseconds[1])


def _reads(service: Service, path: str, person: PersonId, role: Role) -> list[Call]:
    return [Call("GET", path, service.issuer.mint(person, [role], 3600), "")] * CALLS


async def measure(ground: Ground) -> Figure:
    campaigns = launched(LARGE + 1), launched(SMALL + 1)
    placed = await fill(ground, list(zip(campaigns, (LARGE, SMALL), strict=True)))
    async with running_service(ground, "pledge") as service:
        lists = [_reads(service, f"/campaigns/{c.campaign_id}/backers", c.creator_id, "creator") for c in campaigns]
        mine = [_reads(service, "/me/pledges", commands[-1].backer_id, "backer") for commands in placed]
        cancels = [[_cancel(service, one) for one in commands[-CALLS:]] for commands in placed]
        backers, own, cancel = [await _both(service, *both) for both in (lists, mine, cancels)]
    page = await pages(ground)
    both = (("page", page), ("backers", backers), ("own list", own))
    note = ", ".join(f"{name} {large:.1f} beside {small:.1f} ms" for name, (large, small) in both)
    return Figure(*cancel, note=note)


def _cancel(service: Service, one: PlacePledge) -> Call:
    return Call("POST", f"/pledges/{one.pledge_id}/cancel", service.issuer.mint(one.backer_id, ["backer"], 3600), "")


ROW = Row("size", __doc__, "ms", "≤ 1.5 ×", measure, runs=1)
