"""What is read outside of decisions: pledges for their backers, and what is due for the timers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg import Record

from eventing.database import Connection, Pool
from pledge.domain import UNDECIDED
from pledge.domain_options import Options, options
from pledge.domain_waitlist import Waiting
from pledge.handlers import AnnounceBook, CancelWithCampaign, CloseBook, ExpireLease
from pledge.handlers_waitlist import LapseOffer, OfferSlots
from pledge.queries_backers import IN_LIVE
from pledge.tables import BOOKS, PLEDGES, WAITLIST, PledgeView

AHEAD_MAX: Final = 1_000  # A place further back than this is far enough to know.
# Written out, so that the partial indexes on the same lists are used.
_IN_UNDECIDED: Final = ", ".join(f"'{status.value}'" for status in sorted(UNDECIDED))
_OF_PLEDGE: Final = tuple(f"p.{column.name}" for column in PLEDGES.columns)
_OF_BOOK: Final = tuple(f"b.{column.name}" for column in BOOKS.columns)

_ONE = f"""
    SELECT {", ".join(_OF_PLEDGE + _OF_BOOK)}
    FROM pledge_view p
    JOIN book b USING (campaign_id)
    WHERE p.pledge_id = $1
      AND p.backer_id = $2
"""  # noqa: S608 - names from the code
_PAGE = f"""
    SELECT {", ".join(_OF_PLEDGE + _OF_BOOK)}
    FROM pledge_view p
    JOIN book b USING (campaign_id)
    WHERE p.backer_id = $1
      AND ($2::uuid IS NULL OR p.pledge_id < $2)
    ORDER BY p.pledge_id DESC
    LIMIT $3
"""  # noqa: S608 - names from the code
_DUE_TO_CLOSE = """
    SELECT campaign_id
    FROM book
    WHERE state = 'open'
      AND deadline <= $1
    ORDER BY deadline
    LIMIT $2
"""
_TO_ANNOUNCE = """
    SELECT campaign_id
    FROM book
    WHERE state = 'closed'
      AND undecided = 0
    LIMIT $1
"""
_NEXT_DEADLINE = "SELECT min(deadline) FROM book WHERE state = 'open'"
_RUN_OUT = f"""
    SELECT pledge_id, campaign_id, backer_id
    FROM pledge_view
    WHERE status IN ({_IN_UNDECIDED})
      AND lease_until <= $1
    ORDER BY lease_until
    LIMIT $2
"""  # noqa: S608 - names from the code
_CHANGE_RUN_OUT = """
    SELECT pledge_id, campaign_id, backer_id
    FROM pledge_view
    WHERE change_until <= $1
    ORDER BY change_until
    LIMIT $2
"""
_WAITING = f"""
    SELECT {", ".join(f"w.{column.name}" for column in WAITLIST.columns)},
        (
            SELECT count(*)
            FROM (
                SELECT
                FROM waitlist
                WHERE pool_id = w.pool_id
                  AND offered_until IS NULL
                  AND number < w.number
                LIMIT $3
            ) AS first
        ) AS ahead
    FROM waitlist w
    JOIN book USING (campaign_id)
    WHERE w.backer_id = $1
      AND book.state = 'open'
    ORDER BY w.joined_at DESC
    LIMIT $2
"""  # noqa: S608 - names from the code
_LAPSED = """
    SELECT pool_id, backer_id
    FROM waitlist
    WHERE offered_until <= $1
    ORDER BY offered_until
    LIMIT $2
"""
_TO_OFFER = """
    SELECT pool.pool_id, pool.campaign_id
    FROM pool
    JOIN book USING (campaign_id)
    WHERE pool.waiting > 0
      AND pool.slots > pool.claimed + pool.offered
      AND book.state = 'open'
    LIMIT $1
"""
_OF_CANCELLED = f"""
    SELECT pledge_id, campaign_id, backer_id
    FROM pledge_view
    WHERE status IN ({IN_LIVE})
      AND campaign_id IN (SELECT campaign_id FROM book WHERE state = 'cancelled' AND live > 0)
    LIMIT $1
"""  # noqa: S608 - names from the code


async def waiting_of(pool: Pool, backer_id: UUID, limit: int) -> Sequence[tuple[Waiting, int]]:
    """Where a backer waits in open campaigns, newest first, and how many are ahead (counted up to AHEAD_MAX)."""
    rows = await pool.fetch(_WAITING, backer_id, limit, AHEAD_MAX)
    return [(WAITLIST.load(tuple(row)[:-1]), row["ahead"]) for row in rows]


async def offers_lapsed(connection: Connection, now: datetime, limit: int) -> list[LapseOffer]:
    return [LapseOffer(*row) for row in await connection.fetch(_LAPSED, now, limit)]


async def to_offer(connection: Connection, limit: int, offer_seconds: int) -> list[OfferSlots]:
    rows = await connection.fetch(_TO_OFFER, limit)
    return [OfferSlots(row["pool_id"], row["campaign_id"], offer_seconds) for row in rows]


async def pledge(
    connection: Connection, pledge_id: UUID, backer_id: UUID, now: datetime
) -> tuple[PledgeView, Options] | None:
    """A pledge, if it is this backer's, and what may be done with it at this time."""
    row = await connection.fetchrow(_ONE, pledge_id, backer_id)
    return _with_options(row, now) if row else None


async def pledges_of(
    connection: Connection, backer_id: UUID, before: UUID | None, limit: int, now: datetime
) -> Sequence[tuple[PledgeView, Options]]:
    """A backer's pledges, newest first, from before the pledge `before` on."""
    return [_with_options(row, now) for row in await connection.fetch(_PAGE, backer_id, before, limit)]


def _with_options(row: Record, now: datetime) -> tuple[PledgeView, Options]:
    values = tuple(row)
    view, book = PLEDGES.load(values[: len(_OF_PLEDGE)]), BOOKS.load(values[len(_OF_PLEDGE) :])
    changing = view.change_until is not None
    return view, options(view.status, view.placed_at, changing=changing, book=book, now=now)


async def due_to_close(connection: Connection, now: datetime, limit: int) -> list[CloseBook]:
    return [CloseBook(row["campaign_id"]) for row in await connection.fetch(_DUE_TO_CLOSE, now, limit)]


async def to_announce(connection: Connection, limit: int) -> list[AnnounceBook]:
    return [AnnounceBook(row["campaign_id"]) for row in await connection.fetch(_TO_ANNOUNCE, limit)]


async def next_deadline(connection: Connection) -> datetime | None:
    deadline: datetime | None = await connection.fetchval(_NEXT_DEADLINE)
    return deadline


async def leases_run_out(connection: Connection, now: datetime, limit: int) -> list[ExpireLease]:
    """Of pledges and of changes; up to `limit` of each."""
    rows = [*await connection.fetch(_RUN_OUT, now, limit), *await connection.fetch(_CHANGE_RUN_OUT, now, limit)]
    return [ExpireLease(*row) for row in rows]


async def live_of_cancelled(connection: Connection, limit: int) -> list[CancelWithCampaign]:
    return [CancelWithCampaign(*row) for row in await connection.fetch(_OF_CANCELLED, limit)]
