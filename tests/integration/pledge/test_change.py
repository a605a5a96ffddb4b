"""Changing a pledge on a real database: slots, payment's answers, leases, races of replicas (DOMAIN P2, P6, P8, M4)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest

from contracts import manifest
from contracts.campaign import CampaignCancelled, FundingModel, RewardTier
from contracts.ids import CampaignId, PersonId, PledgeId
from contracts.pledge import PledgeBookClosed, PledgeChanged, PledgeChangeDropped
from eventing.rebuild import rebuild
from pledge.domain_decisions import CancelPledge
from pledge.domain_refusals import ChangeUndecided, CutoffPassed, DeadlinePassed, PledgeChangedMeanwhile, SoldOut
from pledge.projections import PLEDGES_PROJECTION
from pledge.tables import PledgeView
from tests.integration.house import House, names
from tests.integration.pledge.backers import (
    CUTOFF,
    DEADLINE,
    LEASE_SECONDS,
    Backers,
    authorized,
    captured,
    change_authorized,
    change_declined,
    changing,
    euros,
    placing,
    tier,
    voided,
)
from tests.integration.pledge.test_life import assert_books_add_up

MILLISECOND = timedelta(milliseconds=1)
LEASE = timedelta(seconds=LEASE_SECONDS)


class TestAmount:
    async def test_waits_for_the_hold_and_then_counts(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        view = await backers.authorized(campaign_id, 2500)
        await pledges.said()
        view = await backers.change(view, amount=euros(4000))
        assert (view.status, view.amount_minor, view.change_amount_minor) == ("authorized", 2500, 4000)
        assert (await backers.book(campaign_id))["undecided"] == 1
        await backers.hear(change_authorized(view), change_authorized(view))
        view = await backers.view(view.pledge_id)
        assert (view.amount_minor, view.change_id, view.change_until) == (4000, None, None)
        book = await backers.book(campaign_id)
        assert (book["undecided"], book["live"], book["live_minor"]) == (0, 1, 4000)
        assert names(await pledges.said()) == ["PledgeChangeRequested", "PledgeChanged"]
        await assert_books_add_up(pledges, backers, campaign_id)

    async def test_declined_leaves_the_pledge_as_it_was_and_says_why(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        view = await backers.authorized(campaign_id, 2500)
        asked = await backers.change(view, amount=euros(4000))
        await backers.hear(change_declined(asked))
        after = await backers.view(view.pledge_id)
        assert (after.status, after.amount_minor, after.tier_id) == ("authorized", 2500, None)
        assert (after.change_reason, after.change_until, after.reason) == ("insufficient_funds", None, None)
        assert await backers.change(after, amount=euros(5000)) != after  # another try is free

    async def test_of_a_version_that_is_gone_is_refused(self, pledges: House, backers: Backers) -> None:
        view = await backers.authorized(await backers.launch())
        with pytest.raises(PledgeChangedMeanwhile):
            await backers.change(view, amount=euros(4000), versions=frozenset((str(view.version - 1),)))
        await backers.change(view, amount=euros(4000), versions=frozenset((str(view.version),)))


class TestTier:
    async def test_switch_frees_one_slot_and_claims_the_other(self, pledges: House, backers: Backers) -> None:
        red, blue = tier(limit=1), tier(limit=1)
        campaign_id = await backers.launch(red, blue)
        view = await backers.authorized(campaign_id, tier_id=red.tier_id)
        view = await backers.change(view, tier_id=blue.tier_id)
        assert view.tier_id == blue.tier_id
        assert (await backers.claimed(red), await backers.claimed(blue)) == (0, 1)
        await backers.place(campaign_id, tier_id=red.tier_id)  # the freed slot is there for others

    async def test_to_a_sold_out_one_moves_neither(self, pledges: House, backers: Backers) -> None:
        red, blue = tier(limit=1), tier(limit=1)
        campaign_id = await backers.launch(red, blue)
        await backers.place(campaign_id, tier_id=blue.tier_id)
        view = await backers.authorized(campaign_id, tier_id=red.tier_id)
        with pytest.raises(SoldOut):
            await backers.change(view, tier_id=blue.tier_id)
        assert (await backers.claimed(red), await backers.claimed(blue)) == (1, 1)

    async def test_within_a_pool_that_is_sold_out_claims_nothing_new(self, pledges: House, backers: Backers) -> None:
        red = tier(limit=1)
        blue = tier(minimum=3000, limit=1, pool_id=red.pool_id)
        view = await backers.authorized(await backers.launch(red, blue), 2500, tier_id=red.tier_id)
        view = await backers.change(view, tier_id=blue.tier_id, amount=euros(3000))
        assert (view.change_tier_id, await backers.claimed(red)) == (blue.tier_id, 1)
        await backers.hear(change_authorized(view))
        assert ((await backers.view(view.pledge_id)).tier_id, await backers.claimed(red)) == (blue.tier_id, 1)

    async def test_with_another_amount_has_both_slots_until_it_is_decided(
        self, pledges: House, backers: Backers
    ) -> None:
        red, blue = tier(limit=2), tier(limit=2)
        campaign_id = await backers.launch(red, blue)
        done, dropped = [await backers.authorized(campaign_id, tier_id=red.tier_id) for _ in range(2)]
        done, dropped = [await backers.change(v, tier_id=blue.tier_id, amount=euros(4000)) for v in (done, dropped)]
        assert (await backers.claimed(red), await backers.claimed(blue)) == (2, 2)
        await backers.hear(change_authorized(done), change_declined(dropped))
        assert (await backers.claimed(red), await backers.claimed(blue)) == (1, 1)

    @pytest.mark.parametrize("end", ["cancel", "lease", "campaign", "payment"])
    async def test_every_end_of_an_undecided_change_frees_what_it_had(
        self, pledges: House, backers: Backers, end: str
    ) -> None:
        red, blue = tier(limit=1), tier(limit=1)
        campaign_id = await backers.launch(red, blue)
        view = await backers.authorized(campaign_id, tier_id=red.tier_id)
        view = await backers.change(view, tier_id=blue.tier_id, amount=euros(4000))
        await pledges.said()
        await _end(pledges, backers, view, end)
        ended = end != "lease"
        assert (await backers.claimed(red), await backers.claimed(blue)) == (0 if ended else 1, 0)
        assert names(await pledges.said())[0] == "PledgeChangeDropped"
        await backers.hear(change_authorized(view))  # comes too late: payment releases it on what it has heard
        assert await pledges.said() == []
        await assert_books_add_up(pledges, backers, campaign_id)

    async def test_in_keep_it_all_moves_no_money(self, pledges: House, backers: Backers) -> None:
        gold = tier(limit=1)
        campaign_id = await backers.launch(gold, model=FundingModel.KEEP_IT_ALL)
        view = await backers.place(campaign_id)
        await backers.hear(captured(view))
        view = await backers.change(view, tier_id=gold.tier_id)
        assert (view.status, view.tier_id) == ("captured", gold.tier_id)


async def _end(pledges: House, backers: Backers, view: PledgeView, how: str) -> None:
    match how:
        case "cancel":
            await backers.cancel(view)
        case "lease":
            pledges.pass_time(LEASE)
            await backers.timers.expire_leases()
        case "campaign":
            cancelled = CampaignCancelled(
                campaign_id=CampaignId(view.campaign_id), cancelled_at=pledges.clock.frozen_at
            )
            await backers.hear(cancelled)
            await backers.timers.cancel_with_campaigns()
        case _:
            await backers.hear(voided(view))


class TestTime:
    async def test_lowering_a_millisecond_before_the_cutoff_is_in_and_at_it_is_out(
        self, pledges: House, backers: Backers
    ) -> None:
        campaign_id = await backers.launch()
        views = [await backers.authorized(campaign_id, 2500) for _ in range(2)]
        pledges.clock.frozen_at = CUTOFF - MILLISECOND
        await backers.change(views[0], amount=euros(2400))
        pledges.clock.frozen_at = CUTOFF
        with pytest.raises(CutoffPassed):
            await backers.change(views[1], amount=euros(2400))
        await backers.change(views[1], amount=euros(2600))

    async def test_raising_a_millisecond_before_the_deadline_is_in_and_at_it_is_out(
        self, pledges: House, backers: Backers
    ) -> None:
        campaign_id = await backers.launch()
        views = [await backers.authorized(campaign_id, 2500) for _ in range(2)]
        pledges.clock.frozen_at = DEADLINE - MILLISECOND
        await backers.change(views[0], amount=euros(4000))
        pledges.clock.frozen_at = DEADLINE
        with pytest.raises(DeadlinePassed):
            await backers.change(views[1], amount=euros(4000))

    @pytest.mark.parametrize(("answer", "sum_minor"), [(change_authorized, 6500), (change_declined, 5000)])
    async def test_the_manifest_waits_for_an_undecided_change_and_lists_what_became_of_it(
        self, pledges: House, backers: Backers, answer: Any, sum_minor: int
    ) -> None:
        campaign_id = await backers.launch()
        views = [await backers.authorized(campaign_id, 2500) for _ in range(2)]
        view = await backers.change(views[0], amount=euros(4000))
        pledges.clock.frozen_at = DEADLINE
        await backers.timers.close_books()
        assert not [event for event in await pledges.said() if isinstance(event, PledgeBookClosed)]
        await backers.hear(answer(view))
        await backers.timers.close_books()
        [*_, closed] = await pledges.said()
        assert isinstance(closed, PledgeBookClosed)
        live = [await backers.view(view.pledge_id) for view in views]
        lines = manifest.digest((v.pledge_id, v.amount_minor, v.currency, v.tier_id) for v in live)
        assert (closed.count, closed.total, closed.digest) == (2, euros(sum_minor), lines)


class TestRaces:
    async def test_two_changes_at_once_one_is_undecided_and_the_other_refused(self, two_replicas: House) -> None:
        backers = Backers(two_replicas)
        campaign_id = await backers.launch()
        for _ in range(10):
            view = await backers.authorized(campaign_id)
            rivals = [changing(view, amount=euros(minor)) for minor in (3000, 4000)]
            outcomes = await asyncio.gather(
                *(r.execute(c) for r, c in zip(two_replicas.replicas, rivals, strict=True)), return_exceptions=True
            )
            assert sorted(isinstance(outcome, ChangeUndecided) for outcome in outcomes) == [False, True]

    @pytest.mark.parametrize("seed", range(3))
    async def test_changes_cancellations_and_answers_at_once_end_in_one_legal_state(
        self, two_replicas: House, seed: int
    ) -> None:
        """Each pledge is changed, answered, cancelled and run out of time in any interleaving of two replicas."""
        backers, draw = Backers(two_replicas), random.Random(seed)
        red, blue = tier(limit=40), tier(limit=40)
        campaign_id = await backers.launch(red, blue)
        views = [await backers.authorized(campaign_id, tier_id=red.tier_id) for _ in range(20)]
        views = [await backers.change(view, tier_id=blue.tier_id, amount=euros(4000)) for view in views]
        two_replicas.pass_time(LEASE)
        jobs: list[Awaitable[object]] = [backers.timers.expire_leases()]
        for view in views:
            told = backers.stories.tell(draw.choice((change_authorized, change_declined))(view))
            jobs.append(draw.choice(two_replicas.replicas).take_in(told))
            if draw.random() < 0.5:
                command = CancelPledge(PledgeId(view.pledge_id), PersonId(view.backer_id))
                jobs.append(draw.choice(two_replicas.replicas).execute(command))
        draw.shuffle(jobs)
        await asyncio.gather(*jobs)
        await _assert_slots(two_replicas, backers, red, blue)
        said = await two_replicas.said()
        for view in views:
            ends = [
                e for e in said if e.subject == view.pledge_id and isinstance(e, PledgeChanged | PledgeChangeDropped)
            ]
            assert len(ends) == 1, "a change is decided once"
        assert await two_replicas.parked() == []
        await assert_books_add_up(two_replicas, backers, campaign_id)

    async def test_two_replicas_switch_tiers_without_a_slot_too_many(self, two_replicas: House) -> None:
        backers = Backers(two_replicas)
        red, blue = tier(limit=20), tier(limit=10)
        campaign_id = await backers.launch(red, blue)
        views = [await backers.authorized(campaign_id, tier_id=red.tier_id) for _ in range(20)]
        wishes = [changing(view, tier_id=blue.tier_id) for view in views]
        rivals = [placing(campaign_id, tier_id=red.tier_id) for _ in range(20)]
        outcomes = await asyncio.gather(
            *(two_replicas.replicas[n % 2].execute(command) for n, command in enumerate([*wishes, *rivals])),
            return_exceptions=True,
        )
        assert {type(o) for o in outcomes if isinstance(o, BaseException)} <= {SoldOut}
        assert sum(isinstance(outcome, dict) for outcome in outcomes[:20]) == 10
        await _assert_slots(two_replicas, backers, red, blue)
        assert await backers.claimed(blue) == 10


async def _assert_slots(house: House, backers: Backers, *tiers: RewardTier) -> None:
    """Every pool has as many slots claimed as live pledges of its tier."""
    for one in tiers:
        live = await house.pool.fetchval(
            "SELECT count(*) FROM pledge_view WHERE tier_id = $1 AND status IN ('pending', 'authorized')", one.tier_id
        )
        assert await backers.claimed(one) == live


@pytest.mark.parametrize("seed", range(3))
async def test_pledges_rebuilt_equal_those_folded_live(pledges: House, backers: Backers, seed: int) -> None:
    draw = random.Random(seed)
    gold = tier(limit=50)
    campaign_id = await backers.launch(gold)
    for _ in range(10):
        view = await backers.place(campaign_id)
        told = backers.stories.tell(authorized(view))
        for envelope in (*told, *told):
            await pledges.take_in(envelope)
        for _ in range(draw.randrange(3)):
            view = await backers.change(view, amount=euros(draw.randrange(2500, 9000)), tier_id=gold.tier_id)
            if view.change_until is None:
                break
            told = backers.stories.tell(draw.choice((change_authorized, change_declined))(view))
            for envelope in (*told, *told):
                await pledges.take_in(envelope)
            view = await backers.view(view.pledge_id)
    live = await _rows(pledges)
    await rebuild(pledges.pool, pledges.definition, PLEDGES_PROJECTION)
    assert await _rows(pledges) == live


async def _rows(pledges: House) -> list[Any]:
    rows = await pledges.pool.fetch("SELECT * FROM pledge_view ORDER BY pledge_id")
    return [*map(dict, rows), *map(dict, await pledges.pool.fetch("SELECT * FROM pledge_buckets"))]
