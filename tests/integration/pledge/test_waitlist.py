"""The waitlist on a real database: order, offers that lapse, one offer each, two replicas (DOMAIN P3)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.campaign import CampaignCancelled, RewardTier, TierLimitRaised
from contracts.ids import CampaignId, OfferId, PersonId, new_id
from contracts.pledge import SlotOffered
from pledge import queries
from pledge.domain_refusals import AlreadyPledged, NotSoldOut, SoldOut
from pledge.domain_waitlist import JoinWaitlist, LeaveWaitlist, SlotOfferEnded
from pledge.jobs import Timers
from tests.integration.house import START, House
from tests.integration.pledge.backers import (
    DEADLINE,
    OFFER_SECONDS,
    Backers,
    change_authorized,
    change_declined,
    declined,
    euros,
    placing,
    tier,
)

OFFER = timedelta(seconds=OFFER_SECONDS)


def joining(campaign_id: CampaignId, of: RewardTier, backer_id: UUID | None = None) -> JoinWaitlist:
    return JoinWaitlist(OfferId(new_id()), campaign_id, of.tier_id, PersonId(backer_id or new_id()))


async def offered(house: House) -> list[UUID]:
    """Who was offered a slot since this was last asked, in order."""
    return [event.backer_id for event in await house.said() if isinstance(event, SlotOffered)]


async def full(backers: Backers, of: RewardTier) -> tuple[CampaignId, list[Any]]:
    """A campaign whose one tier is sold out, and the pledges that have its slots."""
    campaign_id = await backers.launch(of)
    assert of.limit is not None
    return campaign_id, [await backers.authorized(campaign_id, tier_id=of.tier_id) for _ in range(of.limit)]


class TestOffers:
    async def test_go_to_the_first_who_waits_and_keep_the_slot_for_them(self, pledges: House, backers: Backers) -> None:
        gold = tier(limit=1)
        campaign_id, [holder] = await full(backers, gold)
        first, second = joining(campaign_id, gold), joining(campaign_id, gold)
        for command in (first, second, first):
            await pledges.execute(command)
        await backers.cancel(holder)
        with pytest.raises(SoldOut):  # the free slot is already theirs who wait
            await backers.place(campaign_id, tier_id=gold.tier_id)
        await backers.timers.offer_slots()
        await backers.timers.offer_slots()
        [event] = [event for event in await pledges.said() if isinstance(event, SlotOffered)]
        assert (event.backer_id, event.tier_id, event.offered_until) == (first.backer_id, gold.tier_id, START + OFFER)
        for backer_id in (new_id(), second.backer_id):
            with pytest.raises(SoldOut):
                await backers.place(campaign_id, tier_id=gold.tier_id, backer_id=backer_id)
        await backers.place(campaign_id, tier_id=gold.tier_id, backer_id=first.backer_id)
        assert await backers.claimed(gold) == 1
        assert await _list(pledges) == [(second.backer_id, None)]

    async def test_lapse_to_the_next(self, pledges: House, backers: Backers) -> None:
        gold = tier(limit=1)
        campaign_id, [holder] = await full(backers, gold)
        waiting = [joining(campaign_id, gold) for _ in range(3)]
        for command in waiting:
            await pledges.execute(command)
        await backers.cancel(holder)
        for expected in waiting:
            await backers.timers.offer_slots()
            assert await offered(pledges) == [expected.backer_id]
            pledges.pass_time(OFFER)
        await backers.timers.offer_slots()
        assert [type(event) for event in await pledges.said()] == [SlotOfferEnded]
        await backers.place(campaign_id, tier_id=gold.tier_id)  # nobody waits any more: it is anybody's

    async def test_given_back_go_to_the_next(self, pledges: House, backers: Backers) -> None:
        gold = tier(limit=1)
        campaign_id, [holder] = await full(backers, gold)
        first, second = joining(campaign_id, gold), joining(campaign_id, gold)
        for command in (first, second):
            await pledges.execute(command)
        await backers.cancel(holder)
        await backers.timers.offer_slots()
        leave = LeaveWaitlist(campaign_id, gold.tier_id, first.backer_id)
        for _ in range(2):
            await pledges.execute(leave)
        await backers.timers.offer_slots()
        assert await offered(pledges) == [first.backer_id, second.backer_id]

    async def test_come_from_a_raised_limit_as_well(self, pledges: House, backers: Backers) -> None:
        gold = tier(limit=1)
        campaign_id, _ = await full(backers, gold)
        waiting = [joining(campaign_id, gold) for _ in range(3)]
        for command in waiting:
            await pledges.execute(command)
        assert gold.pool_id is not None
        await backers.hear(TierLimitRaised(campaign_id=campaign_id, pool_id=gold.pool_id, limit=3))
        await backers.timers.offer_slots()
        assert await offered(pledges) == [command.backer_id for command in waiting[:2]]

    async def test_are_good_for_a_change_as_well(self, pledges: House, backers: Backers) -> None:
        gold, plain = tier(limit=1), tier()
        campaign_id = await backers.launch(gold, plain)
        holder = await backers.authorized(campaign_id, tier_id=gold.tier_id)
        mine = await backers.authorized(campaign_id, tier_id=plain.tier_id)
        await pledges.execute(joining(campaign_id, gold, mine.backer_id))
        await backers.cancel(holder)
        await backers.timers.offer_slots()
        mine = await backers.change(mine, tier_id=gold.tier_id, amount=euros(9000))
        assert (await backers.claimed(gold), await _list(pledges)) == (1, [])
        await backers.hear(change_authorized(mine))
        assert await backers.claimed(gold) == 1

    async def test_lost_with_a_declined_change_go_to_the_next(self, pledges: House, backers: Backers) -> None:
        gold = tier(limit=1)
        campaign_id, [holder] = await full(backers, gold)
        mine, next_one = await backers.authorized(campaign_id), joining(campaign_id, gold)
        await pledges.execute(joining(campaign_id, gold, mine.backer_id))
        await pledges.execute(next_one)
        await backers.cancel(holder)
        await backers.timers.offer_slots()
        mine = await backers.change(mine, tier_id=gold.tier_id, amount=euros(9000))
        await backers.hear(change_declined(mine))
        await backers.timers.offer_slots()
        assert await offered(pledges) == [mine.backer_id, next_one.backer_id]

    @pytest.mark.parametrize("end", ["deadline", "cancelled"])
    async def test_are_made_only_while_the_campaign_takes_pledges(
        self, pledges: House, backers: Backers, end: str
    ) -> None:
        gold = tier(limit=1)
        campaign_id, [holder] = await full(backers, gold)
        await pledges.execute(joining(campaign_id, gold))
        await backers.hear(declined(holder))
        await backers.cancel(holder)
        if end == "deadline":
            pledges.clock.frozen_at = DEADLINE
        else:
            await backers.hear(CampaignCancelled(campaign_id=campaign_id, cancelled_at=START))
        await backers.timers.offer_slots()
        assert await offered(pledges) == []


class TestJoining:
    async def test_is_for_tiers_that_are_sold_out_and_people_who_have_none(
        self, pledges: House, backers: Backers
    ) -> None:
        gold, plain = tier(limit=2), tier()
        campaign_id = await backers.launch(gold, plain)
        holder = await backers.place(campaign_id, tier_id=gold.tier_id)
        for one in (gold, plain):
            with pytest.raises(NotSoldOut):
                await pledges.execute(joining(campaign_id, one))
        await backers.place(campaign_id, tier_id=gold.tier_id)
        with pytest.raises(AlreadyPledged):
            await pledges.execute(joining(campaign_id, gold, holder.backer_id))

    async def test_tells_where_one_stands(self, pledges: House, backers: Backers) -> None:
        gold = tier(limit=1)
        campaign_id, _ = await full(backers, gold)
        waiting = [joining(campaign_id, gold) for _ in range(3)]
        for command in waiting:
            await pledges.execute(command)
        ahead = []
        for command in waiting:
            [(entry, before)] = await queries.waiting_of(pledges.pool, command.backer_id, 10)
            assert entry.tier_id == gold.tier_id
            ahead.append(before)
        assert ahead == [0, 1, 2]


@pytest.mark.parametrize("seed", range(2))
async def test_two_replicas_offer_every_slot_once_and_in_the_order_of_the_list(two_replicas: House, seed: int) -> None:
    """Joins, ends, placements and the timers of both replicas at the same time: fair, and never one too many."""
    backers, draw = Backers(two_replicas), random.Random(seed)
    red = tier(limit=20)
    blue = tier(limit=20, pool_id=red.pool_id)
    campaign_id = await backers.launch(red, blue)
    holders = [await backers.authorized(campaign_id, tier_id=draw.choice((red, blue)).tier_id) for _ in range(20)]
    timers = [Timers(two_replicas.pool, commit, two_replicas.clock, OFFER_SECONDS) for commit in two_replicas.replicas]
    jobs = [
        *(
            draw.choice(two_replicas.replicas).execute(joining(campaign_id, draw.choice((red, blue))))
            for _ in range(40)
        ),
        *(draw.choice(two_replicas.replicas).execute(placing(campaign_id, tier_id=red.tier_id)) for _ in range(20)),
        *(backers.cancel(view) for view in holders[:12]),
    ]
    draw.shuffle(jobs)
    outcomes = await asyncio.gather(*jobs, *(timer.offer_slots() for timer in timers * 3), return_exceptions=True)
    assert {type(o) for o in outcomes if isinstance(o, BaseException)} <= {SoldOut, NotSoldOut}
    await asyncio.gather(*(timer.offer_slots() for timer in timers))
    pool = await two_replicas.pool.fetchrow("SELECT * FROM pool")
    assert pool is not None
    assert pool["claimed"] + pool["offered"] == 20 or pool["waiting"] == 0
    told = await offered(two_replicas)
    assert set(Counter(told).values()) <= {1}
    numbers = await two_replicas.pool.fetch("SELECT number, offered_until FROM waitlist ORDER BY number")
    has_offer = [row["offered_until"] is not None for row in numbers]
    assert has_offer == sorted(has_offer, reverse=True), "those who came first were offered first"
    assert sum(has_offer) == pool["offered"] == len(told)


async def _list(house: House) -> list[tuple[UUID, Any]]:
    rows = await house.pool.fetch("SELECT backer_id, offered_until FROM waitlist ORDER BY number")
    return [(row["backer_id"], row["offered_until"]) for row in rows]
