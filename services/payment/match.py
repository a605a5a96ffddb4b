"""Matches each day's movements at the provider with the ledger, both ways (DOMAIN Y6, ADR 0046).

A difference opens a case, and money is never moved to mend it. Days with open differences are matched again each
day: what agrees by then, because a fact came late, closes its case by itself.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeAlias
from uuid import UUID

import structlog

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from payment.cases import CaseKind
from payment.domain_match import Booked, Difference, of_movement, of_posting
from payment.gateway import LookupFailedError, Movement
from payment.handlers_cases import CloseCase, OpenCase
from payment.matching import posting_ids_of
from payment.switches import READS, stopped
from payment.turns import Place, Turns

log = structlog.get_logger(__name__)

MATCH: Final = "match"
DAY: Final = timedelta(days=1)
SETTLE: Final = timedelta(hours=2)  # What was unknown at midnight is mostly known by then.
SKEW: Final = timedelta(minutes=10)  # A fact is booked after its movement, by another clock, maybe past midnight.
AGAIN: Final = timedelta(minutes=10)  # The provider could not be asked.
AGAIN_DAYS_MAX: Final = 30  # Older differences wait for a person.
CASES_MAX: Final = 100  # Of one day; more of them have one reason, and one case more says how many.
PAIRS_KEPT: Final = timedelta(days=60)

Movements: TypeAlias = Callable[[datetime, datetime], AsyncIterator[Sequence[Movement]]]

_START: Final = """
    INSERT INTO daily_match (day, state, started_at)
    VALUES ($1, 'running', $2)
        ON CONFLICT (day) DO UPDATE SET state = 'running', started_at = $2, finished_at = NULL
"""
_FINISH: Final = """
    UPDATE daily_match
       SET state = CASE WHEN $4 = 0 THEN 'agreed' ELSE 'differs' END,
           movements = $2, postings = $3, differences = $4, finished_at = $5
     WHERE day = $1
"""
_BOOKED: Final = """
    SELECT posting.posting_id,
           posting.event,
           posting.campaign_id,
           posting.pledge_id,
           sum(entry.amount)::bigint AS amount,
           min(entry.currency) AS currency
      FROM posting
      JOIN entry USING (posting_id)
     WHERE entry.account = 'provider_receivable'
"""
_NAMED: Final = _BOOKED + " AND posting.posting_id = ANY($1::uuid[]) GROUP BY posting.posting_id"
_ALONE: Final = (
    _BOOKED
    + """
       AND posting.booked_at >= $1
       AND posting.booked_at < $2
       AND NOT EXISTS (SELECT FROM daily_match_pair AS pair WHERE pair.posting_id = posting.posting_id)
     GROUP BY posting.posting_id
     ORDER BY posting.posting_id
    """
)
_COUNT: Final = """
    SELECT count(DISTINCT posting_id)
      FROM posting
      JOIN entry USING (posting_id)
     WHERE entry.account = 'provider_receivable' AND posting.booked_at >= $1 AND posting.booked_at < $2
"""
_PAIR: Final = """
    INSERT INTO daily_match_pair (posting_id, movement_id, day)
    SELECT posting_id, movement_id, $3
      FROM unnest($1::uuid[], $2::text[]) AS given(posting_id, movement_id)
        ON CONFLICT DO NOTHING
"""
_PAIRS: Final = "SELECT posting_id, movement_id FROM daily_match_pair WHERE posting_id = ANY($1::uuid[])"
_FORGET: Final = "DELETE FROM daily_match_pair WHERE day < $1"
_OPEN: Final = """
    SELECT about
      FROM payment_case
     WHERE kind = 'drift' AND state = 'open' AND starts_with(about, $1)
"""
_OPEN_DAYS: Final = """
    SELECT day
      FROM daily_match
     WHERE state <> 'agreed' AND day >= $1 AND day < $2
     ORDER BY day
"""


@dataclass
class Matched:
    """What a day's match has found."""

    day: date
    movements: int = 0
    postings: int = 0
    differences: list[Difference] = field(default_factory=list)


async def _nothing() -> None: ...


@dataclass
class DailyMatch:
    """`run_once` is the timer's; `match` does one day, whenever anybody wants, again and again."""

    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock
    movements: Movements

    async def run_once(self) -> bool:
        """The next day that is over, on one replica at a time; true if there may be another."""
        turns = Turns(self.pool, self.clock)
        turn = None if READS in await stopped(self.pool) else await turns.take(MATCH)
        if turn is None:
            return False
        start = turn.place.since or midnight(turn.now) - DAY
        place, due_at = Place(since=start), start + DAY + SETTLE
        if turn.now >= due_at:
            try:
                for day in [*await self._days_again(start.date()), start.date()]:
                    await self.match(day, lambda: turns.keep(turn, place))
                place, due_at = Place(since=start + DAY), due_at + DAY
            except LookupFailedError as error:
                log.warning("match_waits", day=str(start.date()), error=str(error))
                due_at = turn.now + AGAIN
        await turns.end(turn, place, due_at)
        return turn.now >= due_at

    async def match(self, day: date, keep: Callable[[], Awaitable[None]] = _nothing) -> Matched:
        """Match one day and bring its cases up to date. `keep` is called now and then while it works.

        Raises:
            LookupFailedError: The provider did not say all of it; cases stay as they were.
        """
        found = Matched(day)
        start = datetime.combine(day, time(), UTC)
        await self.pool.execute(_START, day, await self._now())
        async for page in self.movements(start - SKEW, start + DAY + SKEW):
            await self._pair(found, page)
            await keep()
        for row in await self.pool.fetch(_ALONE, start, start + DAY):
            found.differences.append(of_posting(Booked(**row)))
        found.postings = await self.pool.fetchval(_COUNT, start, start + DAY)
        await self._bring_up_to_date(found, keep)
        now = await self._now()
        counts = found.movements, found.postings, len(found.differences)
        await self.pool.execute(_FINISH, day, *counts, now)
        await self.pool.execute(_FORGET, (now - PAIRS_KEPT).date())
        told = log.error if found.differences else log.info
        told("matched", day=str(day), movements=counts[0], postings=counts[1], differences=counts[2])
        return found

    async def _pair(self, found: Matched, page: Sequence[Movement]) -> None:
        """Find each movement's posting. A neighbour day's movement is paired, but judged on its own day."""
        candidates = {movement.movement_id: posting_ids_of(movement) for movement in page}
        ids = [posting_id for named in candidates.values() for posting_id in named]
        booked = {row["posting_id"]: Booked(**row) for row in await self.pool.fetch(_NAMED, ids)}
        posting = {
            movement_id: next((booked[one] for one in named if one in booked), None)
            for movement_id, named in candidates.items()
        }
        pairs = await self._write_down(found.day, {m: p.posting_id for m, p in posting.items() if p is not None})
        for movement in page:
            if movement.created.date() != found.day:
                continue
            found.movements += 1
            known = posting[movement.movement_id]
            paired_with = pairs[known.posting_id] if known else None
            difference = of_movement(movement, known, paired_with)
            if difference is not None:
                found.differences.append(difference)

    async def _write_down(self, day: date, pairs: Mapping[str, UUID]) -> Mapping[UUID, str]:
        """The movement that each of these postings belongs to: the first that was found."""
        movement_ids = sorted(pairs)
        posting_ids = [pairs[movement_id] for movement_id in movement_ids]
        await self.pool.execute(_PAIR, posting_ids, movement_ids, day)
        return {row["posting_id"]: row["movement_id"] for row in await self.pool.fetch(_PAIRS, posting_ids)}

    async def _bring_up_to_date(self, found: Matched, keep: Callable[[], Awaitable[None]]) -> None:
        """Open a case for each difference, and close those of the day that are none any more."""
        prefix = f"{found.day}:"
        told = {f"{prefix}{one.about}": one for one in found.differences[:CASES_MAX]}
        if more := len(found.differences) - len(told):
            told[f"{prefix}more"] = Difference("more", f"{more} more differences on {found.day}", None, None)
        for about, one in told.items():
            ids = {"campaign_id": one.campaign_id, "pledge_id": one.pledge_id}
            await self.commit.execute(OpenCase(CaseKind.DRIFT, about, one.what, **ids))
            await keep()
        today = (await self._now()).date()
        for row in await self.pool.fetch(_OPEN, prefix):
            if row["about"] not in told:
                text = f"Matched again on {today}, it agrees."
                await self.commit.execute(CloseCase(CaseKind.DRIFT, row["about"], text))

    async def _days_again(self, before: date) -> list[date]:
        """Days that did not agree, or were not finished."""
        rows = await self.pool.fetch(_OPEN_DAYS, before - timedelta(days=AGAIN_DAYS_MAX), before)
        return [row["day"] for row in rows]

    async def yesterday(self) -> date:
        return (midnight(await self._now()) - DAY).date()

    async def _now(self) -> datetime:
        async with self.pool.acquire() as connection:
            return await self.clock.now(connection)


def midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
