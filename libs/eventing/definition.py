"""What a service is made of, as far as the eventing core is concerned: plain data, wired in its `app.py`."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from contracts.event import Event
from contracts.registry import PUBLIC_EVENTS
from eventing.database import Connection
from eventing.idempotency import IDEMPOTENCY
from eventing.tables import Counters, Table
from eventing.work import Need, Projector, Recorded, Work

Answer: TypeAlias = Mapping[str, Any]


def no_needs(_message: Any) -> Iterable[Need]:
    return ()


def nothing(_message: Any) -> bool:
    return False


def every_event(message: Any) -> bool:
    return isinstance(message, Recorded)


@dataclass(frozen=True)
class Handler:
    """What runs inside the group's transaction for one kind of command or event: `handle(work, message)`.

    A command's handler returns the answer, JSON values only. It raises a Refusal where a rule says no.
    `needs` names the rows and streams that it will touch, so that the group loads them at once.
    A handler with `read` runs in a group of its own: `read` queries the database after the locks, within the
    transaction, and `handle` finds the result in `work.read`.
    """

    handle: Callable[[Work, Any], Any]
    needs: Callable[[Any], Iterable[Need]] = no_needs
    read: Callable[[Connection, Any], Awaitable[Any]] | None = None


@dataclass(frozen=True)
class Projection:
    """Tables that are a function of the events in the store, and of nothing else: they can be rebuilt.

    Every handler gives the same result in any order of events and under any repetition.
    """

    name: str
    tables: tuple[Table[Any] | Counters[Any], ...]
    handlers: Mapping[type[Event], Projector]
    needs: Callable[[Recorded], Iterable[Need]] = no_needs


@dataclass(frozen=True)
class Definition:
    """`tables` are decision tables in the order in which they are locked; a rebuild does not touch them.

    `patient`: whether nobody waits for what a command or a Recorded event does. Such are committed beside all others,
    and may wait for each other for `gather_seconds`.
    """

    source: str
    commands: Mapping[type[Any], Handler] = field(default_factory=dict)
    reactions: Mapping[type[Event], Handler] = field(default_factory=dict)
    projections: tuple[Projection, ...] = ()
    tables: tuple[Table[Any], ...] = ()
    private_events: tuple[type[Event], ...] = ()
    patient: Callable[[Any], bool] = nothing
    gather_seconds: float = 0.0

    @cached_property
    def models(self) -> Mapping[str, type[Event]]:
        return {**PUBLIC_EVENTS, **{event.type: event for event in self.private_events}}

    @cached_property
    def order(self) -> tuple[Table[Any] | Counters[Any], ...]:
        """All tables, in the one order in which every group of every replica locks and writes them."""
        projected = (table for projection in self.projections for table in projection.tables)
        return (IDEMPOTENCY, *self.tables, *projected)

    @cached_property
    def projectors(self) -> Mapping[str, tuple[Projector, ...]]:
        found: dict[str, tuple[Projector, ...]] = {}
        for projection in self.projections:
            for event, handler in projection.handlers.items():
                found[event.type] = (*found.get(event.type, ()), handler)
        return found

    def work(self, names: Mapping[str, str] | None = None, version_floor: int = 0) -> Work:
        return Work(
            source=self.source,
            models=self.models,
            order=self.order,
            projectors=self.projectors,
            names=names,
            version_floor=version_floor,
        )

    def projection_needs(self, recorded: Recorded) -> Iterator[Need]:
        for projection in self.projections:
            if type(recorded.event) in projection.handlers:
                yield from projection.needs(recorded)
