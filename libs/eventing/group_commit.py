"""Group commit: what waits at the doors runs in one transaction, and everybody is answered after it.

While a transaction runs, what arrives next waits and becomes the next group: an idle service commits at once,
a busy one in larger groups. What nobody waits for has a lane of its own, where it is gathered for a moment first and
holds up nobody. One group at a time per lane; lanes and replicas meet at the row locks.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import structlog

from contracts.envelope import Envelope
from contracts.event import Event
from eventing.attempt import AGAIN, Attempt, Delivery, Member
from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.definition import Answer, Definition
from eventing.faults import Fault, fault_of
from eventing.idempotency import Idempotency
from eventing.lane import Lane
from eventing.log import correlation_id
from eventing.metrics import Metrics
from eventing.refusal import Unavailable
from eventing.telemetry import current_traceparent
from eventing.work import Context, Recorded, Work

COMMANDS_WAITING_MAX: Final = 5_000  # About a second of work; past it an early 503 beats a late answer.
COMMAND_PATIENCE_SECONDS: Final = 5.0  # With the database away a command is told so after this.
RACES_MAX: Final = 5  # A group that loses this many races is searched for a member whose fault it is.
BACKOFF_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

log = structlog.get_logger(__name__)


def current_context() -> Context:
    """The trace and the correlation id of the request that is being handled."""
    return Context(current_traceparent(), correlation_id.get())


class GroupCommit:
    """The one writer of a process. `run()` works until `stop()`; doors call `execute` and `take_in`."""

    def __init__(
        self,
        pool: Pool,
        definition: Definition,
        clock: DatabaseClock | None = None,
        after_commit: Iterable[Callable[[Work], None]] = (),
        metrics: Metrics | None = None,
        *,
        gather_seconds: float = 0.0,
        version_floor: int = 0,
    ) -> None:
        self._pool = pool
        self._definition = definition
        self.version_floor = version_floor
        self._clock = clock or DatabaseClock()
        self._after_commit = tuple(after_commit)
        self._metrics = metrics or Metrics()
        self._hurried, self._patient = Lane(), Lane(gather_seconds)

    async def execute(
        self, command: Any, *, idempotency: Idempotency | None = None, context: Context | None = None
    ) -> Answer:
        """Decide a command and answer after the commit. A caller that hangs up cancels nothing.

        Raises:
            Refusal: A rule of the domain says no; nothing was recorded.
            Unavailable: The database is away, or too much is waiting.
        """
        lane = self._lane_of(command)
        if lane.stopping or len(lane.commands) >= COMMANDS_WAITING_MAX:
            raise Unavailable(f"The service is busy or stopping. {AGAIN}")
        handler = self._definition.commands[type(command)]
        delivery = Delivery(1)
        origin = context or current_context()
        lane.add_command(Member(command, delivery, time.monotonic(), handler, origin, idempotency))
        return await asyncio.shield(delivery.done)

    async def take_in(self, events: Sequence[tuple[Envelope, Event]]) -> None:
        """Take in foreign events: stored, projected and reacted to, or parked. Returns after the commit."""
        if self._hurried.stopping:
            raise Unavailable("The service is stopping")
        if not events:
            return
        since, delivery = time.monotonic(), Delivery(len(events))
        reactions = self._definition.reactions
        lanes: dict[Lane, list[Member]] = {}
        for e, event in events:
            recorded = Recorded(event, e.id, e.source, e.subject, e.version, e.time)
            member = Member(recorded, delivery, since, reactions.get(type(event)), envelope=e)
            lanes.setdefault(self._lane_of(recorded), []).append(member)
        for lane, members in lanes.items():
            lane.add_message(members)
        await asyncio.shield(delivery.done)

    async def run(self) -> None:
        """Commit group after group, in each lane, until `stop()` and nothing is left."""
        async with asyncio.TaskGroup() as lanes:
            for lane in (self._hurried, self._patient):
                lanes.create_task(self._commit_all(lane), name="group commit")

    def stop(self) -> None:
        """Take nothing new; `run()` returns when what waits is committed."""
        self._hurried.stop()
        self._patient.stop()

    def _lane_of(self, message: Any) -> Lane:
        return self._patient if self._definition.patient(message) else self._hurried

    async def _commit_all(self, lane: Lane) -> None:
        while group := await lane.next_group():
            await self._commit(group)

    async def _commit(self, group: list[Member]) -> None:
        """Run a group until it is committed; what one member is to blame for is that member's alone."""
        attempt = Attempt(self._definition, self._clock, group, self.version_floor)
        started = time.monotonic()
        races = faults = 0
        while attempt.members:
            try:
                async with self._pool.acquire() as connection:
                    work, results = await attempt.run(connection)
            except Exception as error:  # noqa: BLE001 - sorted by kind; every kind ends in an answer
                fault = fault_of(error)
                self._metrics.group_reruns.labels(fault.value).inc()
                log.warning("group_failed", fault=fault.value, error=repr(error), members=len(group))
                races += fault is Fault.RACE
                if fault is Fault.MEMBER or races > RACES_MAX:
                    if len(attempt.members) > 1:
                        middle = len(attempt.members) // 2
                        await self._commit(attempt.members[:middle])
                        await self._commit(attempt.members[middle:])
                        return
                    attempt.blame(attempt.members[0], error)
                elif fault is Fault.AWAY:
                    attempt.give_up_commands(older_than=time.monotonic() - COMMAND_PATIENCE_SECONDS)
                    await asyncio.sleep(BACKOFF_SECONDS[min(faults, len(BACKOFF_SECONDS) - 1)])
                    faults += 1
            else:
                self._metrics.group_seconds.observe(time.monotonic() - started)
                self._metrics.group_members.observe(len(group))
                for listener in self._after_commit:
                    listener(work)
                for member, result in results.items():
                    member.answer(result)
                for reason in attempt.parked:
                    self._metrics.parked.labels(type(reason).__name__).inc()
                return
