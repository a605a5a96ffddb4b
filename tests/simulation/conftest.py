"""How many seeds are run, or which one, and what all runs of a worker stand on."""

import os
from collections.abc import Iterator

import pytest

from deploy.local.servers import Servers
from tests.rooms import new_name
from tests.simulation.runs import Ground
from tests.simulation.runs import ground as open_ground

RUNS_DEFAULT = 200  # Also of `make test`; `make simulate` runs 2 000.
UNHURRIED = pytest.mark.timeout(1_800)  # `make test` gives these tests only what the others leave of the cores.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="Play one run of tests/simulation again")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes a seed is run with each."""
    if "seed" in metafunc.fixturenames:
        one = metafunc.config.getoption("--seed", default=None)
        runs = int(os.environ.get("SIMULATION_RUNS", RUNS_DEFAULT))
        first = int(os.environ.get("SIMULATION_FIRST", "1"))
        metafunc.parametrize("seed", range(first, first + runs) if one is None else (one,))


@pytest.fixture(scope="session")
def ground(servers: Servers) -> Iterator[Ground]:
    with open_ground(servers.backing, new_name()) as ready:
        yield ready
