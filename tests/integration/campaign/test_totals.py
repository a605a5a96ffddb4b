"""Totals and milestones on a real PostgreSQL (DOMAIN C6, C7): any order, any repetition, any number of replicas."""

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest
from pydantic_core import from_json

from campaign.domain_commands import AddTier, Bounds, CancelCampaign, CloseCampaign, DraftCampaign, LaunchCampaign
from campaign.handlers import DEFINITION
from campaign.pages import read_pages
from contracts.campaign import CampaignClosed, CampaignLaunched, MilestoneCrossed
from contracts.ids import CampaignId, PoolId, TierId, new_id
from contracts.money import Money
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeDropped,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)
from contracts.settlement import CampaignSettled, Outcome, Tally
from deploy.local.provision import Provisioned
from eventing.rebuild import rebuild
from tests.integration.campaign.pledges import Fact, changed, life
from tests.integration.house import START, House, Stories, house
from tests.unit.campaign.drafts import CREATOR, eur, terms

BOUNDS = Bounds(1, 60 * 86_400)


async def launched(core: House, *, limit: int = 10) -> tuple[CampaignId, TierId]:
    """An active campaign with a goal of 100 EUR and one limited tier."""
    campaign_id, tier_id = CampaignId(new_id()), TierId(new_id())
    await core.execute(DraftCampaign(campaign_id, CREATOR, terms(), BOUNDS))
    tier = AddTier(campaign_id, CREATOR, tier_id, PoolId(new_id()), "One", "", eur(1), "2027-12", limit)
    await core.execute(tier)
    await core.execute(LaunchCampaign(campaign_id, CREATOR, BOUNDS))
    await core.said()
    return campaign_id, tier_id


async def total(core: House, campaign_id: UUID) -> tuple[int, int]:
    """Pledged minor units and backers."""
    row = await core.pool.fetchrow("SELECT * FROM campaign_total WHERE campaign_id = $1", campaign_id)
    assert row is not None
    return row["pledged_minor"], row["backers"]


async def beside(core: House, campaign_id: UUID) -> tuple[int, ...]:
    """What is at risk, disputed and lost, in count and minor units."""
    row = await core.pool.fetchrow("SELECT * FROM campaign_total WHERE campaign_id = $1", campaign_id)
    assert row is not None
    return tuple(row[name] for name in BESIDE)


async def slots(core: House, tier_id: UUID) -> int:
    sql = "SELECT coalesce(sum(slots), 0)::int FROM tier_claim WHERE tier_id = $1"
    count: int = await core.pool.fetchval(sql, tier_id)
    return count


async def status(core: House, campaign_id: UUID) -> str:
    sql = "SELECT status FROM campaign_page WHERE campaign_id = $1"
    found: str = await core.pool.fetchval(sql, campaign_id)
    return found


async def milestones(core: House) -> list[int | None]:
    return [event.percent for event in await core.said() if isinstance(event, MilestoneCrossed)]


def settled(campaign_id: CampaignId, outcome: Outcome) -> list[Fact]:
    nothing = Tally(count=0, total=Money(amount=0, currency="EUR"))
    return Stories().tell(
        CampaignSettled(
            campaign_id=campaign_id,
            creator_id=CREATOR,
            outcome=outcome,
            captured=nothing,
            dropped=nothing,
            voided=nothing,
        )
    )


# What happens to a pledge, and what it then adds: minor units of 700, and slots.
LIVES: list[tuple[tuple[Any, ...], int, int]] = [
    ((PledgePlaced,), 0, 1),
    ((PledgePlaced, PledgeAuthorized), 700, 1),
    ((PledgePlaced, PledgeDeclined), 0, 0),
    ((PledgePlaced, PledgeCancelled), 0, 0),
    ((PledgePlaced, PledgeAuthorized, PledgeCancelled), 0, 0),
    ((PledgePlaced, PledgeAuthorized, PledgeCaptured), 700, 1),
    ((PledgePlaced, PledgeCaptured), 700, 1),
    ((PledgePlaced, PledgeAuthorized, PledgeCaptureFailed), 0, 1),
    ((PledgePlaced, PledgeAuthorized, PledgeCaptureFailed, PledgeCaptured), 700, 1),
    ((PledgePlaced, PledgeAuthorized, PledgeCaptureFailed, PledgeDropped), 0, 0),
    ((PledgePlaced, PledgeAuthorized, PledgeVoided), 0, 0),
    ((PledgePlaced, PledgeCaptured, PledgeCancelled, PledgeRefunded), 0, 0),
    ((PledgePlaced, PledgeActionRequired), 0, 1),
    ((PledgePlaced, PledgeAuthorized, PledgeActionRequired), 700, 1),
    ((PledgePlaced, PledgeAuthorized, PledgeAtRisk), 700, 1),
    ((PledgePlaced, PledgeAuthorized, PledgeAtRisk, PledgeHoldRenewed), 700, 1),
    ((PledgePlaced, PledgeCaptured, PledgePartlyRefunded), 500, 1),
    ((PledgePlaced, PledgeCaptured, PledgePartlyRefunded, PledgeDisputeOpened), 500, 1),
    ((PledgePlaced, PledgeCaptured, PledgeDisputeOpened, PledgeDisputeClosed), 700, 1),
    ((PledgePlaced, PledgeCaptured, PledgePartlyRefunded, PledgeRefunded, PledgeDisputeOpened), 0, 0),
]
BESIDE = ("at_risk", "at_risk_minor", "disputes", "disputed_minor", "disputes_lost", "lost_minor")


class TestTotal:
    @pytest.mark.parametrize(("facts", "minor", "held"), LIVES)
    async def test_counts_what_is_authorized_or_captured(
        self, core: House, facts: tuple[Any, ...], minor: int, held: int
    ) -> None:
        campaign_id, tier_id = await launched(core)
        for fact in life(campaign_id, 700, *facts, tier_id=tier_id):
            await core.take_in(fact)
        assert (await total(core, campaign_id), await slots(core, tier_id)) == ((minor, int(minor > 0)), held)

    async def test_is_the_same_shuffled_doubled_and_spread_over_replicas(self, core: House) -> None:
        campaign_id, tier_id = await launched(core)
        told = [fact for facts, *_ in LIVES * 10 for fact in life(campaign_id, 700, *facts, tier_id=tier_id)] * 2
        random.Random(6).shuffle(told)
        parts = [told[start : start + 37] for start in range(0, len(told), 37)]
        await asyncio.gather(*(core.replicas[n % 2].take_in(part) for n, part in enumerate(parts)))
        counted = [minor for _, minor, _ in LIVES * 10]
        assert await total(core, campaign_id) == (sum(counted), sum(minor > 0 for minor in counted))
        assert await beside(core, campaign_id) == (10, 7_000, 20, 14_000, 10, 7_000)
        assert await slots(core, tier_id) == 10 * sum(held for *_, held in LIVES)
        assert await core.parked() == []

    @pytest.mark.parametrize("seed", range(4))
    async def test_a_changed_pledge_moves_its_amount_and_its_slot_in_any_order(self, core: House, seed: int) -> None:
        campaign_id, tier_id = await launched(core)
        other_id = new_id()
        told = changed(campaign_id, 700, 900, tier_id, other_id) * 2
        random.Random(seed).shuffle(told)
        for fact in told:
            await core.take_in(fact)
        assert await total(core, campaign_id) == (900, 1)
        assert (await slots(core, tier_id), await slots(core, TierId(other_id))) == (0, 1)

    async def test_the_page_shows_what_is_at_risk_and_what_is_disputed_beside_the_total(self, core: House) -> None:
        campaign_id, _ = await launched(core)
        captured = PledgePlaced, PledgeCaptured
        await core.take_in(
            *life(campaign_id, 700, PledgePlaced, PledgeAuthorized, PledgeAtRisk),
            *life(campaign_id, 700, *captured, PledgeDisputeOpened),
            *life(campaign_id, 700, *captured, PledgeDisputeOpened, PledgeDisputeClosed),
        )
        [page] = await read_pages(core.pool, [campaign_id])
        shown = from_json(page.body)
        assert (shown["pledged"]["amount"], shown["backers"]) == (2_100, 3)
        assert (shown["at_risk"]["amount"], shown["at_risk_backers"]) == (700, 1)
        seven = {"amount": 700, "currency": "EUR"}
        assert shown["disputes"] == {"open": 1, "open_amount": seven, "lost": 1, "lost_amount": seven}

    async def test_a_closing_that_overtakes_its_opening_shows_no_dispute_less_than_none(self, core: House) -> None:
        campaign_id, _ = await launched(core)
        placed, taken, opened, closed = life(
            campaign_id, 700, PledgePlaced, PledgeCaptured, PledgeDisputeOpened, PledgeDisputeClosed
        )
        await core.take_in(placed, taken, closed)
        [page] = await read_pages(core.pool, [campaign_id])
        assert from_json(page.body)["disputes"]["open"] == 0
        await core.take_in(opened)
        assert (await beside(core, campaign_id))[2:] == (0, 0, 1, 700)

    async def test_a_pledge_of_a_campaign_that_is_not_known_is_counted_and_harms_nobody(self, core: House) -> None:
        campaign_id, _ = await launched(core)
        unknown = new_id()
        await core.take_in(
            *life(unknown, 700, PledgePlaced, PledgeAuthorized, tier_id=new_id()),
            *settled(CampaignId(unknown), Outcome.FUNDED),
            *life(campaign_id, 700, PledgePlaced, PledgeAuthorized),
        )
        assert (await total(core, unknown), await total(core, campaign_id)) == ((700, 1), (700, 1))
        assert await core.parked() == []

    async def test_a_full_group_takes_few_statements(self, core: House) -> None:
        campaign_id, tier_id = await launched(core)
        lives = [life(campaign_id, 1, PledgePlaced, PledgeAuthorized, tier_id=tier_id) for _ in range(250)]
        seen: list[str] = []
        async with core.pool.acquire() as connection:
            connection.add_query_logger(lambda query: seen.append(query.query))
        await core.take_in(*(fact for one in lives for fact in one))
        assert await total(core, campaign_id) == (250, 250)
        assert 0 < len(seen) <= 15


class TestMilestones:
    async def test_a_pledge_that_crosses_several_announces_them_ascending(self, core: House) -> None:
        campaign_id, _ = await launched(core)
        await core.take_in(*life(campaign_id, 8_000, PledgePlaced, PledgeAuthorized))
        said = await core.said()
        assert [(e.percent, e.total.amount, e.backers) for e in said if isinstance(e, MilestoneCrossed)] == [
            (25, 8_000, 1),
            (50, 8_000, 1),
            (75, 8_000, 1),
        ]

    async def test_a_fall_and_a_second_climb_announce_nothing(self, core: House) -> None:
        campaign_id, _ = await launched(core)
        await core.take_in(*life(campaign_id, 6_000, PledgePlaced, PledgeAuthorized, PledgeCancelled))
        assert (await milestones(core), await total(core, campaign_id)) == ([25, 50], (0, 0))
        await core.take_in(*life(campaign_id, 6_000, PledgePlaced, PledgeAuthorized))
        assert await milestones(core) == []
        await core.take_in(*life(campaign_id, 1_500, PledgePlaced, PledgeAuthorized))
        assert await milestones(core) == [75]

    async def test_what_is_given_back_takes_no_milestone_back(self, core: House) -> None:
        campaign_id, _ = await launched(core)
        await core.take_in(*life(campaign_id, 2_500, PledgePlaced, PledgeCaptured, PledgePartlyRefunded))
        assert (await milestones(core), await total(core, campaign_id)) == ([25], (2_300, 1))
        await core.take_in(*life(campaign_id, 200, PledgePlaced, PledgeCaptured))
        assert (await milestones(core), await total(core, campaign_id)) == ([], (2_500, 2))

    async def test_two_replicas_that_cross_together_fire_each_once(self, core: House) -> None:
        campaigns = [(await launched(core))[0] for _ in range(10)]
        for campaign_id in campaigns:
            parts = [life(campaign_id, 500, PledgePlaced, PledgeAuthorized) for _ in range(24)]
            await asyncio.gather(*(core.replicas[n % 2].take_in(part) for n, part in enumerate(parts)))
            assert await milestones(core) == [25, 50, 75, 100]
            assert await total(core, campaign_id) == (12_000, 24)
        assert await core.parked() == []

    @pytest.mark.parametrize("seed", range(5))
    async def test_falls_climbs_and_a_leap_on_three_replicas_fire_each_once_in_order(
        self, database: Provisioned, seed: int
    ) -> None:
        """Small pledges come and go around every threshold while one big pledge crosses three at once."""
        async with house(database, DEFINITION, replicas=3) as core:
            campaign_id, _ = await launched(core)
            staying = [life(campaign_id, 500, PledgePlaced, PledgeAuthorized) for _ in range(9)]
            going = [life(campaign_id, 900, PledgePlaced, PledgeAuthorized, PledgeCancelled) for _ in range(30)]
            leap = life(campaign_id, 6_000, PledgePlaced, PledgeAuthorized)
            lives, chance = [*staying, *going, leap], random.Random(seed)
            chance.shuffle(lives)

            async def live(one: list[Fact]) -> None:
                for fact in one:
                    await chance.choice(core.replicas).take_in([fact])

            await asyncio.gather(*(live(one) for one in lives))
            crossed = [event for event in await core.said() if isinstance(event, MilestoneCrossed)]
            assert [event.percent for event in crossed] == [25, 50, 75, 100]
            assert all(event.threshold.amount <= event.total.amount for event in crossed)
            assert (await total(core, campaign_id), await core.parked()) == ((10_500, 10), [])

    async def test_none_fires_for_a_cancelled_campaign(self, core: House) -> None:
        campaign_id, _ = await launched(core)
        await core.execute(CancelCampaign(campaign_id, CREATOR))
        await core.take_in(*life(campaign_id, 6_000, PledgePlaced, PledgeAuthorized))
        assert await milestones(core) == []

    async def test_a_pledge_decided_after_the_deadline_still_counts(self, core: House) -> None:
        campaign_id, _ = await launched(core)
        core.clock.frozen_at = terms().deadline
        await core.execute(CloseCampaign(campaign_id))
        await core.take_in(*life(campaign_id, 2_500, PledgePlaced, PledgeAuthorized))
        assert await milestones(core) == [25]


class TestClose:
    async def test_a_millisecond_before_the_deadline_it_stays_open_and_at_the_deadline_it_closes(
        self, core: House
    ) -> None:
        campaign_id, _ = await launched(core)
        deadline = terms().deadline
        core.clock.frozen_at = deadline.replace(hour=11, minute=59, second=59, microsecond=999_000)
        await core.execute(CloseCampaign(campaign_id))
        assert (await core.said(), await status(core, campaign_id)) == ([], "active")
        core.clock.frozen_at = deadline
        for _ in range(2):
            await core.execute(CloseCampaign(campaign_id))
        assert await core.said() == [CampaignClosed(campaign_id=campaign_id, closed_at=deadline)]
        assert await status(core, campaign_id) == "settling"

    async def test_closing_on_two_replicas_and_cancelling_exclude_each_other(self, core: House) -> None:
        first, second = core.replicas
        ends = set()
        for turn in range(30):
            core.clock.frozen_at = START
            campaign_id, _ = await launched(core)
            core.clock.frozen_at = terms().deadline
            commands = [
                (first, CloseCampaign(campaign_id)),
                (second, CancelCampaign(campaign_id, CREATOR)),
                (second, CloseCampaign(campaign_id)),
            ]
            random.Random(turn).shuffle(commands)
            await asyncio.gather(*(one.execute(command) for one, command in commands), return_exceptions=True)
            [said] = await core.said()
            ends.add((type(said).__name__, await status(core, campaign_id)))
        assert ends == {("CampaignClosed", "settling"), ("CampaignCancelled", "cancelled")}


class TestSettled:
    @pytest.mark.parametrize("outcome", Outcome)
    async def test_the_status_follows_once_however_often_it_is_told(self, core: House, outcome: Outcome) -> None:
        campaign_id, _ = await launched(core)
        core.clock.frozen_at = terms().deadline
        await core.execute(CloseCampaign(campaign_id))
        await core.said()
        for fact in settled(campaign_id, outcome) * 2:
            await core.take_in(fact)
        assert (len(await core.said()), await status(core, campaign_id)) == (1, outcome.value)


async def test_the_page_is_the_same_when_it_is_rebuilt_in_whatever_order(core: House) -> None:
    for minor in (0, 6_000, 12_000):
        campaign_id, _ = await launched(core)
        await core.take_in(*life(campaign_id, minor, PledgePlaced, PledgeAuthorized))
    await core.execute(CancelCampaign(campaign_id, CREATOR))
    live = await core.pool.fetch("SELECT * FROM campaign_page ORDER BY campaign_id")
    assert len(live) == 3
    # A transaction that waited for a lock has a lower id than the one that it waited for; here all of them did.
    backwards = "UPDATE event SET xid = (100 - version)::text::xid8"
    for order in ("SELECT 1", backwards):
        await core.pool.execute(order)
        for projection in core.definition.projections:
            await rebuild(core.pool, core.definition, projection)
        assert await core.pool.fetch("SELECT * FROM campaign_page ORDER BY campaign_id") == live


async def test_the_launch_carries_the_tiers_of_the_draft(core: House) -> None:
    campaign_id, tier_id = await launched(core, limit=7)
    launch = await core.pool.fetchval(
        "SELECT data::text FROM event WHERE stream_id = $1 AND type = $2", campaign_id, CampaignLaunched.type
    )
    [tier] = CampaignLaunched.model_validate_json(launch).tiers
    assert (tier.tier_id, tier.limit) == (tier_id, 7)
