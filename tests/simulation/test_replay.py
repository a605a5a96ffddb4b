"""A seed is a whole run: what failed once fails again when it is asked for."""

from tests.simulation.runs import Ground, Run, run
from tests.simulation.scenario import plan_of


def test_a_seed_gives_the_same_run_again(ground: Ground) -> None:
    what = Run(plan=plan_of(5, pledges=10))
    first, again = (run(ground, 5, what) for _ in range(2))
    assert first.told
    assert (first.steps, first.told) == (again.steps, again.told)
