"""Works the operations: leases what is due, asks the provider with no transaction open, records what came of it.

Any number of workers may run. A lease is a token in the row: whoever holds it may record the outcome. A worker that
dies leaves a lease that runs out; the next one asks again under the same key, which the provider answers as before.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from eventing.refusal import Unavailable
from eventing.restored import before_restore
from eventing.work import Work
from payment import operations
from payment.buckets import Budget
from payment.budget import Lane
from payment.calls import TICKET
from payment.domain_events import Kind
from payment.gateway import (
    ActionRequired,
    Contention,
    Mismatch,
    NoEffect,
    Outcome,
    Provider,
    Throttled,
    Undecided,
    Unknown,
    describe,
)
from payment.handlers import Decide, KeepCustomer, PutOff
from payment.handlers_steps import CREATIONS
from payment.leasing import READ_BACK_FROM_SEND, Leased, Leasing
from payment.tables import OPERATIONS, OperationRow, State

log = structlog.get_logger(__name__)

# In time-outs of one call. Reading back, a customer, the call itself and recording take four of them at the very
# worst; and a call starts only if the lease outlives its time-out and the recording.
LEASE_TIMEOUTS: Final = 5.0
MARGIN_TIMEOUTS: Final = 4 / 3
TIMEOUT_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.5  # Commits of this process wake the worker; this is for what is due by time or by others.
SHORT_SECONDS: Final = 0.05  # Short of tokens: a tenth of what a bucket holds, so that none of them are lost.
# A commit takes longer than a call on a busy machine. Past this, answers come faster than they can be recorded.
ANSWERS_PER_CALL: Final = 6
AHEAD_PER_CALL: Final = 1  # Leased already, so that a call that ends is followed by the next without a round trip.
STOP_SECONDS: Final = 8.0  # Calls under way may end before the process does; what does not is asked again later.
SEND_UNTIL: Final = timedelta(hours=20)  # An operation older than this is read back, never sent (DOMAIN Y2).
KEY_LIFE: Final = timedelta(hours=25)  # A day, and room for a slow clock: from then on a creation not there is proof.

# Looked at 1, 3, 8 and 18 s after the first time, then after 1, 5, 10 and 30 minutes and hourly (DOMAIN Y6).
UNKNOWN_SECONDS: Final[tuple[float, ...]] = (1, 2, 5, 10, 42, 240, 300, 1_200, 1_800, 3_600)
# It is the budget that slows down; one operation only gives way, and at the checkout hardly that.
THROTTLED_SECONDS: Final = 0.5
THROTTLED_CHECKOUT_SECONDS: Final = 0.05
# A webhook says sooner that the backer has been to the bank; the pledge's lease ends the wait (DOMAIN P2).
FOLLOW_SECONDS: Final[tuple[float, ...]] = (5, 10, 20, 30, 60, 120, 300)
CONTENTION_SECONDS: Final[tuple[float, ...]] = (0.2, 0.5, 1, 2, 5)
JITTER: Final = (0.8, 1.2)  # Many that failed together do not come back together.

_CREATIONS: Final = CREATIONS | {Kind.PAYOUT}


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
    budget: Budget | None = None  # None: one of its own, without limits
    _working: set["asyncio.Task[None]"] = field(default_factory=set)
    _calls: int = 0
    _called: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        shared = self.budget or Budget(self.pool, self.clock)
        self._slots = asyncio.Semaphore(self.concurrency)  # one a call
        self._leasing = Leasing(self.pool, self.clock, shared, LEASE_TIMEOUTS * self.timeout_seconds)

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
        ahead = self.concurrency * (1 + AHEAD_PER_CALL)
        return min(ahead - self._calls, self.concurrency * ANSWERS_PER_CALL - len(self._working))

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._working.discard(task)
        self._called.set()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(SHORT_SECONDS if self._leasing.short else POLL_SECONDS):
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
        return await self._leasing.lease(limit)

    async def _work(self, leased: Leased) -> None:
        row = leased.row
        TICKET.set(leased.ticket)  # of this task
        try:
            async with asyncio.timeout_at(leased.until - self.clock.monotonic() + asyncio.get_running_loop().time()):
                try:
                    async with self._slots:
                        outcome = await self._ask(leased)
                finally:
                    self._leasing.budget.meter.give_back(leased.ticket)
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
        if row.kind is Kind.FOLLOW or self._forgotten(leased):
            return await self._look(leased)
        if row.reference is not None or row.sends >= READ_BACK_FROM_SEND or leased.age > SEND_UNTIL:
            found = await operations.find(self.provider, row)
            if not isinstance(found, NoEffect) or row.kind not in _CREATIONS or leased.age > KEY_LIFE:
                return found
        if leased.age > SEND_UNTIL:
            return Unknown("too old to be sent again, too young for its absence to be proof")
        if row.kind in CREATIONS and row.customer is None:
            customer = await self._customer(leased)
            if not isinstance(customer, str):
                return customer
            row = replace(row, customer=customer)
        if self.clock.monotonic() > leased.until - MARGIN_TIMEOUTS * self.timeout_seconds:
            return Unknown("the lease is nearly over")
        return await operations.send(self.provider, row, self.destination)

    def _forgotten(self, leased: Leased) -> bool:
        """Whether the database does not know all that the operation may have done before it was restored."""
        row = leased.row
        in_copy = row.kind in CREATIONS | {Kind.FOLLOW} and before_restore(self.commit.version_floor, row.created_at)
        return leased.forgotten or in_copy

    async def _look(self, leased: Leased) -> Outcome:
        """Look only: at what waits for the backer, or for what may have been sent before the database was restored.

        What is not there never was: a request that was under way then has arrived long before the service is back.
        """
        row = leased.row
        if not self._forgotten(leased):
            return await operations.find(self.provider, row)
        if row.kind in CREATIONS and row.customer is None and not (row.reference and leased.age > SEND_UNTIL):
            if leased.age > SEND_UNTIL:
                return Unknown("it may have been sent before the database was restored")
            customer = await self._customer(leased)  # the same as before: its key lives
            if not isinstance(customer, str):
                return customer
            row = replace(row, customer=customer)
        return await operations.find_forgotten(self.provider, row)

    async def _customer(self, leased: Leased) -> str | Undecided:
        """The provider's customer of the pledge, kept before anything is asked of it (DOMAIN Y2)."""
        row = leased.row
        made = await self.provider.create_customer(
            replace(operations.request_of(row), key=f"{row.subject_id}:customer")
        )
        if not isinstance(made, str):
            return made
        async with self._no_call():
            kept = await self.commit.execute(KeepCustomer(row.operation_id, row.subject_id, leased.token, made))
        return kept["customer"] or Unknown("the lease is lost")

    @asynccontextmanager
    async def _no_call(self) -> AsyncIterator[None]:
        """Within a call's slot: what holds up no other call, such as a commit."""
        self._slots.release()
        self._calls -= 1
        self._called.set()
        try:
            yield
        finally:
            self._calls += 1
            await self._slots.acquire()

    async def _record(self, leased: Leased, outcome: Outcome) -> None:
        """Through the group commit; with the database away, for as long as the lease lasts."""
        row = leased.row
        command: Decide | PutOff
        waits = row.kind is Kind.FOLLOW and isinstance(outcome, ActionRequired)
        if leased.ticket.held_back and isinstance(outcome, Unknown):
            command = PutOff(row.operation_id, leased.token, "stopped by an operator", 0, sent=False)
        elif waits or isinstance(outcome, Throttled | Contention | Unknown):
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


def put_off(row: OperationRow, token: UUID, outcome: Outcome) -> PutOff:
    match outcome:
        case ActionRequired():
            schedule, text = FOLLOW_SECONDS, describe(outcome)
        case Throttled():  # turned away before anything was looked at
            seconds = THROTTLED_CHECKOUT_SECONDS if row.lane is Lane.CHECKOUT else THROTTLED_SECONDS
            return PutOff(row.operation_id, token, "throttled", seconds * random.uniform(*JITTER), sent=False)
        case Contention():
            schedule, text = CONTENTION_SECONDS, "contention"
        case Unknown(reason):
            schedule, text = UNKNOWN_SECONDS, f"unknown: {reason}"
        case _:
            raise TypeError(f"{outcome!r} is decided")
    seconds = schedule[min(row.sends, len(schedule)) - 1] * random.uniform(*JITTER)
    return PutOff(row.operation_id, token, text, seconds, waits=isinstance(outcome, ActionRequired))


def wakes(wake: asyncio.Event, work: Work) -> None:
    """After a commit: let the worker know of operations that are due."""
    if any(
        table is OPERATIONS and row is not None and row.state is State.WAITING and row.due_at <= work.now
        for table, row in work.changed
    ):
        wake.set()
