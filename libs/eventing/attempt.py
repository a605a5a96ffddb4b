"""One group on its way to a commit: one transaction, begun again until everybody in it has an answer.

Handlers that touch what was not loaded ask for it, and the transaction starts over with it. An event that cannot be
taken in is parked, and what the database refuses to store is that member's fault alone.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import asyncpg
import structlog

from contracts.envelope import Envelope
from eventing.clock import DatabaseClock
from eventing.database import Connection
from eventing.definition import Definition, Handler
from eventing.faults import Fault, fault_of
from eventing.idempotency import IDEMPOTENCY, Idempotency, answer_once
from eventing.refusal import Refusal, Unavailable
from eventing.store import Taken, park, take_in
from eventing.work import Context, Need, NeedsMore, Wanted, Work

AGAIN: Final = "Send this again with the same Idempotency-Key: it takes effect once."
ROUNDS_MAX: Final = 50  # A handler whose needs never end is a bug.

log = structlog.get_logger(__name__)


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


class _Poisoned(Exception):  # noqa: N818 - a request to run again without these
    def __init__(self, culprits: Mapping[Member, BaseException]) -> None:
        self.culprits = culprits


class _UnwrittenError(Exception):
    """The database refused what the group wrote, because of one of its members."""


class Attempt:
    """Who is still in the group, what it needs, and who was found to be poison."""

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
            decide = partial(member.handler.handle, work, member.message)
            return answer_once(work, member.idempotency, decide) if member.idempotency else decide()
        except NeedsMore:
            raise
        except Refusal as refusal:
            work.undo(mark)
            return refusal
        except Exception as bug:  # one member's bug must not harm its neighbours
            work.undo(mark)
            log.exception("member_failed", message=type(member.message).__name__)
            return bug
