"""Whole lives of campaigns while everything fails."""

from tests.simulation.conftest import UNHURRIED
from tests.simulation.runs import Ground, run

pytestmark = UNHURRIED


def test_our_books_are_the_providers_and_everything_ends(ground: Ground, seed: int) -> None:
    """After healing: no operation unknown, nobody charged twice, every pledge in one bucket (DOMAIN M4, M5)."""
    run(ground, seed)
