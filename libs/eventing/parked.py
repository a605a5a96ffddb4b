"""What an operator does with events that could not be taken in: look, try again, discard."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.envelope import decode, decode_batch
from contracts.registry import PUBLIC_EVENTS
from eventing.database import Pool
from eventing.group_commit import GroupCommit

LISTED_MAX = 200


@dataclass(frozen=True)
class ParkedEvent:
    id: int
    type: str
    event_id: UUID | None
    body: bytes
    error: str
    parked_at: datetime


class NotParkedError(LookupError):
    """No parked event has this number."""


async def parked_events(pool: Pool, limit: int = LISTED_MAX) -> list[ParkedEvent]:
    """The oldest parked events first."""
    rows = await pool.fetch("SELECT * FROM parked_event ORDER BY id LIMIT $1", limit)
    return [ParkedEvent(**row) for row in rows]


async def numbers(pool: Pool) -> list[int]:
    rows = await pool.fetch("SELECT id FROM parked_event ORDER BY id LIMIT $1", LISTED_MAX)
    return [row["id"] for row in rows]


async def parked_event(pool: Pool, number: int) -> ParkedEvent:
    row = await pool.fetchrow("SELECT * FROM parked_event WHERE id = $1", number)
    if row is None:
        msg = f"No parked event has the number {number}."
        raise NotParkedError(msg)
    return ParkedEvent(**row)


async def discard(pool: Pool, number: int) -> None:
    """Give up on a parked event for good."""
    await parked_event(pool, number)
    await pool.execute("DELETE FROM parked_event WHERE id = $1", number)


async def retry(pool: Pool, commit: GroupCommit, number: int) -> bool:
    """Take a parked event in again, after the reason is mended. True if it went in; else it is parked anew.

    Raises:
        NotParkedError: There is no such event.
        UndecodableError, KeyError, ValidationError: It still cannot be read; it stays parked.
    """
    parked = await parked_event(pool, number)
    envelopes = [decode(raw) for raw in decode_batch(parked.body)]
    events = [(envelope, PUBLIC_EVENTS[envelope.type].model_validate(envelope.data)) for envelope in envelopes]
    await pool.execute("DELETE FROM parked_event WHERE id = $1", number)
    await commit.take_in(events)
    ids = [envelope.id for envelope in envelopes]
    return not await pool.fetchval("SELECT EXISTS (SELECT FROM parked_event WHERE event_id = ANY($1))", ids)
