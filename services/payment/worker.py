"""Works the operations: leases what is due, asks the provider with no transaction open, records what came of it.

Any number of workers may run. A lease is a token in the row: whoever holds it may record the outcome. A worker that
dies leaves a lease that runs out; the next one asks again under the same key, which the provider answers as before.
"""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, assert_never
from uuid import UUID, uuid4

import structlog

from contracts.money import Money
from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from eventing.refusal import Unavailable
from eventing.work import Work
from payment.domain_events import Kind
from payment.gateway import Contention, Mismatch, NoEffect, Outcome, Provider, Request, Throttled, Unknown
from payment.handlers import Decide, PutOff
from payment.tables import OPERATIONS, OperationRow, State

log = structlog.get_logger(__name__)

# In time-outs of one call. Reading back, the call itself and recording take three of them at the very worst; and a
# call starts only if the lease outlives its time-out and the recording.
LEASE_TIMEOUTS: Final = 4.0
MARGIN_TIMEOUTS: Final = 4 / 3
TIMEOUT_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.5  # Commits of this process wake the worker; this is for what is due by time or by others.
# A commit takes longer than a call on a busy machine. Past this, answers come faster than they can be recorded.
ANSWERS_PER_CALL: Final = 6
STOP_SECONDS: Final = 8.0  # Calls under way may end before the process does; what does not is asked again later.
READ_BACK_FROM_SEND: Final = 3  # Twice under the same key, then look first.
SEND_UNTIL: Final = timedelta(hours=20)  # An operation older than this is read back, never sent (DOMAIN Y2).
KEY_LIFE: Final = timedelta(hours=25)  # A day, and room for a slow clock: from then on a creation not there is proof.

UNKNOWN_SECONDS: Final[tuple[float, ...]] = (1, 2, 5, 10, 30, 60, 300, 600, 1_800, 3_600)
THROTTLED_SECONDS: Final[tuple[float, ...]] = (0.5, 1, 2, 4, 8, 15, 30)
CONTENTION_SECONDS: Final[tuple[float, ...]] = (0.2, 0.5, 1, 2, 5)
JITTER: Final = (0.8, 1.2)  # Many that failed together do not come back together.

_CREATIONS: Final = frozenset((Kind.AUTHORIZE, Kind.CHARGE, Kind.PAYOUT))

_COLUMNS: Final = ", ".join(f"operation.{column.name}" for column in OPERATIONS.columns)

_LEASE: Final = f"""
    WITH due AS (
        SELECT operation_id
          FROM operation
         WHERE state = 'waiting' AND due_at <= $1
         ORDER BY (kind IN ('authorize', 'charge')) DESC, due_at  -- people at the checkout come before settlements
         LIMIT $2
           FOR UPDATE SKIP LOCKED
    )
    UPDATE operation
       SET state = 'leased',
           lease_token = $3,
           lease_until = $1 + $4,
           sends = sends + 1,
           first_sent_at = coalesce(first_sent_at, $1)
      FROM due
     WHERE operation.operation_id = due.operation_id
    RETURNING {_COLUMNS}
"""  # noqa: S608 - names from the code

_FREE_RUN_OUT: Final = """
    UPDATE operation
       SET state = 'waiting', lease_token = NULL, lease_until = NULL, outcome = 'unknown: the worker was lost'
     WHERE operation_id IN (
        SELECT operation_id
          FROM operation
         WHERE state = 'leased' AND lease_until < $1
         ORDER BY operation_id
           FOR UPDATE SKIP LOCKED
     )
"""


@dataclass(frozen=True)
class Leased:
    row: OperationRow
    token: UUID
    now: datetime  # by the database clock, when leased
    until: float  # on this process's monotonic clock, which goes on while the process is frozen

    @property
    def age(self) -> timedelta:
        return self.now - (self.row.first_sent_at or self.now)


@dataclass
class Worker:
    """`concurrency` calls at once. `destination`: the account that all payouts go to, empty: one by creator.

    `timeout_seconds` is how long the provider waits for one answer; leases are as many times as long as they must be,
    and no longer, since what a killed worker held waits for them.
    """

    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock
    provider: Provider
    concurrency: int
    wake: asyncio.Event
    destination: str = ""
    timeout_seconds: float = TIMEOUT_SECONDS
    _working: set["asyncio.Task[None]"] = field(default_factory=set)
    _calls: int = 0
    _called: asyncio.Event = field(default_factory=asyncio.Event)
    _freed_at: float = float("-inf")

    async def run_once(self) -> bool:
        """Start what is due; returns when there may be more or it is time to look again."""
        try:
            # Freed slots are filled by the quarter, so that leases are taken many rows at a time.
            while (free := self._free()) < max(1, self.concurrency // 4):
                self._called.clear()
                await self._called.wait()
            self.wake.clear()
            leased = await self._lease(free)
            self._calls += len(leased)
            for one in leased:
                task = asyncio.create_task(self._work(one))
                self._working.add(task)
                task.add_done_callback(self._done)
            if len(leased) < free:
                await self._rest()
        except asyncio.CancelledError:
            await self._finish()
            raise
        return True

    def _free(self) -> int:
        """How many more may be asked: an answer that only waits to be recorded is no call any more."""
        return min(self.concurrency - self._calls, self.concurrency * ANSWERS_PER_CALL - len(self._working))

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._working.discard(task)
        self._called.set()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self.wake.wait()
        except TimeoutError:
            pass

    async def _finish(self) -> None:
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _lease(self, limit: int) -> list[Leased]:
        token, since, seconds = uuid4(), self.clock.monotonic(), LEASE_TIMEOUTS * self.timeout_seconds
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            if since - self._freed_at > 1:
                await connection.execute(_FREE_RUN_OUT, now)
                self._freed_at = since
            rows = await connection.fetch(_LEASE, now, limit, token, timedelta(seconds=seconds))
        return [Leased(OPERATIONS.load(row), token, now, since + seconds) for row in rows]

    async def _work(self, leased: Leased) -> None:
        row = leased.row
        try:
            async with asyncio.timeout_at(leased.until - self.clock.monotonic() + asyncio.get_running_loop().time()):
                try:
                    outcome = await self._ask(leased)
                finally:
                    self._calls -= 1
                    self._called.set()
                await self._record(leased, outcome)
        except TimeoutError:
            log.warning("lease_ran_out", operation=str(row.operation_id), kind=row.kind)
        except Exception:
            log.exception("operation_failed", operation=str(row.operation_id), kind=row.kind)

    async def _ask(self, leased: Leased) -> Outcome:
        """Read back where that is due, else send, unless the lease is nearly over or the key too old."""
        row = leased.row
        if row.reference is not None or row.sends >= READ_BACK_FROM_SEND or leased.age > SEND_UNTIL:
            found = await self._find(row)
            if not isinstance(found, NoEffect) or row.kind not in _CREATIONS or leased.age > KEY_LIFE:
                return found
        if leased.age > SEND_UNTIL:
            return Unknown("too old to be sent again, too young for its absence to be proof")
        if self.clock.monotonic() > leased.until - MARGIN_TIMEOUTS * self.timeout_seconds:
            return Unknown("the lease is nearly over")
        return await self._send(row)

    async def _send(self, row: OperationRow) -> Outcome:
        request = _request(row)
        match row.kind:
            case Kind.AUTHORIZE:
                return await self.provider.authorize(request, row.counterpart)
            case Kind.CHARGE:
                return await self.provider.charge(request, row.counterpart)
            case Kind.CAPTURE:
                return await self.provider.capture(request, row.counterpart)
            case Kind.VOID:
                return await self.provider.void(request, row.counterpart)
            case Kind.REFUND:
                return await self.provider.refund(request, row.counterpart)
            case Kind.PAYOUT:
                return await self.provider.transfer(request, self.destination or account_of(UUID(row.counterpart)))
            case _:
                assert_never(row.kind)

    async def _find(self, row: OperationRow) -> Outcome:
        request = _request(row)
        match row.kind:
            case Kind.AUTHORIZE | Kind.CHARGE:
                return await self.provider.find_payment(request, row.first_sent_at or row.created_at, row.reference)
            case Kind.CAPTURE:
                return await self.provider.find_capture(request, row.counterpart)
            case Kind.VOID:
                return await self.provider.find_void(request, row.counterpart)
            case Kind.REFUND:
                return await self.provider.find_refund(request, row.counterpart)
            case Kind.PAYOUT:
                return await self.provider.find_transfer(request)
            case _:
                assert_never(row.kind)

    async def _record(self, leased: Leased, outcome: Outcome) -> None:
        """Through the group commit; with the database away, for as long as the lease lasts."""
        row = leased.row
        command: Decide | PutOff
        if isinstance(outcome, Throttled | Contention | Unknown):
            command = put_off(row, leased.token, outcome)
        else:
            command = Decide(row.operation_id, row.subject_id, row.kind, leased.token, outcome)
        while True:
            try:
                answer = await self.commit.execute(command)
            except Unavailable:
                await asyncio.sleep(POLL_SECONDS)
                continue
            break
        if not answer["recorded"]:
            log.warning("outcome_too_late", operation=str(row.operation_id), kind=row.kind)
        elif isinstance(outcome, Mismatch) or answer.get("stopped"):
            log.error("operation_stopped", operation=str(row.operation_id), kind=row.kind, outcome=repr(outcome))


def put_off(row: OperationRow, token: UUID, outcome: Throttled | Contention | Unknown) -> PutOff:
    match outcome:
        case Throttled():
            schedule, text = THROTTLED_SECONDS, "throttled"
        case Contention():
            schedule, text = CONTENTION_SECONDS, "contention"
        case Unknown(reason):
            schedule, text = UNKNOWN_SECONDS, f"unknown: {reason}"
        case _:
            assert_never(outcome)
    seconds = schedule[min(row.sends, len(schedule)) - 1] * random.uniform(*JITTER)
    return PutOff(row.operation_id, token, text, seconds)


def account_of(creator_id: UUID) -> str:
    """The creator's connected account, by the convention of the sandbox and of demos: `acct_` and the person's id."""
    return f"acct_{creator_id.hex}"


def wakes(wake: asyncio.Event, work: Work) -> None:
    """After a commit: let the worker know of operations that are due."""
    if any(
        table is OPERATIONS and row is not None and row.state is State.WAITING and row.due_at <= work.now
        for table, row in work.changed
    ):
        wake.set()


def _request(row: OperationRow) -> Request:
    return Request(
        operation_id=row.operation_id,
        campaign_id=row.campaign_id,
        pledge_id=None if row.kind is Kind.PAYOUT else row.subject_id,
        amount=Money(amount=row.amount, currency=row.currency),
        key=row.key,
    )
