"""Faults on demand: what goes wrong with the next requests and webhooks that match, by plan or at random."""

from collections import Counter
from enum import StrEnum
from fnmatch import fnmatchcase
from random import Random
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from stripe_sandbox.errors import Document, StripeError
from stripe_sandbox.events import Event
from stripe_sandbox.limits import endpoint_of

FAULTS_MAX = 1_000  # A plan longer than this is a mistake in a test.
DELAY_MAX_SECONDS = 120  # Longer than any sensible client waits.
WEBHOOK_DELAY_MAX_SECONDS = 4 * 86_400  # Stripe tries for three days.


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


class WebhookKind(StrEnum):
    DUPLICATE = "duplicate"
    """Sent twice."""
    REORDER = "reorder"
    """Sent after a later event has been delivered, or after two seconds when there is none."""
    DELAY = "delay"
    """Sent when the sandbox's clock has moved on by so many seconds."""
    LOSE = "lose"
    """Never sent: the list of events alone tells of it."""


class _Planned(BaseModel):
    model_config = ConfigDict(extra="forbid")

    skip: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Matches that pass unharmed first."""
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class Fault(_Planned):
    """`before`: nothing has happened yet. `after`: it has happened, only the answer goes wrong."""

    kind: Kind
    method: Literal["GET", "POST", "DELETE"] | None = None
    path: Annotated[str, Field(max_length=200)] = "/v1/*"
    """Shell pattern of the paths that are hit, such as `/v1/payment_intents/*/capture`."""
    when: Literal["before", "after"] = "before"
    status: Annotated[int, Field(ge=500, le=599)] = 500
    seconds: Annotated[float, Field(ge=0, le=DELAY_MAX_SECONDS)] = 0


class WebhookFault(_Planned):
    kind: WebhookKind
    type: Annotated[str, Field(max_length=200)] = "*"
    """Shell pattern of the event types that are hit, such as `charge.dispute.*`."""
    seconds: Annotated[int, Field(ge=0, le=WEBHOOK_DELAY_MAX_SECONDS)] = 60


class Randomly(BaseModel):
    """Shares of requests and webhooks that go wrong; the same seed hits the same ones in every run.

    What is hit depends on the idempotency key and on how often it was seen, not on the order of arrival. A request
    without a key, or an event that no request caused, is known by its endpoint or type and its number.
    """

    model_config = ConfigDict(extra="forbid")

    seed: int
    rate: Annotated[float, Field(ge=0, le=1)] = 0
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = tuple(Kind)
    path: Annotated[str, Field(max_length=200)] = "/v1/*"
    seconds: Annotated[float, Field(ge=0, le=DELAY_MAX_SECONDS)] = 0.1
    """The longest delay of an answer."""
    webhook_rate: Annotated[float, Field(ge=0, le=1)] = 0
    webhook_kinds: Annotated[tuple[WebhookKind, ...], Field(min_length=1)] = tuple(WebhookKind)
    webhook_seconds: Annotated[int, Field(ge=0, le=WEBHOOK_DELAY_MAX_SECONDS)] = 3_600
    """The longest delay of a webhook."""


PlannedT = TypeVar("PlannedT", bound=_Planned)


class Faults:
    """The plans, in order; the first fault that matches takes the request or the webhook, else chance has its turn."""

    def __init__(self) -> None:
        self._requests: list[Fault] = []
        self._webhooks: list[WebhookFault] = []
        self._random: Randomly | None = None
        self._seen: Counter[str] = Counter()
        self._happened: Counter[str] = Counter()

    def document(self) -> Document:
        """What is planned, and what has happened, by kind."""
        return {
            "faults": [fault.model_dump(mode="json") for fault in self._requests],
            "webhooks": [fault.model_dump(mode="json") for fault in self._webhooks],
            "random": None if self._random is None else self._random.model_dump(mode="json"),
            "happened": dict(self._happened),
        }

    def add(self, fault: Fault | WebhookFault) -> None:
        if len(self._requests) + len(self._webhooks) >= FAULTS_MAX:
            raise StripeError(f"At most {FAULTS_MAX} faults at once.")
        if isinstance(fault, Fault):
            self._requests.append(fault)
        else:
            self._webhooks.append(fault)

    def at_random(self, wanted: Randomly) -> None:
        """From now on, in place of what chance did before."""
        self._random = wanted
        self._seen.clear()

    def clear(self) -> None:
        self._requests.clear()
        self._webhooks.clear()
        self._random = None

    def take(self, method: str, path: str, key: str | None) -> Fault | None:
        """The fault for this request, if any; it counts as used."""
        if not self._requests and self._random is None:
            return None
        fitting = [f for f in self._requests if f.method in {None, method} and fnmatchcase(path, f.path)]
        fault = _use(self._requests, fitting[0]) if fitting else self._chance(method, path, key)
        if fault is not None:
            self._happened[fault.kind.value] += 1
        return fault

    def take_webhook(self, event: Event) -> WebhookFault | None:
        """The fault for this delivery, if any; it counts as used."""
        if not self._webhooks and self._random is None:
            return None
        fitting = [f for f in self._webhooks if fnmatchcase(event.type, f.type)]
        fault = _use(self._webhooks, fitting[0]) if fitting else self._webhook_chance(event)
        if fault is not None:
            self._happened[f"webhook_{fault.kind.value}"] += 1
        return fault

    def _chance(self, method: str, path: str, key: str | None) -> Fault | None:
        wanted = self._random
        if wanted is None or not fnmatchcase(path, wanted.path):
            return None
        dice = self._dice(wanted.seed, key or endpoint_of(method, path))
        if dice.random() >= wanted.rate:
            return None
        return Fault(
            kind=dice.choice(wanted.kinds),
            when=dice.choice(("before", "after")),
            status=dice.choice((500, 502, 503, 504)),
            seconds=dice.uniform(0, wanted.seconds),
        )

    def _webhook_chance(self, event: Event) -> WebhookFault | None:
        wanted = self._random
        if wanted is None:
            return None
        dice = self._dice(wanted.seed, f"{event.type} {event.origin.idempotency_key}")
        if dice.random() >= wanted.webhook_rate:
            return None
        return WebhookFault(kind=dice.choice(wanted.webhook_kinds), seconds=dice.randint(0, wanted.webhook_seconds))

    def _dice(self, seed: int, what: str) -> Random:
        self._seen[what] += 1
        return Random(f"{seed} {what} {self._seen[what]}")


def _use(plan: list[PlannedT], fault: PlannedT) -> PlannedT | None:
    """Count the fault down: what it skips passes."""
    at = plan.index(fault)
    if fault.skip:
        plan[at] = fault.model_copy(update={"skip": fault.skip - 1})
        return None
    if fault.count == 1:
        del plan[at]
    else:
        plan[at] = fault.model_copy(update={"count": fault.count - 1})
    return fault
