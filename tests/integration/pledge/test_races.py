"""Two things that happen to a pledge at the same time, on two replicas: one legal end, and all books agree (P2, P8)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from contracts.campaign import CampaignCancelled
from contracts.ids import CampaignId, PersonId, PledgeId
from contracts.pledge import PledgeBookClosed
from eventing.group_commit import GroupCommit
from pledge.domain_decisions import CancelPledge
from pledge.handlers import AnnounceBook, CloseBook, ExpireLease
from pledge.tables import PledgeView
from tests.integration.house import START, House
from tests.integration.pledge.backers import DEADLINE, LEASE_SECONDS, Backers, authorized, declined
from tests.integration.pledge.test_life import assert_books_add_up

PLEDGES = 15
LEASE = timedelta(seconds=LEASE_SECONDS)
Happening = Callable[[GroupCommit, Backers, PledgeView], Awaitable[object]]


async def cancel(replica: GroupCommit, _: Backers, view: PledgeView) -> object:
    return await replica.execute(CancelPledge(PledgeId(view.pledge_id), PersonId(view.backer_id)))


async def authorize(replica: GroupCommit, backers: Backers, view: PledgeView) -> None:
    await replica.take_in(backers.stories.tell(authorized(view)))


async def decline(replica: GroupCommit, backers: Backers, view: PledgeView) -> None:
    await replica.take_in(backers.stories.tell(declined(view)))


async def expire(replica: GroupCommit, _: Backers, view: PledgeView) -> object:
    return await replica.execute(ExpireLease(view.pledge_id, view.campaign_id, view.backer_id))


async def both(house: House, draw: random.Random, jobs: list[Callable[[GroupCommit], Awaitable[object]]]) -> None:
    """All of them at once, each on a replica and at a place in the queue drawn by chance."""
    draw.shuffle(jobs)
    await asyncio.gather(*(job(draw.choice(house.replicas)) for job in jobs))


def about(happening: Happening, backers: Backers, view: PledgeView) -> Callable[[GroupCommit], Awaitable[object]]:
    return lambda replica: happening(replica, backers, view)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("happenings", "ends"),
    [
        ((cancel, authorize), {"cancelled"}),
        ((cancel, decline), {"cancelled", "declined"}),
        ((expire, authorize), {"declined", "authorized"}),
        ((expire, cancel), {"cancelled", "declined"}),
        ((expire, authorize, cancel), {"cancelled", "declined"}),
    ],
    ids=lambda value: "-".join(one.__name__ for one in value) if isinstance(value, tuple) else "",
)
async def test_each_pledge_has_one_end_whichever_came_first(
    two_replicas: House, happenings: tuple[Happening, ...], ends: set[str], seed: int
) -> None:
    backers, draw = Backers(two_replicas), random.Random(seed)
    campaign_id = await backers.launch()
    views = [await backers.place(campaign_id) for _ in range(PLEDGES)]
    two_replicas.pass_time(LEASE)

    async def quiet(job: Awaitable[object]) -> None:
        """A cancellation that finds the pledge ended is refused; nothing else may be."""
        results = await asyncio.gather(job, return_exceptions=True)
        refusals = {type(result).__name__ for result in results if isinstance(result, BaseException)}
        assert refusals <= {"PledgeEnded"}

    jobs = [about(happening, backers, view) for view in views for happening in happenings]
    draw.shuffle(jobs)
    await asyncio.gather(*(quiet(job(draw.choice(two_replicas.replicas))) for job in jobs))
    assert {await backers.status(view) for view in views} <= ends
    assert await two_replicas.parked() == []
    await assert_books_add_up(two_replicas, backers, campaign_id)


@pytest.mark.parametrize("seed", range(3))
async def test_a_book_closes_once_while_its_last_pledges_are_decided(two_replicas: House, seed: int) -> None:
    backers, draw = Backers(two_replicas), random.Random(seed)
    campaign_id = await backers.launch()
    views = [await backers.place(campaign_id) for _ in range(PLEDGES)]
    two_replicas.clock.frozen_at = DEADLINE
    decisions = [about(draw.choice((authorize, decline)), backers, view) for view in views]
    closings: list[Callable[[GroupCommit], Awaitable[object]]] = [
        *(lambda replica: replica.execute(CloseBook(campaign_id)) for _ in range(3)),
        *(lambda replica: replica.execute(AnnounceBook(campaign_id)) for _ in range(5)),
    ]
    await both(two_replicas, draw, [*decisions, *closings])
    await backers.timers.close_books()
    [closed] = [event for event in await two_replicas.said() if isinstance(event, PledgeBookClosed)]
    held = [view for view in views if await backers.status(view) == "authorized"]
    assert (closed.count, closed.total.amount) == (len(held), sum(view.amount_minor for view in held))


@pytest.mark.parametrize("seed", range(3))
async def test_a_cancelled_campaign_and_its_deadline_end_every_pledge_the_same_way(
    two_replicas: House, seed: int
) -> None:
    """Which came first is decided in the campaign's own stream; the book follows the cancellation in either order."""
    backers, draw = Backers(two_replicas), random.Random(seed)
    campaign_id = await backers.launch()
    views = [await backers.authorized(campaign_id) for _ in range(PLEDGES)]
    two_replicas.clock.frozen_at = DEADLINE
    told = backers.stories.tell(CampaignCancelled(campaign_id=CampaignId(campaign_id), cancelled_at=START))
    await both(
        two_replicas,
        draw,
        [
            lambda replica: replica.take_in(told),
            lambda replica: replica.execute(CloseBook(campaign_id)),
            lambda replica: replica.execute(CloseBook(campaign_id)),
        ],
    )
    while await backers.timers.cancel_with_campaigns():
        pass
    await backers.timers.close_books()
    assert {await backers.status(view) for view in views} == {"cancelled"}
    assert not [event for event in await two_replicas.said() if isinstance(event, PledgeBookClosed)]
    await assert_books_add_up(two_replicas, backers, campaign_id)
