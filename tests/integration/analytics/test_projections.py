"""The numbers are the same whatever the order of the events, and whenever they are rebuilt (DOMAIN A1, A3)."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from analytics import queries
from analytics.projections import DEFINITION, CampaignRow
from analytics.report import Report, report
from contracts.pledge import (
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
)
from eventing.rebuild import rebuild
from tests.integration.analytics.world import Told, World
from tests.integration.house import House

BATCH = 50
MOVED = "EXISTS (SELECT 1 FROM jsonb_each(to_jsonb(t)) AS c WHERE jsonb_typeof(c.value) = 'number' AND c.value <> '0')"


async def take_in(core: House, told: Sequence[Told]) -> None:
    for start in range(0, len(told), BATCH):
        await core.take_in(*told[start : start + BATCH])


async def shown(core: House, world: World) -> Report:
    campaign = await queries.campaign(core.pool, world.campaign_id)
    assert isinstance(campaign, CampaignRow)
    return await report(core.pool, campaign)


async def tables(core: House) -> dict[str, list[Any]]:
    """Every row of every projection, sorted; sums that came back to zero are as good as no row."""
    found = {}
    for table in (table for projection in DEFINITION.projections for table in projection.tables):
        where = MOVED if table.name == "pledge_sums" else "true"
        rows = await core.pool.fetch(f"SELECT to_jsonb(t)::text AS row FROM {table.name} t WHERE {where} ORDER BY 1")
        found[table.name] = [row["row"] for row in rows]
    return found


class TestNumbers:
    async def test_each_fate_of_a_pledge_is_counted_where_it_belongs(self, core: House) -> None:
        world = World()
        game, signed = world.tiers[1], world.tiers[2]
        told = world.campaign()
        told += world.tell(world.facts(game, 4000, "DE"), [PledgeAuthorized], day=1)
        told += world.tell(world.facts(game, 5000, "FR"), [PledgeAuthorized, PledgeCaptured], day=1)
        told += world.tell(world.facts(signed, 9000, "DE"), [], day=2)
        told += world.tell(world.facts(signed, 9000, "DE"), [PledgeDeclined], day=2)
        told += world.tell(world.facts(world.tiers[3], 9000, "DE"), [PledgeAuthorized, PledgeCaptureFailed], day=2)
        told += world.tell(world.facts(None, 100, "JP"), [PledgeAuthorized, PledgeCancelled], day=3)
        await take_in(core, told)
        found = await shown(core, world)
        assert (found.totals.backers, found.totals.pledged.amount, found.totals.percent) == (2, 9000, 4)
        assert (found.totals.placed, found.totals.placed_amount.amount) == (6, 36_100)
        assert found.funnel.model_dump() == {
            "placed": 6, "authorized": 4, "captured": 1, "declined": 1, "cancelled": 1, "capture_failed": 1,
            "dropped": 0, "voided": 0, "refunded": 0,
        }  # fmt: skip
        assert [(t.title, t.backers, t.slots_left) for t in found.tiers] == [
            ("Postcard", 0, None), ("The game", 2, None), ("Signed, blue", 0, 48), ("Signed, red", 0, 48),
            ("No reward", 0, None),
        ]  # fmt: skip
        assert [(c.country, c.backers, c.pledged.amount) for c in found.countries] == [
            ("FR", 1, 5000), ("DE", 1, 4000), ("JP", 0, 0),
        ]  # fmt: skip
        assert [(d.day.day, d.placed, d.backers) for d in found.days] == [(2, 2, 2), (3, 3, 0), (4, 1, 0)]
        assert [(m.threshold.amount, m.percent, m.stretch_goal) for m in found.milestones] == [
            (50_000, 25, None), (300_000, None, "Wooden pieces"),
        ]  # fmt: skip

    async def test_what_is_at_risk_given_back_and_disputed_stands_beside_the_total(self, core: House) -> None:
        world = World()
        captured = [PledgeCaptured]
        told = world.campaign()
        told += world.tell(world.facts(None, 1000, "DE"), [PledgeAuthorized, PledgeAtRisk])
        told += world.tell(world.facts(None, 2000, "DE"), [PledgeAuthorized, PledgeAtRisk, PledgeHoldRenewed])
        told += world.tell(world.facts(None, 4000, "DE"), [*captured, PledgePartlyRefunded, PledgeDisputeOpened])
        told += world.tell(world.facts(None, 8000, "DE"), [*captured, PledgeDisputeOpened, PledgeDisputeClosed])
        await take_in(core, told)
        totals = (await shown(core, world)).totals
        assert (totals.backers, totals.pledged.amount, totals.captured_amount.amount) == (4, 14_700, 11_700)
        assert (totals.at_risk, totals.at_risk_amount.amount, totals.refunded_amount.amount) == (1, 1000, 300)
        assert (totals.disputes, totals.disputed_amount.amount) == (1, 400)
        assert (totals.disputes_lost, totals.lost_amount.amount) == (1, 400)

    async def test_status_follows_the_campaign(self, core: House) -> None:
        world = World()
        await take_in(core, world.campaign())
        closed, settled = world.ending()
        assert (await shown(core, world)).campaign.status == "active"
        await take_in(core, [closed])
        assert (await shown(core, world)).campaign.status == "settling"
        await take_in(core, [settled])
        assert (await shown(core, world)).campaign.status == "funded"

    async def test_total_tiers_countries_and_days_agree(self, core: House) -> None:
        world = World()
        await take_in(core, [*world.campaign(), *world.pledges(80)])
        found = await shown(core, world)
        for part in (found.tiers, found.countries, found.days):
            assert sum(row.pledged.amount for row in part) == found.totals.pledged.amount
            assert sum(row.backers for row in part) == found.totals.backers


class TestOrder:
    @pytest.mark.parametrize("seed", range(4))
    async def test_shuffled_and_doubled_events_give_the_same_numbers(self, core: House, seed: int) -> None:
        orderly, disorderly = World(seed), World(seed)
        await take_in(core, [*orderly.campaign(), *orderly.pledges(60), *orderly.ending()])
        told = [*disorderly.campaign(), *disorderly.pledges(60), *disorderly.ending()] * 2
        random.Random(seed).shuffle(told)
        halves = told[: len(told) // 2], told[len(told) // 2 :]
        await asyncio.gather(*(_feed(core, replica, half) for replica, half in enumerate(halves)))
        expected, actual = await shown(core, orderly), await shown(core, disorderly)
        assert _comparable(actual) == _comparable(expected)
        assert await core.parked() == []


async def _feed(core: House, replica: int, told: list[Told]) -> None:
    for start in range(0, len(told), BATCH):
        await core.replicas[replica].take_in(told[start : start + BATCH])


def _comparable(found: Report) -> dict[str, Any]:
    """Without ids, which differ between two tellings of one story."""
    plain = found.model_dump(exclude={"links": True, "campaign": {"id"}, "tiers": {"__all__": {"tier_id"}}})
    return {name: sorted(part, key=repr) if isinstance(part, list) else part for name, part in plain.items()}


class TestRebuild:
    async def test_gives_exactly_the_live_numbers(self, core: House) -> None:
        world = World(7)
        told = [*world.campaign(), *world.pledges(120), *world.ending()]
        random.Random(7).shuffle(told)
        await take_in(core, told)
        before = await tables(core)
        for projection in DEFINITION.projections:
            await rebuild(core.pool, DEFINITION, projection)
        assert await tables(core) == before

    async def test_while_events_come_in_loses_and_doubles_none(self, core: House) -> None:
        world = World(8)
        told = [*world.campaign(), *world.pledges(300)]
        random.Random(8).shuffle(told)
        middle = len(told) // 2
        await take_in(core, told[:middle])
        feeding = asyncio.create_task(_feed(core, 1, told[middle:]))
        for projection in DEFINITION.projections:
            await rebuild(core.pool, DEFINITION, projection)
        await feeding
        live = await tables(core)
        for projection in DEFINITION.projections:
            await rebuild(core.pool, DEFINITION, projection)
        assert await tables(core) == live
        assert (await shown(core, world)).totals.placed == 300
