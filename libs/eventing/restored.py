"""A database that was brought back to an earlier moment: what the service says from now on is new to everybody.

Others know what was said after that moment by (source, stream, version). The service has forgotten it and would give
the same versions to other facts, which they would rightly refuse as a second history. So its streams go on above every
version that it can have given.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from eventing.database import Pool

# Versions count events, of which no stream has one a second for long: seconds since then are above all of them, also
# above those that were given after an earlier restore that the copy has forgotten. An `int` lasts until 2094.
FLOOR_SINCE: Final = datetime(2026, 1, 1, tzinfo=UTC)

_NOTE: Final = """
    INSERT INTO restored (version_floor)
    VALUES (extract(epoch FROM clock_timestamp() - $1)::int)
    ON CONFLICT (version_floor) DO UPDATE SET noted_at = now()
    RETURNING version_floor
"""


async def note_restore(pool: Pool) -> int:
    """Before the service starts on a restored database. Returns the version above which its streams go on."""
    floor: int = await pool.fetchval(_NOTE, FLOOR_SINCE)
    return floor


def restored_at(floor: int) -> datetime | None:
    """When the database was brought back, by its version floor; None: never."""
    return FLOOR_SINCE + timedelta(seconds=floor) if floor else None


def before_restore(floor: int, at: datetime) -> bool:
    """Whether what happened then may have led to more than the database remembers."""
    back_at = restored_at(floor)
    return back_at is not None and at < back_at


async def version_floor(pool: Pool) -> int:
    """0: it was never restored."""
    floor: int = await pool.fetchval("SELECT coalesce(max(version_floor), 0) FROM restored")
    return floor
