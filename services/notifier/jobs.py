"""The timers: fan out, send what is due, wake or end what waits for an address. All are safe on every replica."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from contracts.ids import new_id
from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.runtime import Job
from notifier import domain, queries
from notifier.domain import Status, Verdict
from notifier.gateway import TIMEOUT_SECONDS, CutOffError, DeferredError, RefusedError, ServerAwayError, SmtpConnection
from notifier.letters import IncompleteError, Letters
from notifier.queries import Due, NoticeKey

FAN_OUT_BATCH_MAX: Final = 500  # A transaction of some 10 ms: 200 000 recipients hold nobody up.
SEND_BATCH_MAX: Final = 50  # After a crash at most these are in doubt, and go out again.
SKIP_BATCH_MAX: Final = 500
# In time-outs of one answer of the mail server. Mails are begun in the first half of a lease; the last has the other
# half to end, and takes four or five answers.
LEASE_TIMEOUTS: Final = 12
LEASE_SECONDS: Final = LEASE_TIMEOUTS * TIMEOUT_SECONDS
AWAY_SECONDS_MIN: Final = 0.2
AWAY_SECONDS_MAX: Final = 30.0  # How late mail may be after the mail server has come back.
EVERY_SECONDS: Final = 0.2
WAKE_SECONDS: Final = 1.0
WAKE_OVERLAP: Final = timedelta(seconds=60)  # Longer than any transaction: an address given meanwhile is not missed.

log = structlog.get_logger(__name__)


async def _now(pool: Pool, clock: DatabaseClock) -> datetime:
    async with pool.acquire() as connection:
        return await clock.now(connection)


@dataclass
class FanOuts:
    """Makes one notice to all backers into one each, in batches with a cursor (DOMAIN N2)."""

    pool: Pool
    clock: DatabaseClock

    async def run_once(self) -> bool:
        """One batch. Returns whether there was one."""
        async with self.pool.acquire() as connection, connection.transaction():
            return await queries.fan_out_next(connection, await self.clock.now(connection), FAN_OUT_BATCH_MAX)


@dataclass
class AddressWatch:
    """Looks after notices whose person has no address in the contact book."""

    pool: Pool
    clock: DatabaseClock
    _since: datetime | None = None

    async def run_once(self) -> bool:
        """Wake what has an address now, end what has waited for too long. Returns whether more is to be ended."""
        now = await _now(self.pool, self.clock)
        await queries.wake(self.pool, now, self._since or domain.BEGINNING)
        self._since = now - WAKE_OVERLAP
        return await queries.skip(self.pool, now, SKIP_BATCH_MAX) == SKIP_BATCH_MAX


@dataclass
class Sender:
    """Sends what is due, a batch at a time over several connections.

    A notice is leased, sent, then recorded. Killed in between, it is sent again when the lease is over, with the
    same Message-ID (DOMAIN N2). Stopped in order, it ends the mails under way, records them and gives back the rest.
    """

    pool: Pool
    clock: DatabaseClock
    letters: Letters
    connections: Sequence[SmtpConnection]
    patience: timedelta  # how long a notice waits for an address
    lease_seconds: float = LEASE_SECONDS
    _verdicts: list[tuple[UUID, NoticeKey, Verdict]] = field(default_factory=list)  # made, and not recorded yet
    _failures: int = 0  # rounds in a row that found the mail server away
    _stopping: bool = False

    async def run_once(self) -> bool:
        """One batch. Returns whether there may be more at once."""
        await self._record()
        lease, now = new_id(), await _now(self.pool, self.clock)
        until = now + timedelta(seconds=self.lease_seconds)
        leased = await queries.lease_due(self.pool, now, until, lease, SEND_BATCH_MAX)
        if not leased:
            return False
        delivering = asyncio.create_task(self._deliver(leased, lease, now))
        try:
            away = await asyncio.shield(delivering)
        except asyncio.CancelledError:
            self._stopping = True
            await delivering
            raise
        if away:
            await asyncio.sleep(self._pause())
        return True

    async def _deliver(self, leased: Sequence[Due], lease: UUID, now: datetime) -> bool:
        """Send a batch and record it. Returns whether the mail server is away."""
        queue = deque(leased)
        ends_at = time.monotonic() + self.lease_seconds / 2
        workers = (self._work(connection, queue, lease, now, ends_at) for connection in self.connections)
        away = any(await asyncio.gather(*workers))
        for due in queue:
            self._verdicts.append((lease, due.key, Verdict(Status.WAITING, now, "", due.attempts)))
        self._failures = self._failures + 1 if away else 0
        await self._record()
        return away

    async def _work(
        self, connection: SmtpConnection, queue: deque[Due], lease: UUID, now: datetime, ends_at: float
    ) -> bool:
        """One connection's share of a batch. Returns whether the mail server is away."""
        while queue and not self._stopping and time.monotonic() < ends_at:
            due = queue.popleft()
            try:
                verdict = await self._attempt(connection, due, now)
            except CutOffError as error:
                self._verdicts.append((lease, due.key, self._later(due, now, str(error))))
                return True
            except ServerAwayError as error:
                queue.append(due)
                log.warning("mail_server_away", reason=str(error))
                return True
            self._verdicts.append((lease, due.key, verdict))
        return False

    async def _attempt(self, connection: SmtpConnection, due: Due, now: datetime) -> Verdict:
        """What becomes of one notice.

        Raises:
            ServerAwayError: Nothing; it is still to be sent.
        """
        if due.to is None:
            return domain.without_contact(due.created_at, self.patience, now, due.attempts)
        try:
            await connection.send(self.letters.write(due, due.to))
        except RefusedError as error:
            log.warning("notice_given_up", kind=due.kind, reason=str(error))
            return Verdict(Status.GIVEN_UP, now, str(error), due.attempts)
        except (DeferredError, IncompleteError) as error:
            return self._later(due, now, str(error))
        except ServerAwayError:
            raise
        except Exception as bug:  # noqa: BLE001 - one notice's bug must not hold up the others
            return self._later(due, now, type(bug).__name__)  # its text may name the person
        return Verdict(Status.SENT, now, "", due.attempts)

    def _later(self, due: Due, now: datetime, reason: str) -> Verdict:
        verdict = domain.deferred(due.attempts, now, reason, random.random())
        log.warning("notice_deferred", kind=due.kind, reason=reason, status=verdict.status, attempts=verdict.attempts)
        return verdict

    async def _record(self) -> None:
        """Write down what became of notices. With the database away they stay here and are tried first next time."""
        while self._verdicts:
            lease = self._verdicts[0][0]
            mine = [(key, verdict) for one, key, verdict in self._verdicts if one == lease]
            await queries.record(self.pool, lease, mine)
            self._verdicts = [one for one in self._verdicts if one[0] != lease]

    def _pause(self) -> float:
        """With the mail server away: longer each time, spread over the replicas."""
        return float(min(AWAY_SECONDS_MIN * 2 ** min(self._failures, 16), AWAY_SECONDS_MAX) * random.uniform(0.5, 1))


def jobs(fan_outs: FanOuts, sender: Sender, watch: AddressWatch) -> tuple[Job, ...]:
    return (
        Job("fan out notices", fan_outs.run_once, EVERY_SECONDS),
        Job("send notices", sender.run_once, EVERY_SECONDS),
        Job("watch addresses", watch.run_once, WAKE_SECONDS),
    )
