"""Timers: books close, leases and offers run out, free slots are offered, cancelled campaigns let their pledges go.

What is due is looked up here and decided in the group's transaction, so several replicas may do this at once.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from eventing.runtime import Job, Runtime
from pledge import queries

BATCH_MAX: Final = 200  # Ends of pledges in one go: leaves room in a group for those who are just placing one.
BOOKS_MAX: Final = 50
PAUSE_SECONDS_MAX: Final = 0.5  # A deadline heard of meanwhile, or a last decision, waits no longer than this.
POOLS_MAX: Final = 50
OFFER_SECONDS: Final = 0.5  # A slot that came free waits no longer than this for the one who is first.
SWEEP_SECONDS: Final = 1.0  # Leases are minutes long and a cancelled campaign is in no hurry.


class Timers:
    """`close_books` returns the seconds until the next deadline, the others whether there may be more at once."""

    def __init__(self, pool: Pool, commit: GroupCommit, clock: DatabaseClock, offer_seconds: int) -> None:
        self._pool = pool
        self._commit = commit
        self._clock = clock
        self._offer_seconds = offer_seconds

    async def close_books(self) -> float:
        """Close what is due and announce what is decided (DOMAIN P9, C11)."""
        async with self._pool.acquire() as connection:
            now = await self._clock.now(connection)
            due = await queries.due_to_close(connection, now, BOOKS_MAX)
        await self._execute(due)
        async with self._pool.acquire() as connection:
            decided = await queries.to_announce(connection, BOOKS_MAX)
        await self._execute(decided)
        async with self._pool.acquire() as connection:
            return _seconds_until(await queries.next_deadline(connection), await self._clock.now(connection))

    async def expire_leases(self) -> bool:
        """Decline, or drop of changes, what stayed undecided for too long (DOMAIN P2)."""
        async with self._pool.acquire() as connection:
            expired = await queries.leases_run_out(connection, await self._clock.now(connection), BATCH_MAX)
        await self._execute(expired)
        return len(expired) >= BATCH_MAX

    async def cancel_with_campaigns(self) -> bool:
        """Cancel the live pledges of cancelled campaigns (DOMAIN C10)."""
        async with self._pool.acquire() as connection:
            live = await queries.live_of_cancelled(connection, BATCH_MAX)
        await self._execute(live)
        return len(live) == BATCH_MAX

    async def offer_slots(self) -> bool:
        """End offers whose time is over, and offer what is free to those who wait (DOMAIN P3)."""
        async with self._pool.acquire() as connection:
            lapsed = await queries.offers_lapsed(connection, await self._clock.now(connection), BATCH_MAX)
        await self._execute(lapsed)
        async with self._pool.acquire() as connection:
            waited_for = await queries.to_offer(connection, POOLS_MAX, self._offer_seconds)
        await self._execute(waited_for)
        return len(lapsed) == BATCH_MAX

    async def _execute(self, commands: Sequence[Any]) -> None:
        await asyncio.gather(*(self._commit.execute(command) for command in commands))


def _seconds_until(deadline: datetime | None, now: datetime) -> float:
    if deadline is None:
        return PAUSE_SECONDS_MAX
    return min(max((deadline - now).total_seconds(), 0.0), PAUSE_SECONDS_MAX)


def jobs(runtime: Runtime, offer_seconds: int) -> Iterable[Job]:
    timers = Timers(runtime.pool, runtime.commit, runtime.clock, offer_seconds)

    async def close_books() -> bool:
        await asyncio.sleep(await timers.close_books())
        return True

    return (
        Job("close books", close_books, PAUSE_SECONDS_MAX),
        Job("offer slots", timers.offer_slots, OFFER_SECONDS),
        Job("expire leases", timers.expire_leases, SWEEP_SECONDS),
        Job("cancel with campaigns", timers.cancel_with_campaigns, SWEEP_SECONDS),
    )
