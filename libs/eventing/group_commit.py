"""Group commit: what waits at the doors runs in one transaction, and everybody is answered after it.

While a transaction runs, what arrives next waits and becomes the next group: an idle service commits at once,
a busy one in larger groups. One group at a time per process; replicas meet at the row locks. Where nobody waits for
what an event does, events may be gathered for a moment first.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import asyncpg
import structlog
from pydantic_core import from_json, to_json

from contracts.envelope import Envelope
from contracts.event import Event
from eventing.clock import DatabaseClock
from eventing.database import Connection, Pool
from eventing.definition import IDEMPOTENCY, Answer, Definition, Handler, IdempotencyRow
from eventing.faults import Fault, fault_of
from eventing.log import correlation_id
from eventing.metrics import Metrics
from eventing.refusal import Refusal, Unavailable
from eventing.store import Taken, park, take_in
from eventing.telemetry import current_traceparent
from eventing.work import Context, Need, NeedsMore, Recorded, Wanted, Work

GROUP_MEMBERS_MAX: Final = 500  # Larger groups save nothing more per member and keep locks longer.
GATHERED_MESSAGES_MAX: Final = 20  # No more come before these are answered: what a consumer prefetches.
COMMANDS_WAITING_MAX: Final = 5_000  # About a second of work; past it an early 503 beats a late answer.
COMMAND_PATIENCE_SECONDS: Final = 5.0  # With the database away a command is told so after this.
AGAIN: Final = "Send this again with the same Idempotency-Key: it takes effect once."
RACES_MAX: Final = 5  # A group that loses this many races is searched for a member whose fault it is.
ROUNDS_MAX: Final = 50  # A handler whose needs never end is a bug.
BACKOFF_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

log = structlog.get_logger(__name__)


class IdempotencyMismatch(Refusal):
    code = "idempotency-key-reused"
    title = "This Idempotency-Key was used for another command"
    status = 422


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Whose key, and a digest of the whole command (DOMAIN P10)."""

    person_id: UUID
    key: str
    fingerprint: str


class Delivery:
    """Several members that are waited for together; `done` resolves when the last of them is answered."""

    __slots__ = ("_failure", "_left", "done")

    def __init__(self, members: int) -> None:
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._left = members
        self._failure: BaseException | None = None

    def answer(self, result: Any) -> None:
        if isinstance(result, BaseException):
            self._failure = result
        self._left -= 1
        if self._left or self.done.done():
            return
        if self._failure is None:
            self.done.set_result(result)
        else:
            self.done.set_exception(self._failure)
            self.done.exception()  # read here: whoever asked may have hung up


@dataclass(slots=True, eq=False)
class Member:
    """One command or one event in a group."""

    message: Any  # a command, or a Recorded event
    delivery: Delivery
    since: float
    handler: Handler | None
    context: Context | None = None  # a command's; an event's is made of its envelope
    idempotency: Idempotency | None = None
    envelope: Envelope | None = None  # an event as it came

    def answer(self, result: Any) -> None:
        self.delivery.answer(result)

    @property
    def origin(self) -> Context:
        """What the events that this member causes carry on."""
        if self.envelope is None:
            return self.context or Context()
        return Context(self.envelope.traceparent, self.envelope.correlation_id, str(self.envelope.id))


Results: TypeAlias = dict[Member, Any]


def current_context() -> Context:
    """The trace and the correlation id of the request that is being handled."""
    return Context(current_traceparent(), correlation_id.get())


class _Poisoned(Exception):  # noqa: N818 - a request to run again without these
    def __init__(self, culprits: Mapping[Member, BaseException]) -> None:
        self.culprits = culprits


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
        self._gather_seconds = gather_seconds
        self._version_floor = version_floor
        self._clock = clock or DatabaseClock()
        self._after_commit = tuple(after_commit)
        self._metrics = metrics or Metrics()
        self._commands: deque[Member] = deque()
        self._events: deque[Member] = deque()
        self._messages = 0  # taken in and not yet answered
        self._wake = asyncio.Event()
        self._stopping = False

    async def execute(
        self, command: Any, *, idempotency: Idempotency | None = None, context: Context | None = None
    ) -> Answer:
        """Decide a command and answer after the commit. A caller that hangs up cancels nothing.

        Raises:
            Refusal: A rule of the domain says no; nothing was recorded.
            Unavailable: The database is away, or too much is waiting.
        """
        if self._stopping or len(self._commands) >= COMMANDS_WAITING_MAX:
            raise Unavailable(f"The service is busy or stopping. {AGAIN}")
        handler = self._definition.commands[type(command)]
        delivery = Delivery(1)
        origin = context or current_context()
        self._commands.append(Member(command, delivery, time.monotonic(), handler, origin, idempotency))
        self._wake.set()
        return await asyncio.shield(delivery.done)

    async def take_in(self, events: Sequence[tuple[Envelope, Event]]) -> None:
        """Take in foreign events: stored, projected and reacted to, or parked. Returns after the commit."""
        if self._stopping:
            raise Unavailable("The service is stopping")
        if not events:
            return
        since, delivery = time.monotonic(), Delivery(len(events))
        reactions = self._definition.reactions
        for e, event in events:
            recorded = Recorded(event, e.id, e.source, e.subject, e.version, e.time)
            self._events.append(Member(recorded, delivery, since, reactions.get(type(event)), envelope=e))
        self._messages += 1
        delivery.done.add_done_callback(self._answered)
        self._wake.set()
        await asyncio.shield(delivery.done)

    async def run(self) -> None:
        """Commit group after group until `stop()` and nothing is left."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._commands or self._events:
                await self._gather()
                await self._commit(self._next_group())
            if self._stopping:
                return

    def _answered(self, _done: "asyncio.Future[Any]") -> None:
        self._messages -= 1

    async def _gather(self) -> None:
        """Let events wait for more of them, for as long as that harms nobody."""
        if not self._gather_seconds:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._gather_seconds):
                while not (self._commands or self._stopping or self._full()):
                    await self._wake.wait()
                    self._wake.clear()

    def _full(self) -> bool:
        return len(self._events) >= GROUP_MEMBERS_MAX or self._messages >= GATHERED_MESSAGES_MAX

    def stop(self) -> None:
        """Take nothing new; `run()` returns when what waits is committed."""
        self._stopping = True
        self._wake.set()

    def _next_group(self) -> list[Member]:
        """Commands first: a person waits for them. A handler with a query of its own runs alone."""
        group: list[Member] = []
        for queue in (self._commands, self._events):
            while queue and len(group) < GROUP_MEMBERS_MAX:
                alone = queue[0].handler is not None and queue[0].handler.read is not None
                if alone and group:
                    return group
                group.append(queue.popleft())
                if alone:
                    return group
        return group

    async def _commit(self, group: list[Member]) -> None:
        """Run a group until it is committed; what one member is to blame for is that member's alone."""
        attempt = _Attempt(self._definition, self._clock, group, self._version_floor)
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


class _UnwrittenError(Exception):
    """The database refused what the group wrote, because of one of its members."""


class _Attempt:
    """One group on its way to a commit: who is still in it, what it needs, and who was found to be poison."""

    def __init__(self, definition: Definition, clock: DatabaseClock, members: list[Member], version_floor: int) -> None:
        self.members = members
        self._version_floor = version_floor
        self._definition = definition
        self._clock = clock
        self._poison: dict[Member, BaseException] = {}
        self._found: list[Need] = []  # needs that only showed while deciding
        self._halving = False  # the next run looks for the member whose writing the database refuses

    @property
    def parked(self) -> Iterable[BaseException]:
        return self._poison.values()

    def blame(self, member: Member, error: BaseException) -> None:
        """A member that cannot be committed: an event is parked by the next run, a command answered."""
        if member.envelope is None or member in self._poison:
            member.answer(error)
            self.members = []
        else:
            self._poison[member] = error

    def give_up_commands(self, older_than: float) -> None:
        """Tell those who waited long enough; events wait on, unacknowledged."""
        late = [m for m in self.members if m.envelope is None and m.since < older_than]
        for member in late:
            member.answer(Unavailable(f"The database cannot be reached. {AGAIN}"))
        self.members = [m for m in self.members if m not in late]

    async def run(self, connection: Connection) -> tuple[Work, Results]:
        """The transaction, started over when handlers ask for more or an event turns out to be poison."""
        for _ in range(ROUNDS_MAX):
            try:
                async with connection.transaction():
                    return await self._transact(connection)
            except NeedsMore as more:
                self._found.extend(more.needs)
            except _Poisoned as poisoned:
                self._poison.update(poisoned.culprits)
            except _UnwrittenError:
                self._halving = True
        msg = "the handlers never stop asking for more rows"
        raise RuntimeError(msg)

    async def _transact(self, connection: Connection) -> tuple[Work, Results]:
        events = [m for m in self.members if m.envelope is not None and m not in self._poison]
        verdicts = await take_in(connection, [m.envelope for m in events if m.envelope is not None])
        taken = dict(zip(events, verdicts, strict=True))
        impostors = {m: verdict for m, verdict in taken.items() if isinstance(verdict, Exception)}
        if impostors:
            raise _Poisoned(impostors)
        for member, error in self._poison.items():
            await park(connection, member.envelope, error)
        fresh = [m for m in self.members if m.envelope is None or taken.get(m) is Taken.NEW]
        work = self._definition.work(version_floor=self._version_floor)
        await work.load(connection, self._wanted(fresh))
        handlers = [(m.handler, m.message) for m in fresh if m.handler is not None]
        if handlers:  # projections know no clock
            work.now = await self._clock.now(connection)
        for handler, message in handlers:
            if handler.read is not None:
                work.read = await handler.read(connection, message)
        results: Results = dict.fromkeys(self.members)
        settle = self._settle_by_halves if self._halving else self._settle
        results.update(await settle(connection, work, fresh))
        culprits = {m: e for m, e in results.items() if m.envelope and isinstance(e, Exception)}
        if culprits:
            raise _Poisoned(culprits)
        return work, results

    def _wanted(self, members: list[Member]) -> Wanted:
        wanted = Wanted(self._found)
        for member in members:
            if member.handler is not None:
                wanted.add(member.handler.needs(member.message))
            if member.idempotency is not None:
                wanted.add(((IDEMPOTENCY, (member.idempotency.person_id, member.idempotency.key)),))
            if member.envelope is not None:
                wanted.add(self._definition.projection_needs(member.message))
        return wanted

    async def _settle(self, connection: Connection, work: Work, members: list[Member]) -> Results:
        """Decide and write. Without a savepoint, which would cost every group two round trips.

        Raises:
            _UnwrittenError: Somebody's data cannot be written; the next run finds out whose.
        """
        results = self._decide_all(work, members)
        try:
            await work.flush(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if fault_of(error) is Fault.MEMBER:
                raise _UnwrittenError from error
            raise
        return results

    async def _settle_by_halves(self, connection: Connection, work: Work, members: list[Member]) -> Results:
        """Decide and write; if the writing fails, halve until the member whose fault it is stands alone."""
        mark = work.mark()
        results = self._decide_all(work, members)
        try:
            async with connection.transaction():
                await work.flush(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if fault_of(error) is not Fault.MEMBER:
                raise
            work.undo(mark)
            if len(members) == 1:
                return {members[0]: error}
            middle = len(members) // 2
            left = await self._settle_by_halves(connection, work, members[:middle])
            return left | await self._settle_by_halves(connection, work, members[middle:])
        return results

    def _decide_all(self, work: Work, members: list[Member]) -> Results:
        """Decide one after the other. What is missing is asked for at once, for all of them.

        Raises:
            NeedsMore: Something was not loaded; nothing of these results counts.
        """
        results: Results = {}
        missing: list[Need] = []
        for member in members:
            mark = work.mark()
            try:
                results[member] = self._decide(work, member)
            except NeedsMore as more:
                work.undo(mark)
                missing.extend(more.needs)
        if missing:
            raise NeedsMore(*missing)
        return results

    def _decide(self, work: Work, member: Member) -> Any:
        mark = work.mark()
        try:
            if member.envelope is not None:
                work.project(member.message)
            if member.handler is None:
                return None
            work.context = member.origin
            if member.envelope is not None:
                return member.handler.handle(work, member.message)
            return self._answer_once(work, member, member.handler)
        except NeedsMore:
            raise
        except Refusal as refusal:
            work.undo(mark)
            return refusal
        except Exception as bug:  # one member's bug must not harm its neighbours
            work.undo(mark)
            log.exception("member_failed", message=type(member.message).__name__)
            return bug

    @staticmethod
    def _answer_once(work: Work, member: Member, handler: Handler) -> Answer:
        mine = member.idempotency
        if mine is None:
            return handler.handle(work, member.message)  # type: ignore[no-any-return]  # see Handler
        before = work.get(IDEMPOTENCY, mine.person_id, mine.key)
        if before is not None:
            if before.fingerprint != mine.fingerprint:
                raise IdempotencyMismatch("Use a new Idempotency-Key for a new command.")
            return from_json(before.answer_json)  # type: ignore[no-any-return]  # written below
        answer: Answer = handler.handle(work, member.message)
        stored = to_json(answer).decode()
        work.put(IDEMPOTENCY, IdempotencyRow(mine.person_id, mine.key, mine.fingerprint, stored, work.now))
        return answer
