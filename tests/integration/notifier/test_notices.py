"""Who is told what, once, in whatever order the facts come (DOMAIN N1, N2)."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest

from contracts.ids import ChangeId, PersonId, TierId, new_id
from contracts.pledge import PledgeCaptureFailed, PledgeChanged, PledgeDropped, PledgeVoided
from contracts.settlement import Outcome
from notifier.jobs import FAN_OUT_BATCH_MAX, FanOuts
from tests.integration.house import House
from tests.integration.notifier.timers import drain, told
from tests.integration.notifier.world import Told, World, eur, shuffled_and_doubled

CHANGE: Final = {"change_id": ChangeId(new_id()), "hold_id": "pi_new", "previous_amount": eur(2500)}


async def take_in_by_both(core: House, events: list[Told]) -> None:
    """Half of them by each replica, in small deliveries and side by side."""
    await asyncio.gather(
        *(core.replicas[number % 2].take_in(events[at : at + 7]) for number, at in enumerate(range(0, len(events), 7)))
    )


@dataclass
class Story:
    world: World
    events: list[Told]
    expected: Counter[tuple[str, str]]


def funded() -> Story:
    """Twenty backers: one declined, two cancelled, two dropped, fifteen captured."""
    world = World(backers=20)
    declined, *rest = world.people
    cancelled, dropped, captured = rest[:2], rest[2:4], rest[4:]
    events = world.launched() + world.declined(declined)
    for person in rest:
        events += world.authorized(person)
    for person in cancelled:
        events += world.cancelled(person)
    for person in dropped:
        events += world.tell(PledgeCaptureFailed, person, reason="card_declined") + world.tell(PledgeDropped, person)
    for person in captured:
        events += world.captured(person)
    events += world.settled(Outcome.FUNDED, len(captured)) + world.paid_out()
    expected = Counter(
        [
            ("pledge_declined", str(declined)),
            *(("pledge_confirmed", str(person)) for person in rest),
            *(("pledge_cancelled", str(person)) for person in cancelled),
            *(("campaign_funded", str(person)) for person in captured),
            ("creator_settled", str(world.creator_id)),
            ("creator_payout", str(world.creator_id)),
        ]
    )
    return Story(world, events, expected)


def failed() -> Story:
    """Ten backers whose holds were released."""
    world = World(backers=10)
    events = world.launched() + world.all_authorized()
    for person in world.people:
        events += world.tell(PledgeVoided, person)
    events += world.settled(Outcome.FAILED)
    expected = Counter(
        [(kind, str(person)) for person in world.people for kind in ("pledge_confirmed", "campaign_failed")]
        + [("creator_settled", str(world.creator_id))]
    )
    return Story(world, events, expected)


class TestOnce:
    async def test_everybody_is_told_what_concerns_them(self, core: House) -> None:
        story = funded()
        await core.take_in(*story.events)
        await drain(FanOuts(core.pool, core.clock))
        assert await told(core) == story.expected
        assert await core.parked() == []

    @pytest.mark.parametrize("make", [funded, failed])
    @pytest.mark.parametrize("seed", range(4))
    async def test_shuffled_and_doubled_by_two_replicas_gives_the_same(
        self, core: House, make: Callable[[], Story], seed: int
    ) -> None:
        """Also when the outcome comes first and its fan-out is done before the last pledges are heard of."""
        story = make()
        events = shuffled_and_doubled(story.events, seed)
        half = len(events) // 2
        fan_outs = FanOuts(core.pool, core.clock)
        await take_in_by_both(core, events[:half])
        await drain(fan_outs)
        await take_in_by_both(core, events[half:])
        await drain(fan_outs)
        assert await told(core) == story.expected
        assert await core.parked() == []

    async def test_an_outcome_before_everything_else_still_reaches_all(self, core: House) -> None:
        story = failed()
        fan_outs = FanOuts(core.pool, core.clock)
        await core.take_in(story.events[-1])
        await drain(fan_outs)
        await core.take_in(*reversed(story.events[:-1]))
        await drain(fan_outs)
        assert await told(core) == story.expected


class TestFanOut:
    async def test_two_thousand_backers_of_a_milestone_in_batches_by_two_workers(self, core: House) -> None:
        """Each batch is at most 500, a worker that dies in between goes on behind the last one, each is told once."""
        world = World(backers=2_000)
        await core.take_in(*world.launched(), *world.all_authorized())
        gone = world.people[:3]
        await core.take_in(*(one for person in gone for one in world.cancelled(person)), *world.milestone())
        workers = FanOuts(core.pool, core.clock), FanOuts(core.pool, core.clock)
        sizes = [await milestones(core)]
        while any(await asyncio.gather(*(worker.run_once() for worker in workers))):
            sizes.append(await milestones(core))
        grown = [after - before for before, after in itertools.pairwise(sizes)]
        assert max(grown) <= FAN_OUT_BATCH_MAX * len(workers)
        everybody = {("milestone", str(person)): 1 for person in world.people if person not in gone}
        assert {key: number for key, number in (await told(core)).items() if key[0] == "milestone"} == everybody

    async def test_a_fan_out_cut_off_in_the_middle_goes_on(self, core: House) -> None:
        world = World(backers=FAN_OUT_BATCH_MAX + 1)
        await core.take_in(*world.launched(), *world.all_authorized(), *world.milestone(), *world.milestone(75))
        assert await FanOuts(core.pool, core.clock).run_once()
        assert await milestones(core) == FAN_OUT_BATCH_MAX
        await drain(FanOuts(core.pool, core.clock))
        assert await milestones(core) == 2 * world.backers

    async def test_a_small_campaign_does_not_wait_behind_a_large_one(self, core: House) -> None:
        large, small = World(backers=FAN_OUT_BATCH_MAX * 2 + 1), World(backers=1)
        await core.take_in(*large.launched(), *large.all_authorized(), *large.milestone())
        fan_outs = FanOuts(core.pool, core.clock)
        await fan_outs.run_once()
        await core.take_in(*small.launched(), *small.all_authorized(), *small.milestone())
        await fan_outs.run_once()
        assert ("milestone", str(small.people[0])) in await told(core)

    async def test_a_milestone_goes_to_who_backs_the_campaign_then(self, core: House) -> None:
        world = World(backers=2)
        early, late = world.people
        await core.take_in(*world.launched(), *world.authorized(early), *world.milestone())
        await drain(FanOuts(core.pool, core.clock))
        await core.take_in(*world.authorized(late))
        await drain(FanOuts(core.pool, core.clock))
        assert [key for key in await told(core) if key[0] == "milestone"] == [("milestone", str(early))]


class TestCreatorUpdate:
    async def test_goes_to_each_backer_with_a_live_pledge_once_whatever_is_redelivered(self, core: House) -> None:
        world = World(backers=6)
        held, charged, placed, declined, cancelled, failed = world.people
        update = world.update()
        await core.take_in(
            *world.launched(),
            *(one for person in (held, charged, cancelled, failed) for one in world.authorized(person)),
            *world.captured(charged),
            *world.placed(placed),
            *world.declined(declined),
            *world.cancelled(cancelled),
            *world.tell(PledgeCaptureFailed, failed, reason="card_declined"),
        )
        for replica in core.replicas:
            await replica.take_in(update * 2)
            await drain(FanOuts(core.pool, core.clock))
        assert await updated(core) == Counter({str(held): 1, str(charged): 1})

    async def test_each_update_is_told(self, core: House) -> None:
        world = World(backers=1)
        await core.take_in(*world.launched(), *world.all_authorized(), *world.update(), *world.update())
        await drain(FanOuts(core.pool, core.clock))
        assert await updated(core) == Counter({str(world.people[0]): 2})

    async def test_for_a_tier_goes_to_who_has_it_at_the_fan_out(self, core: House) -> None:
        """Not to who had it at the posting, nor to other tiers; a batch of none of them is no end."""
        other = TierId(new_id())
        world = World(backers=FAN_OUT_BATCH_MAX + 4)
        *_, stayed, joined, left = world.people
        world.tier_of = {stayed: other, left: other}
        await core.take_in(*world.launched(), *world.all_authorized(), *world.update(other))
        world.tier_of = {stayed: other, joined: other}
        for person in (joined, left):
            await core.take_in(*world.tell(PledgeChanged, person, **CHANGE))
        await drain(FanOuts(core.pool, core.clock))
        assert await updated(core) == Counter({str(stayed): 1, str(joined): 1})

    async def test_who_backs_the_campaign_later_is_not_told(self, core: House) -> None:
        world = World(backers=2)
        early, late = world.people
        await core.take_in(*world.launched(), *world.authorized(early), *world.update())
        await drain(FanOuts(core.pool, core.clock))
        await core.take_in(*world.authorized(late))
        await drain(FanOuts(core.pool, core.clock))
        assert await updated(core) == Counter({str(early): 1})


async def updated(core: House) -> Counter[str]:
    """Notices of creators' updates by person."""
    notices = (await told(core)).items()
    return Counter({person: number for (kind, person), number in notices if kind == "creator_update"})


async def milestones(core: House) -> int:
    number: int = await core.pool.fetchval("SELECT count(*) FROM notice WHERE kind = 'milestone'")
    return number


async def test_who_backs_twice_is_told_once(core: House) -> None:
    """A second pledge whose predecessor's cancellation has not come in yet."""
    world = World(backers=2)
    first, second = world.people
    again = world.authorized(second)
    await core.take_in(*world.launched(), *world.authorized(first), *again)
    await core.pool.execute("UPDATE backing SET backer_id = $1", PersonId(first))
    await core.take_in(*world.milestone())
    await drain(FanOuts(core.pool, core.clock))
    assert (await told(core))["milestone", str(first)] == 1
