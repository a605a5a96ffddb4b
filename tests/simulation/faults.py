"""What goes wrong in a run, drawn from its seed and written down."""

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stripe_sandbox.faults import Fault, Kind


class Crash(StrEnum):
    """What may happen to a process at a step, which is a transaction, a statement of its own, or a call."""

    BEFORE = "crash before"
    AFTER = "crash after"
    REPORTED = "done, but reported as failed"


@dataclass(frozen=True)
class Rates:
    """How often, out of one. All of them zero: a world in which nothing fails."""

    crash: float = 0.006
    reported: float = 0.008
    freeze: float = 0.002
    provider: float = 0.16
    late: float = 0.02  # a request reaches the provider when its sender has long given up
    doubled: float = 0.12
    withheld: float = 0.04  # a message comes minutes later
    webhook_lost: float = 0.3
    webhook_doubled: float = 0.2


CALM: Final = Rates(0, 0, 0, 0, 0, 0, 0, 0, 0)

# The provider's faults, each as often as it stands here. An error is kept under the key for a day.
_PROVIDER: Final = (
    Fault(kind=Kind.ERROR, when="before"),
    Fault(kind=Kind.ERROR, when="after", status=503),
    Fault(kind=Kind.HTML, when="before", status=502),
    Fault(kind=Kind.HTML, when="after", status=502),
    Fault(kind=Kind.TEXT, when="before"),
    Fault(kind=Kind.TEXT, when="after"),
    Fault(kind=Kind.DROP, when="before"),
    Fault(kind=Kind.DROP, when="after"),
    Fault(kind=Kind.DROP, when="after"),
    Fault(kind=Kind.DELAY, when="before", seconds=5),
    Fault(kind=Kind.DELAY, when="after", seconds=30),
    Fault(kind=Kind.DELAY, when="before", seconds=90),
    Fault(kind=Kind.THROTTLE),
    Fault(kind=Kind.LOCK_TIMEOUT),
)
_FREEZES_SECONDS: Final = (20.0, 70.0, 600.0, 4_000.0, 22 * 3600.0, 30 * 3600.0)  # past a lease, past a key's life


@dataclass
class Fate:
    """One source of chance for all that goes wrong. With `crash_at` no process dies but at that step."""

    seed: str
    rates: Rates = field(default_factory=Rates)
    crash_at: tuple[int, Crash] | None = None
    freeze_at: tuple[int, float] | None = None  # a pause by its number, and for how many seconds
    steps: int = 0
    pauses: int = 0
    told: list[str] = field(default_factory=list)
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def heal(self) -> None:
        self.rates = CALM
        self.crash_at = self.freeze_at = None

    def happens(self, rate: float) -> bool:
        return rate > 0 and self.chance.random() < rate

    def step(self, at: float, who: str, what: str) -> Crash | None:
        """Count a step and say what happens to the one who takes it."""
        self.steps += 1
        crash = self._crash()
        if crash is not None:
            self.told.append(f"{at:12.3f}  step {self.steps}  {who}: {crash} {what}")
        return crash

    def _crash(self) -> Crash | None:
        if self.crash_at is not None:
            number, crash = self.crash_at
            return crash if number == self.steps else None
        if self.happens(self.rates.crash):
            return self.chance.choice((Crash.BEFORE, Crash.AFTER))
        return Crash.REPORTED if self.happens(self.rates.reported) else None

    def freeze(self, at: float, who: str) -> float:
        """For how many seconds a process stands still, mostly none."""
        self.pauses += 1
        if self.freeze_at is not None and self.freeze_at[0] == self.pauses:
            seconds = self.freeze_at[1]
        elif self.happens(self.rates.freeze):
            seconds = self.chance.choice(_FREEZES_SECONDS)
        else:
            return 0
        self.told.append(f"{at:12.3f}  {who}: frozen for {seconds:.0f} s")
        return seconds

    def provider(self, at: float, what: str) -> Fault | None:
        if not self.happens(self.rates.provider):
            return None
        fault = self.chance.choice(_PROVIDER)
        self.told.append(f"{at:12.3f}  {what}: {fault.kind} {fault.when}")
        return fault.model_copy()  # the sandbox's plan uses it up

    def late(self, at: float, what: str) -> float:
        """How much later than its sender hopes a request reaches the provider."""
        if not self.happens(self.rates.late):
            return 0
        seconds = self.chance.choice((20.0, 50.0, 65.0, 130.0, 7_200.0))
        self.told.append(f"{at:12.3f}  {what}: reaches the provider {seconds:.0f} s late")
        return seconds

    def latency(self, mean_seconds: float) -> float:
        return self.chance.expovariate(1 / mean_seconds)
