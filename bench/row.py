"""What a bench row is: a figure of ours beside a baseline that is measured in the same run."""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from deploy.local.provision import Provisioned
from deploy.local.servers import Servers

RUNS = 3  # The machines are shared and noisy: the median of three.


@dataclass(frozen=True)
class Figure:
    """One measurement of ours with its baseline, both in the row's unit; `None` where a row has no baseline."""

    value: float
    baseline: float | None = None
    load_cpu: float | None = None  # cores that the load generator took while it ran
    note: str = ""


@dataclass(frozen=True)
class Ground:
    """Backing servers, and a fresh corner of them for one run."""

    servers: Servers
    provisioned: Provisioned


@dataclass(frozen=True)
class Row:
    """`measure` is one run. `reach` is the ratio, or for a row without baseline the figure, to be reached.

    A row `by_name_only` is left out where no row is named, because it takes minutes.
    """

    name: str
    about: str
    unit: str
    reach: str
    measure: Callable[[Ground], Awaitable[Figure]]
    runs: int = RUNS
    by_name_only: bool = False


@dataclass(frozen=True)
class Result:
    """The median run of a row, as it goes into results.json."""

    row: str
    value: float
    unit: str
    baseline: float | None
    ratio: float | None
    reach: str
    load_cpu: float | None
    spread: str
    note: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def median(row: Row, figures: list[Figure]) -> Result:
    """The run whose ratio (or value) is the median one, with the spread of all."""

    def rank(figure: Figure) -> float:
        return figure.value / figure.baseline if figure.baseline else figure.value

    middle = statistics.median_low([rank(f) for f in figures])
    chosen = next(f for f in figures if rank(f) == middle)
    return Result(
        row=row.name,
        value=round(chosen.value, 1),
        unit=row.unit,
        baseline=round(chosen.baseline, 1) if chosen.baseline else None,
        ratio=round(middle, 2) if chosen.baseline else None,
        reach=row.reach,
        load_cpu=round(chosen.load_cpu, 2) if chosen.load_cpu is not None else None,
        spread=" ".join(f"{rank(f):.2f}" if f.baseline else f"{f.value:.0f}" for f in figures),
        note=chosen.note,
    )
