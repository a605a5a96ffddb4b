"""The book closes at the deadline, once, and says what is in it (DOMAIN P9, C11)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from contracts import manifest
from contracts.campaign import CampaignCancelled, FundingModel
from contracts.pledge import PledgeBookClosed
from eventing.group_commit import GroupCommit
from pledge.domain_refusals import DeadlinePassed
from pledge.jobs import PAUSE_SECONDS_MAX, Timers
from tests.integration.house import START, House, names
from tests.integration.pledge.backers import (
    DEADLINE,
    LEASE_SECONDS,
    OFFER_SECONDS,
    Backers,
    authorized,
    captured,
    declined,
    placing,
    tier,
)

MILLISECOND = timedelta(milliseconds=1)


async def closed_book(pledges: House) -> PledgeBookClosed:
    """The one manifest among what was said since the last look."""
    [found] = [event for event in await pledges.said() if isinstance(event, PledgeBookClosed)]
    return found


class TestClosing:
    async def test_not_a_millisecond_early_and_then_at_once(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        pledges.clock.frozen_at = DEADLINE - MILLISECOND
        assert await backers.timers.close_books() == 0.001
        assert (await backers.book(campaign_id))["state"] == "open"
        pledges.pass_time(MILLISECOND)
        await backers.timers.close_books()
        book = await backers.book(campaign_id)
        assert (book["state"], book["closed_at"]) == ("announced", DEADLINE)

    async def test_a_far_deadline_is_asked_for_again_soon(self, pledges: House, backers: Backers) -> None:
        await backers.launch()
        assert await backers.timers.close_books() == PAUSE_SECONDS_MAX

    async def test_one_that_was_missed_closes_late_and_says_when(self, pledges: House, backers: Backers) -> None:
        await backers.launch()
        pledges.clock.frozen_at = DEADLINE + timedelta(hours=3)
        await backers.timers.close_books()
        assert (await closed_book(pledges)).closed_at == DEADLINE + timedelta(hours=3)

    async def test_an_empty_book_has_an_empty_manifest(self, pledges: House, backers: Backers) -> None:
        await backers.launch()
        pledges.clock.frozen_at = DEADLINE
        await backers.timers.close_books()
        closed = await closed_book(pledges)
        assert (closed.count, closed.total.amount, closed.digest) == (0, 0, manifest.digest([]))


class TestManifest:
    async def test_lists_what_was_accepted_and_still_stands(self, pledges: House, backers: Backers) -> None:
        reward = tier(limit=10)
        campaign_id = await backers.launch(reward)
        kept = [
            await backers.authorized(campaign_id, 1000, tier_id=reward.tier_id),
            await backers.authorized(campaign_id, 2500),
        ]
        await backers.cancel(await backers.authorized(campaign_id, 4000))
        await backers.hear(declined(await backers.place(campaign_id, 5000)))
        pledges.clock.frozen_at = DEADLINE
        await backers.timers.close_books()
        closed = await closed_book(pledges)
        lines = [(view.pledge_id, view.amount_minor, "EUR", view.tier_id) for view in kept]
        assert (closed.count, closed.total.amount) == (2, 3500)
        assert closed.digest == manifest.digest(lines)

    async def test_waits_for_the_last_pending_pledge(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        pledges.clock.frozen_at = DEADLINE - MILLISECOND
        view = await backers.place(campaign_id)
        pledges.clock.frozen_at = DEADLINE
        await backers.timers.close_books()
        assert names(await pledges.said()) == ["PledgePlaced"]
        await backers.hear(authorized(view))
        for _ in range(2):
            await backers.timers.close_books()
        assert names(await pledges.said()) == ["PledgeAuthorized", "PledgeBookClosed"]

    async def test_a_lease_that_runs_out_is_a_decision_too(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        pledges.clock.frozen_at = DEADLINE - MILLISECOND
        await backers.place(campaign_id)
        pledges.pass_time(timedelta(seconds=LEASE_SECONDS))
        await backers.timers.close_books()
        await backers.timers.expire_leases()
        await backers.timers.close_books()
        assert (await closed_book(pledges)).count == 0

    async def test_charges_of_keep_it_all_are_in_it(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch(model=FundingModel.KEEP_IT_ALL)
        await backers.hear(captured(await backers.place(campaign_id, 700)))
        pledges.clock.frozen_at = DEADLINE
        await backers.timers.close_books()
        assert (await closed_book(pledges)).total.amount == 700

    async def test_a_cancelled_campaign_has_none(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        await backers.hear(CampaignCancelled(campaign_id=campaign_id, cancelled_at=START))
        pledges.clock.frozen_at = DEADLINE
        await backers.timers.close_books()
        assert await pledges.said() == []


class TestReplicas:
    async def test_pledges_race_the_deadline_and_the_manifest_counts_those_that_were_in(
        self, two_replicas: House
    ) -> None:
        """Two replicas place, decide and close all at once, while the deadline passes."""
        backers = Backers(two_replicas)
        campaign_id = await backers.launch()
        first, second = two_replicas.replicas
        two_replicas.clock.frozen_at = DEADLINE - MILLISECOND
        timers = [Timers(two_replicas.pool, commit, two_replicas.clock, OFFER_SECONDS) for commit in (first, second)]

        answers: list[Any] = []

        async def place_until_refused(replica: GroupCommit) -> None:
            with suppress(DeadlinePassed):
                while True:
                    answers.append(await replica.execute(placing(campaign_id, 1000 + len(answers))))
                    if len(answers) == 40:
                        two_replicas.clock.frozen_at = DEADLINE
                        await asyncio.gather(*(each.close_books() for each in timers))

        await asyncio.gather(*(place_until_refused(replica) for replica in (first, second) for _ in range(6)))
        assert len(answers) >= 40
        for answer in answers:
            view = await backers.view(answer["id"])
            await backers.hear(authorized(view))
        await asyncio.gather(*(each.close_books() for each in timers))
        closed = await closed_book(two_replicas)
        assert closed.count == len(answers)
        assert closed.total.amount == sum(answer["amount"]["amount"] for answer in answers)
