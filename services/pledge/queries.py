"""What is read outside of decisions: pledges for their backers, and what is due for the timers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from eventing.database import Connection, Pool
from pledge.domain import LIVE, UNDECIDED
from pledge.handlers import AnnounceBook, CancelWithCampaign, CloseBook, ExpireLease
from pledge.tables import PLEDGES, PledgeView

# Written out, so that the partial indexes on the same lists are used.
_IN_LIVE: Final = ", ".join(f"'{status.value}'" for status in sorted(LIVE))
_IN_UNDECIDED: Final = ", ".join(f"'{status.value}'" for status in sorted(UNDECIDED))
_COLUMNS: Final = ", ".join(column.name for column in PLEDGES.columns)

_ONE = f"""
    SELECT {_COLUMNS}
    FROM pledge_view
    WHERE pledge_id = $1
      AND backer_id = $2
"""  # noqa: S608 - names from the code
_PAGE = f"""
    SELECT {_COLUMNS}
    FROM pledge_view
    WHERE backer_id = $1
      AND ($2::uuid IS NULL OR pledge_id < $2)
    ORDER BY pledge_id DESC
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
_OF_CANCELLED = f"""
    SELECT pledge_id, campaign_id, backer_id
    FROM pledge_view
    WHERE status IN ({_IN_LIVE})
      AND campaign_id IN (SELECT campaign_id FROM book WHERE state = 'cancelled' AND live > 0)
    LIMIT $1
"""  # noqa: S608 - names from the code


async def pledge(pool: Pool, pledge_id: UUID, backer_id: UUID) -> PledgeView | None:
    """A pledge, if it is this backer's."""
    row = await pool.fetchrow(_ONE, pledge_id, backer_id)
    return PLEDGES.load(row) if row else None


async def pledges_of(pool: Pool, backer_id: UUID, before: UUID | None, limit: int) -> Sequence[PledgeView]:
    """A backer's pledges, newest first, from before the pledge `before` on."""
    return [PLEDGES.load(row) for row in await pool.fetch(_PAGE, backer_id, before, limit)]


async def due_to_close(connection: Connection, now: datetime, limit: int) -> list[CloseBook]:
    return [CloseBook(row["campaign_id"]) for row in await connection.fetch(_DUE_TO_CLOSE, now, limit)]


async def to_announce(connection: Connection, limit: int) -> list[AnnounceBook]:
    return [AnnounceBook(row["campaign_id"]) for row in await connection.fetch(_TO_ANNOUNCE, limit)]


async def next_deadline(connection: Connection) -> datetime | None:
    deadline: datetime | None = await connection.fetchval(_NEXT_DEADLINE)
    return deadline


async def leases_run_out(connection: Connection, now: datetime, limit: int) -> list[ExpireLease]:
    return [ExpireLease(*row) for row in await connection.fetch(_RUN_OUT, now, limit)]


async def live_of_cancelled(connection: Connection, limit: int) -> list[CancelWithCampaign]:
    return [CancelWithCampaign(*row) for row in await connection.fetch(_OF_CANCELLED, limit)]
