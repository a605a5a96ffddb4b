"""Faults on demand: what goes wrong with the next requests that match."""

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stripe_sandbox.errors import StripeError

FAULTS_MAX = 1_000  # A plan longer than this is a mistake in a test.
DELAY_MAX_SECONDS = 120  # Longer than any sensible client waits.


class Kind(StrEnum):
    ERROR = "error"
    """Stripe's own 5xx: an api_error, kept under the idempotency key like any answer."""
    HTML = "html"
    """A proxy's page in front of Stripe: HTML, never kept."""
    TEXT = "text"
    """`{"error": "text"}`: JSON, but not Stripe's shape; never kept."""
    DROP = "drop"
    """The connection goes away without an answer."""
    DELAY = "delay"
    """The answer is right but late; the key is in use meanwhile."""
    THROTTLE = "throttle"
    """429 before the key is looked at; nothing happens."""
    LOCK_TIMEOUT = "lock_timeout"
    """429 about one object; nothing happens."""


class Fault(BaseModel):
    """`before`: nothing has happened yet. `after`: it has happened, only the answer goes wrong."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    method: Literal["GET", "POST", "DELETE"] | None = None
    path: Annotated[str, Field(max_length=200)] = "/v1/*"
    """Shell pattern of the paths that are hit, such as `/v1/payment_intents/*/capture`."""
    when: Literal["before", "after"] = "before"
    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Matching requests that pass unharmed first."""
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    status: Annotated[int, Field(ge=500, le=599)] = 500
    seconds: Annotated[float, Field(ge=0, le=DELAY_MAX_SECONDS)] = 0

    def matches(self, method: str, path: str) -> bool:
        return self.method in {None, method} and fnmatchcase(path, self.path)


class Faults:
    """The plan, in order; the first fault that matches a request takes it."""

    def __init__(self) -> None:
        self._plan: list[Fault] = []

    def __len__(self) -> int:
        return len(self._plan)

    def plan(self) -> list[Fault]:
        return list(self._plan)

    def add(self, fault: Fault) -> None:
        if len(self._plan) >= FAULTS_MAX:
            raise StripeError(f"At most {FAULTS_MAX} faults at once.")
        self._plan.append(fault)

    def clear(self) -> None:
        self._plan.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this request, if any; it counts as used."""
        for at, fault in enumerate(self._plan):
            if not fault.matches(method, path):
                continue
            if fault.skip:
                self._plan[at] = fault.model_copy(update={"skip": fault.skip - 1})
                return None
            if fault.count == 1:
                del self._plan[at]
            else:
                self._plan[at] = fault.model_copy(update={"count": fault.count - 1})
            return fault
        return None
