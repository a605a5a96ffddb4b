"""A small campaign, and one thing that goes wrong, at one place after the other: money moves once (DOMAIN M5, Y2)."""

import os
from collections.abc import Iterable
from dataclasses import replace

import pytest

from contracts.campaign import FundingModel, PaymentStrategy
from tests.simulation.conftest import RUNS_DEFAULT, UNHURRIED
from tests.simulation.faults import CALM, Crash
from tests.simulation.runs import Ground, Run, run
from tests.simulation.scenario import GOOD_CARD, HOUR, Act, Backer, Plan, Wish, plan_of
from tests.simulation.world import World

pytestmark = UNHURRIED

LOST_SECONDS = 600.0
REPAIR_SECONDS = 120.0  # Until the service is up again and has been told everything: the keys still live.

RESTORES_AT_DEFAULT = 2  # Of each kind, and those in which much is done, or much is captured, within the lost minutes.
TELLING = (9, 13, 24, 26)
STEPS_AT_DEFAULT = 8  # Of the hundreds there are; `make simulate` takes ten times as many.
PAST_THE_LEASE_SECONDS = 70.0
PAST_THE_KEY_SECONDS = 30 * HOUR


def _plan(model: FundingModel = FundingModel.ALL_OR_NOTHING) -> Plan:
    """One pledge that is changed, one that is cancelled, one that fails, one that is simply kept."""
    return Plan(
        model=model,
        strategy=PaymentStrategy.HOLD,
        currency="EUR",
        goal_minor=1_000,
        deadline=2 * HOUR,
        backers=(
            Backer(0.1, 2_000, GOOD_CARD, (Wish(3.0, Act.CHANGE, 3_000, GOOD_CARD),)),
            Backer(0.2, 2_500, GOOD_CARD, (Wish(2.5, Act.CANCEL),)),
            Backer(0.3, 4_000, "pm_card_captureFails"),
            Backer(0.4, 5_000, GOOD_CARD),
        ),
        given_up_at=None,
        scenes=((0, 8.0), (2 * HOUR - 2, 12.0)),
    )


def _more(usual: int) -> int:
    """As many times more as there are more runs than usual."""
    return max(1, usual * int(os.environ.get("SIMULATION_RUNS", RUNS_DEFAULT)) // RUNS_DEFAULT)


def _spread(count: int, offset: int) -> Iterable[int]:
    """Some of the numbers from 1 to `count`, evenly, others for each `offset`; all of them when asked for enough."""
    stride = max(1, count // _more(STEPS_AT_DEFAULT))
    return range(1 + offset % stride, count + 1, stride)


@pytest.mark.parametrize(("number", "crash"), list(enumerate(Crash)))
def test_a_crash_at_any_step(ground: Ground, number: int, crash: Crash) -> None:
    """Of any service, before, after, or done but reported as failed."""
    steps = run(ground, 1, Run(CALM, _plan())).steps
    crashes = [run(ground, 1, Run(CALM, _plan(), crash_at=(step, crash))).told for step in _spread(steps, 3 * number)]
    assert any(crashes), "nothing ever crashed"


@pytest.mark.parametrize("seconds", [PAST_THE_LEASE_SECONDS, PAST_THE_KEY_SECONDS])
@pytest.mark.parametrize("model", FundingModel)
def test_two_workers_on_one_operation(ground: Ground, model: FundingModel, seconds: float) -> None:
    """One is frozen past its lease, or past the life of its key, while the other one goes on; then it comes back."""
    pauses = run(ground, 2, Run(CALM, _plan(model))).pauses
    for pause in _spread(pauses, int(seconds)):
        run(ground, 2, Run(CALM, _plan(model), freeze_at=(pause, seconds)))


@pytest.mark.parametrize("number", sorted({*range(1, 1 + _more(RESTORES_AT_DEFAULT)), *TELLING}))
@pytest.mark.parametrize("when", ["opening", "closing", "settling"])
def test_a_database_restored_to_ten_minutes_ago(ground: Ground, number: int, when: str) -> None:
    """Payment forgets what it was told and did; others tell it again, and it tells them anew (DOMAIN Y2)."""
    plan = plan_of(number)
    saved_at = {"opening": 3.0, "closing": plan.deadline - 3, "settling": plan.deadline + 1}[when]
    back_at = saved_at + LOST_SECONDS
    backers = plan.backers
    if when == "opening":  # and one of whom payment has just heard, or will in a moment
        backers = (replace(backers[0], at=back_at - 0.5, wishes=()), *backers[1:])
    plan = replace(plan, backers=backers, scenes=tuple(sorted((*plan.scenes, (back_at - 1, REPAIR_SECONDS)))))

    async def lose(world: World) -> None:
        await world.until(saved_at)
        await world.save("payment")
        await world.until(back_at)
        await world.restore("payment", backwards=number % 2 == 1)

    run(ground, number, Run(CALM, plan, interlude=lose))
