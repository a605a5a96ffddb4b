"""A seed is one run: what has failed once fails again, step by step, for whoever looks for the reason."""

from dataclasses import replace

from tests.simulation.conftest import UNHURRIED
from tests.simulation.runs import USUAL, Ground, run
from tests.simulation.scenario import plan_of

pytestmark = UNHURRIED

SEED = 6  # One in which much goes wrong.


def test_a_seed_is_the_same_run_whenever_it_is_played(ground: Ground) -> None:
    what = replace(USUAL, plan=plan_of(SEED))
    first, second = (run(ground, SEED, what) for _ in range(2))
    assert first.told, "nothing went wrong"
    assert (first.steps, first.pauses, first.told) == (second.steps, second.pauses, second.told)
