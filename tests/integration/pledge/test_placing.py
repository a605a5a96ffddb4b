"""Placing a pledge on a real database: the slot, the one live pledge, two replicas (DOMAIN P1, P2, P4, P10)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from contracts.campaign import RewardTierAdded, TierLimitRaised
from contracts.ids import CampaignId, PoolId, new_id
from contracts.money import Money
from contracts.pledge import PledgePlaced
from eventing.idempotency import Idempotency, IdempotencyMismatch
from eventing.refusal import Refusal
from pledge.domain_refusals import (
    AlreadyPledged,
    BelowMinimum,
    CampaignUnknown,
    DeadlinePassed,
    SoldOut,
    UnknownTier,
    WrongCurrency,
)
from tests.integration.house import House, names
from tests.integration.pledge.backers import DEADLINE, Backers, declined, launched, placing, tier

MILLISECOND = timedelta(milliseconds=1)


class TestPlacing:
    async def test_is_recorded_with_its_slot_and_its_lease(self, pledges: House, backers: Backers) -> None:
        limited = tier(limit=3)
        campaign_id = await backers.launch(limited)
        command = placing(campaign_id, 2500, tier_id=limited.tier_id)
        answer = await pledges.execute(command)
        [placed] = await pledges.said()
        assert isinstance(placed, PledgePlaced)
        assert placed.lease_until == placed.placed_at + timedelta(seconds=900)
        assert (answer["id"], answer["status"], answer["tier_id"]) == (
            str(command.pledge_id),
            "pending",
            str(limited.tier_id),
        )
        assert await backers.claimed(limited) == 1
        book = await backers.book(campaign_id)
        assert (book["undecided"], book["live"], book["live_minor"]) == (1, 1, 2500)

    async def test_each_refusal_leaves_nothing_behind(self, pledges: House, backers: Backers) -> None:
        limited = tier(minimum=1000, limit=1)
        campaign_id = await backers.launch(limited)
        first = await backers.place(campaign_id, tier_id=limited.tier_id)
        await pledges.said()
        refused = {
            CampaignUnknown: placing(new_id()),
            WrongCurrency: placing(campaign_id, amount=Money(amount=2500, currency="USD")),
            UnknownTier: placing(campaign_id, tier_id=new_id()),
            BelowMinimum: placing(campaign_id, 999, tier_id=limited.tier_id),
            SoldOut: placing(campaign_id, tier_id=limited.tier_id),
            AlreadyPledged: placing(campaign_id, backer_id=first.backer_id),
        }
        before = await backers.book(campaign_id)
        outcomes = await asyncio.gather(*map(pledges.execute, refused.values()), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == list(refused)
        assert await pledges.said() == []
        assert await backers.book(campaign_id) == before
        assert await backers.claimed(limited) == 1

    async def test_a_tier_of_another_campaign_is_unknown(self, pledges: House, backers: Backers) -> None:
        other = tier()
        await backers.launch(other)
        campaign_id = await backers.launch()
        with pytest.raises(UnknownTier):
            await pledges.execute(placing(campaign_id, tier_id=other.tier_id))

    async def test_the_second_pledge_of_a_backer_is_shown_the_first(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        first = await backers.place(campaign_id)
        with pytest.raises(AlreadyPledged) as refused:
            await pledges.execute(placing(campaign_id, backer_id=first.backer_id))
        assert refused.value.facts["pledge_id"] == str(first.pledge_id)
        await backers.place(await backers.launch(), backer_id=first.backer_id)  # another campaign is fine

    async def test_after_a_decline_the_backer_may_pledge_again_and_gets_the_slot(
        self, pledges: House, backers: Backers
    ) -> None:
        limited = tier(limit=1)
        campaign_id = await backers.launch(limited)
        first = await backers.place(campaign_id, tier_id=limited.tier_id)
        await backers.hear(declined(first))
        again = await backers.place(campaign_id, tier_id=limited.tier_id, backer_id=first.backer_id)
        assert (await backers.status(first), again.status) == ("declined", "pending")
        assert await backers.claimed(limited) == 1


class TestDeadline:
    async def test_a_millisecond_before_is_in_and_at_it_is_out(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        pledges.clock.frozen_at = DEADLINE - MILLISECOND
        await backers.place(campaign_id)
        for late in (DEADLINE, DEADLINE + MILLISECOND):
            pledges.clock.frozen_at = late
            with pytest.raises(DeadlinePassed) as refused:
                await pledges.execute(placing(campaign_id))
            assert refused.value.facts["deadline"] == "2027-03-31T12:00:00Z"

    async def test_a_launch_heard_of_after_the_deadline_takes_nothing(self, pledges: House, backers: Backers) -> None:
        pledges.clock.frozen_at = DEADLINE
        campaign_id = await backers.launch()
        with pytest.raises(DeadlinePassed):
            await pledges.execute(placing(campaign_id))


class TestIdempotency:
    async def test_the_same_key_gives_the_first_answer_again(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        command = placing(campaign_id)
        mine = Idempotency(command.backer_id, "k", "f")
        first = await pledges.commit.execute(command, idempotency=mine)
        again = placing(campaign_id, backer_id=command.backer_id)
        assert await pledges.commit.execute(again, idempotency=mine) == first
        assert names(await pledges.said()) == ["PledgePlaced"]

    async def test_another_body_under_the_same_key_is_refused(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        command = placing(campaign_id)
        await pledges.commit.execute(command, idempotency=Idempotency(command.backer_id, "k", "f"))
        with pytest.raises(IdempotencyMismatch):
            await pledges.commit.execute(command, idempotency=Idempotency(command.backer_id, "k", "other"))

    async def test_a_refusal_is_decided_anew(self, pledges: House, backers: Backers) -> None:
        campaign = launched()
        command = placing(campaign.campaign_id)
        mine = Idempotency(command.backer_id, "k", "f")
        with pytest.raises(CampaignUnknown):
            await pledges.commit.execute(command, idempotency=mine)
        await backers.hear(campaign)
        assert (await pledges.commit.execute(command, idempotency=mine))["status"] == "pending"


class TestSlots:
    async def test_two_replicas_never_oversell_a_pool_that_two_tiers_share(self, two_replicas: House) -> None:
        backers = Backers(two_replicas)
        red = tier(limit=50)
        blue = tier(limit=50, pool_id=red.pool_id)
        campaign_id = await backers.launch(red, blue)
        commands = [placing(campaign_id, tier_id=(red, blue)[i % 2].tier_id) for i in range(400)]
        outcomes = await asyncio.gather(
            *(two_replicas.replicas[i % 2].execute(command) for i, command in enumerate(commands)),
            return_exceptions=True,
        )
        refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert {type(outcome) for outcome in refused} == {SoldOut}
        assert len(refused) == 350
        assert await backers.claimed(red) == 50
        assert len(await two_replicas.said()) == 50

    async def test_two_replicas_take_one_pledge_of_a_backer(self, two_replicas: House) -> None:
        backers = Backers(two_replicas)
        campaign_id = await backers.launch()
        for _ in range(10):
            command = placing(campaign_id)
            rivals = [command, placing(campaign_id, backer_id=command.backer_id)]
            outcomes = await asyncio.gather(
                *(r.execute(c) for r, c in zip(two_replicas.replicas, rivals, strict=True)), return_exceptions=True
            )
            assert sorted(isinstance(outcome, AlreadyPledged) for outcome in outcomes) == [False, True]

    async def test_a_full_pool_and_its_ends_in_one_group(self, pledges: House, backers: Backers) -> None:
        limited = tier(limit=20)
        campaign_id = await backers.launch(limited)
        placed = [await backers.place(campaign_id, tier_id=limited.tier_id) for _ in range(20)]
        outcomes = await asyncio.gather(
            backers.hear(*map(declined, placed)),
            *(pledges.execute(placing(campaign_id, tier_id=limited.tier_id)) for _ in range(20)),
            return_exceptions=True,
        )
        taken = sum(isinstance(outcome, dict) for outcome in outcomes)
        assert all(outcome is None or isinstance(outcome, dict | Refusal) for outcome in outcomes)
        assert await backers.claimed(limited) == taken


class TestHearingOfACampaign:
    async def test_a_tier_and_a_higher_limit_may_come_in_any_order(self, pledges: House, backers: Backers) -> None:
        limited = tier(limit=1)
        assert limited.pool_id is not None
        campaign = launched()
        added = RewardTierAdded(campaign_id=campaign.campaign_id, tier=limited)
        raised = _raised(campaign.campaign_id, limited.pool_id, 2)
        told = backers.stories.tell(campaign, added, raised)
        for envelope in (told[2], told[1], told[2], told[0], told[1], told[0]):
            await pledges.take_in(envelope)
        for _ in range(2):
            await backers.place(campaign.campaign_id, tier_id=limited.tier_id)
        with pytest.raises(SoldOut):
            await pledges.execute(placing(campaign.campaign_id, tier_id=limited.tier_id))

    async def test_a_limit_is_never_lowered_by_an_older_one(self, pledges: House, backers: Backers) -> None:
        limited = tier(limit=1)
        campaign_id = await backers.launch(limited)
        assert limited.pool_id is not None
        told = backers.stories.tell(*(_raised(campaign_id, limited.pool_id, n) for n in (5, 9)))
        await pledges.take_in(told[1])
        await pledges.take_in(told[0])
        assert await pledges.pool.fetchval("SELECT slots FROM pool") == 9


def _raised(campaign_id: UUID, pool_id: UUID, limit: int) -> TierLimitRaised:
    return TierLimitRaised(campaign_id=CampaignId(campaign_id), pool_id=PoolId(pool_id), limit=limit)
