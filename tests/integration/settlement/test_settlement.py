"""From a closed book to the outcome, on a real database (DOMAIN S1 to S7)."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from contracts.campaign import CampaignCancelled, FundingModel
from contracts.event import Event
from contracts.pledge import (
    PledgeAtRisk,
    PledgeCancelled,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgeRefunded,
)
from contracts.settlement import CampaignSettled, CaptureRequested, DropRequested, Outcome, PayoutRequested
from settlement import queries
from settlement.domain import StartSettlement
from settlement.domain_campaign import missing
from settlement.jobs import Settler
from tests.integration.house import START, House, names
from tests.integration.settlement.conftest import OUTSTANDING_MAX
from tests.integration.settlement.world import FIX_SECONDS, Told, World, eur, play, shuffled_and_doubled, tick

Settlers = tuple[Settler, ...]


def ending(said: Sequence[Event]) -> tuple[Outcome, int, int, int, int | None]:
    """Outcome, sums captured, dropped and voided, and the payout asked for (None: none)."""
    [settled] = [event for event in said if isinstance(event, CampaignSettled)]
    payouts = [event.captured.amount for event in said if isinstance(event, PayoutRequested)]
    assert len(payouts) <= 1
    sums = (settled.captured.total.amount, settled.dropped.total.amount, settled.voided.total.amount)
    return settled.outcome, *sums, payouts[0] if payouts else None


async def what_is_missing(core: House, world: World) -> list[str]:
    campaign = await queries.campaign(core.pool, world.campaign_id)
    assert campaign is not None
    return [one.what for one in missing(campaign)]


class TestOutcome:
    async def test_all_or_nothing_that_reaches_its_goal_is_captured_and_paid_out(
        self, core: House, settlers: Settlers
    ) -> None:
        world = World(goal=3000, amounts=[1000, 1500, 700])
        await core.take_in(*world.everything())
        said = await play(core, world, settlers[0])
        assert ending(said) == (Outcome.FUNDED, 3200, 0, 0, 3200)
        asked = {event.pledge_id: event.amount for event in said if isinstance(event, CaptureRequested)}
        assert asked == {one: fact["amount"] for one, fact in world.facts.items()}

    async def test_all_or_nothing_below_its_goal_is_voided_and_nothing_is_captured(
        self, core: House, settlers: Settlers
    ) -> None:
        world = World(goal=3000, amounts=[1000, 1500])
        await core.take_in(*world.everything())
        said = await play(core, world, settlers[0])
        assert ending(said) == (Outcome.FAILED, 0, 0, 2500, None)
        assert Counter(names(said))["VoidRequested"] == 2
        assert "CaptureRequested" not in names(said)

    async def test_keep_it_all_below_its_goal_keeps_what_came_in_and_asks_for_no_capture(
        self, core: House, settlers: Settlers
    ) -> None:
        world = World(goal=3000, amounts=[1000, 1500], model=FundingModel.KEEP_IT_ALL)
        await core.take_in(*world.everything())
        said = await play(core, world, settlers[0])
        assert ending(said) == (Outcome.PARTIALLY_FUNDED, 2500, 0, 0, 2500)
        assert names(said) == ["SettlementStarted", "CampaignSettled", "PayoutRequested"]

    async def test_captures_that_fail_are_dropped_when_the_window_is_over_and_not_before(
        self, core: House, settlers: Settlers
    ) -> None:
        world = World(goal=3000, amounts=[1000, 1500, 700], failing=1)
        await core.take_in(*world.everything())
        await tick(settlers[0])
        await core.take_in(*world.answers(await core.said()))
        core.pass_time(timedelta(seconds=FIX_SECONDS - 1))
        await tick(settlers[0])
        assert await core.said() == []
        core.pass_time(timedelta(seconds=1))
        said = await play(core, world, settlers[0])
        assert [e.pledge_id for e in said if isinstance(e, DropRequested)] == world.pledge_ids[:1]
        assert ending(said) == (Outcome.PARTIALLY_FUNDED, 2200, 1000, 0, 2200)

    @pytest.mark.parametrize(
        ("model", "outcome"),
        [(FundingModel.ALL_OR_NOTHING, Outcome.FAILED), (FundingModel.KEEP_IT_ALL, Outcome.PARTIALLY_FUNDED)],
    )
    async def test_a_campaign_without_pledges_ends_at_once_and_pays_nothing(
        self, core: House, settlers: Settlers, model: FundingModel, outcome: Outcome
    ) -> None:
        world = World(goal=3000, amounts=[], model=model)
        await core.take_in(*world.everything())
        assert ending(await play(core, world, settlers[0])) == (outcome, 0, 0, 0, None)

    async def test_a_pledge_that_ends_otherwise_meanwhile_holds_nothing_up(
        self, core: House, settlers: Settlers
    ) -> None:
        world = World(goal=3000, amounts=[1000, 1500, 700, 800])
        await core.take_in(*world.everything())
        await tick(settlers[0])
        requests = await core.said()
        gone, paid_back = world.pledge_ids[:2]
        cancelled = world.tell(PledgeCancelled, gone, cancelled_at=START, reason="backer")
        captured = world.answers(e for e in requests if e.subject != gone)
        refunded = world.tell(PledgeRefunded, paid_back)
        await core.take_in(*cancelled, *captured[:-1], *refunded)
        assert await core.said() == []
        await core.take_in(captured[-1])
        assert ending(await core.said()) == (Outcome.PARTIALLY_FUNDED, 1500, 0, 0, 1500)


def hold_facts(world: World) -> list[Told]:
    """The first pledge's hold is renewed late, the second's early, the third's is lost."""
    late, early, lost = world.pledge_ids[:3]
    told = world.tell(PledgeAtRisk, late, reason="do_not_honor")
    for one, days in ((late, 5), (early, 1)):
        hold = {"previous_hold_id": f"pi_{one}", "hold_id": "pi_new", "capture_before": START + timedelta(days=days)}
        told += world.tell(PledgeHoldRenewed, one, **hold)
    return told + world.tell(PledgeAtRisk, lost, reason="hold_lost", lost=True)


class TestHolds:
    async def test_what_lapses_first_is_asked_for_first_and_what_is_lost_last(self, core: House) -> None:
        world = World(goal=3000, amounts=[1000, 1500, 700])
        await core.take_in(*shuffled_and_doubled(1)([*world.everything(), *hold_facts(world)]))
        late, early, lost = world.pledge_ids
        asked = await queries.next_open(core.pool, world.campaign_id, 10)
        assert (asked[:2], set(asked[2:])) == ((early, late), {lost})

    @pytest.mark.parametrize(("goal", "outcome"), [(2500, Outcome.FUNDED), (2501, Outcome.FAILED)])
    async def test_a_lost_hold_is_in_the_sum_and_never_counts_as_collectable(
        self, core: House, settlers: Settlers, goal: int, outcome: Outcome
    ) -> None:
        world = World(goal=goal, amounts=[1000, 1500, 700])
        await core.take_in(*shuffled_and_doubled(2)([*world.everything(), *hold_facts(world)]))
        assert ending(await play(core, world, settlers[0]))[0] is outcome

    async def test_refunds_in_part_and_disputes_do_not_disturb_the_end(self, core: House, settlers: Settlers) -> None:
        world = World(goal=3000, amounts=[1000, 1500, 700])
        await core.take_in(*world.everything())
        await tick(settlers[0])
        answers = world.answers(await core.said())
        one = world.pledge_ids[0]
        dispute = {"creator_id": world.creator_id, "dispute_id": "dp_1", "disputed": eur(1000)}
        more = world.tell(PledgePartlyRefunded, one, refunded=eur(400))
        more += world.tell(PledgeDisputeOpened, one, **dispute, reason="fraudulent")
        more += world.tell(PledgeDisputeClosed, one, **dispute, won=False)
        await core.take_in(*shuffled_and_doubled(3)([*answers, *more]))
        assert ending(await core.said()) == (Outcome.FUNDED, 3200, 0, 0, 3200)
        assert await core.parked() == []


class TestWaiting:
    async def test_says_what_is_missing_until_all_is_there(self, core: House, settlers: Settlers) -> None:
        world = World(goal=3000, amounts=[1000, 1500, 700])
        launch, closing = world.campaign()
        pledges, manifest = world.pledges(), world.manifest()
        await core.take_in(*pledges[:-1])
        assert await what_is_missing(core, world) == ["launch", "deadline", "book"]
        await core.take_in(launch)
        assert await what_is_missing(core, world) == ["deadline", "book"]
        await core.take_in(closing)
        assert await what_is_missing(core, world) == ["book"]
        await core.take_in(*manifest)
        assert await what_is_missing(core, world) == ["pledges"]
        await tick(*settlers)
        assert await core.said() == []
        await core.take_in(pledges[-1])
        await tick(*settlers)
        assert names(await core.said())[0] == "SettlementStarted"

    async def test_another_book_of_the_same_count_and_sum_never_starts(self, core: House, settlers: Settlers) -> None:
        world = World(goal=3000, amounts=[1000, 1500, 700])
        await core.take_in(*world.campaign(), *world.pledges(), *world.manifest(digest="0" * 64))
        await tick(*settlers)
        await core.execute(StartSettlement(world.campaign_id))
        assert await core.said() == []
        assert await what_is_missing(core, world) == ["digest"]
        assert await queries.ready(core.pool, 1) == []

    async def test_a_pledge_cancelled_after_the_closing_still_belongs_to_the_closed_book(
        self, core: House, settlers: Settlers
    ) -> None:
        world = World(goal=3000, amounts=[1000, 1500], model=FundingModel.KEEP_IT_ALL)
        told = world.everything()
        world.stories.time = START + timedelta(minutes=5)
        late = world.tell(PledgeCancelled, world.pledge_ids[0], cancelled_at=START, reason="backer")
        late += world.tell(PledgeRefunded, world.pledge_ids[0])
        await core.take_in(*shuffled_and_doubled(3)([*told, *late]))
        assert ending(await play(core, world, settlers[0])) == (Outcome.PARTIALLY_FUNDED, 1500, 0, 0, 1500)

    async def test_a_cancelled_campaign_is_never_settled(self, core: House, settlers: Settlers) -> None:
        world = World(goal=1000, amounts=[1000, 1500])
        launch, _ = world.campaign()
        cancelled = world.stories.tell(CampaignCancelled(campaign_id=world.campaign_id, cancelled_at=START))
        await core.take_in(launch, *cancelled, *world.pledges(), *world.manifest())
        await tick(*settlers)
        await core.execute(StartSettlement(world.campaign_id))
        assert await core.said() == []


class TestDirection:
    async def test_lapsed_holds_are_not_collectable(self, core: House, settlers: Settlers) -> None:
        world = World(goal=1000, amounts=[1000])
        pledge = world.facts[world.pledge_ids[0]]
        placed, authorized = world.pledges()[2:]
        lapsed = authorized[1].model_copy(update={"capture_before": START})
        again = (authorized[0], lapsed)
        assert pledge["amount"] == eur(1000)
        await core.take_in(*world.campaign(), placed, again, *world.manifest())
        assert ending(await play(core, world, settlers[0])) == (Outcome.FAILED, 0, 0, 1000, None)


class TestRepetition:
    @pytest.mark.parametrize("seed", range(4))
    async def test_any_order_and_any_repetition_give_the_same_end(
        self, core: House, settlers: Settlers, seed: int
    ) -> None:
        world = World(goal=3000, amounts=[1000, 1500, 700, 200, 100, 50, 20], failing=2)
        disorder = shuffled_and_doubled(seed)
        for told in disorder(world.everything()):
            await core.take_in(told)
        said = await play(core, world, *settlers, disorder=disorder)
        assert ending(said) == (Outcome.PARTIALLY_FUNDED, 1070, 2500, 0, 1070)
        assert Counter(names(said)) == {
            "SettlementStarted": 1,
            "CaptureRequested": 7,
            "DropRequested": 2,
            "CampaignSettled": 1,
            "PayoutRequested": 1,
        }
        assert await core.parked() == []

    async def test_two_replicas_at_once_do_nothing_twice(self, core: House, settlers: Settlers) -> None:
        world = World(goal=3000, amounts=[100] * 40)
        await core.take_in(*world.everything())
        said: list[Event] = []
        while not any(isinstance(event, CampaignSettled) for event in said):
            for step in ("start_due", "request_due", "drop_due"):
                await asyncio.gather(*(getattr(settler, step)() for settler in settlers))
            new = await core.said()
            said += new
            answers = world.answers(new)
            await asyncio.gather(*(commit.take_in(answers) for commit in core.replicas))
        asked = Counter(event.pledge_id for event in said if isinstance(event, CaptureRequested))
        assert asked == dict.fromkeys(world.pledge_ids, 1)
        assert ending(said) == (Outcome.FUNDED, 4000, 0, 0, 4000)

    async def test_a_replica_that_was_killed_is_continued_by_another(self, core: House, settlers: Settlers) -> None:
        world = World(goal=1000, amounts=[100] * 12)
        await core.take_in(*world.everything())
        await tick(settlers[0])
        first = await core.said()  # asked for, and then the first replica is no more
        core.replicas[0].stop()
        await core.replicas[1].take_in(world.answers(first[:3]))
        await tick(settlers[1])
        second = await core.said()
        rest = world.answers([*first[3:], *second])
        await core.replicas[1].take_in(rest)
        said = [*first, *second]
        while not any(isinstance(event, CampaignSettled) for event in said):
            await tick(settlers[1])
            new = await core.said()
            await core.replicas[1].take_in(world.answers(new))
            said += new
        assert Counter(names(said))["CaptureRequested"] == 12
        assert ending(said) == (Outcome.FUNDED, 1200, 0, 0, 1200)


class TestBound:
    async def test_no_more_than_the_bound_waits_for_an_answer(self, core: House, settlers: Settlers) -> None:
        world = World(goal=1000, amounts=[100] * 12)
        await core.take_in(*world.everything())
        await tick(*settlers, *settlers)
        requests = [e for e in await core.said() if isinstance(e, CaptureRequested)]
        assert len(requests) == OUTSTANDING_MAX
        await core.take_in(*world.answers(requests[:2]))
        await tick(*settlers)
        assert len(await core.said()) == 2

    async def test_a_wide_bound_is_filled_round_by_round(self, core: House) -> None:
        """In payment pledges at the checkout wait behind what was asked before them."""
        world = World(goal=1000, amounts=[100] * 120)
        settler = Settler(core.pool, core.replicas[0], core.clock, outstanding_max=500)
        await core.take_in(*world.everything())
        await settler.start_due()
        asked = []
        for _ in range(6):
            assert not await settler.request_due(), "the next round comes at once"
            asked.append(len([e for e in await core.said() if isinstance(e, CaptureRequested)]))
        assert asked == [25, 25, 25, 25, 20, 0]

    async def test_campaigns_that_settle_at_the_same_time_share_it(self, core: House, settlers: Settlers) -> None:
        worlds = [World(goal=1000, amounts=[100] * 12) for _ in range(2)]
        for world in worlds:
            await core.take_in(*world.everything())
        await settlers[0].start_due()
        await settlers[0].request_due()
        asked = Counter(e.campaign_id for e in await core.said() if isinstance(e, CaptureRequested))
        assert sorted(asked.values()) == [2, 3]
