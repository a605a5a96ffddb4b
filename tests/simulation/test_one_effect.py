"""A small campaign, and one thing that goes wrong, at one place after the other: money moves once (DOMAIN M5, Y2)."""

import os
from collections.abc import Iterable

import pytest

from contracts.campaign import FundingModel, PaymentStrategy
from tests.simulation.conftest import RUNS_DEFAULT
from tests.simulation.faults import CALM, Crash
from tests.simulation.runs import Ground, Run, run
from tests.simulation.scenario import GOOD_CARD, HOUR, Act, Backer, Plan, Wish

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


def _spread(count: int, offset: int) -> Iterable[int]:
    """Some of the numbers from 1 to `count`, evenly, others for each `offset`; all of them when asked for enough."""
    taken = STEPS_AT_DEFAULT * int(os.environ.get("SIMULATION_RUNS", RUNS_DEFAULT)) // RUNS_DEFAULT
    stride = max(1, count // max(1, taken))
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
