"""Whose turn it is: what runs on one replica at a time has a row, leased by whoever works on it (ADR 0045).

No transaction is open while the provider is asked (DOMAIN Y1), so the turn is a lease in the row and no lock. A
replica that dies loses it when the lease runs out, and the next one goes on from where the row says.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from eventing.clock import DatabaseClock
from eventing.database import Pool

LEASE: Final = timedelta(minutes=2)  # Renewed with each step; a step is a page of the provider's, at most five tries.

_TAKE: Final = """
    WITH free AS (
        SELECT name
          FROM sweep
         WHERE name = $1
           AND due_at <= $2
           AND (lease_until IS NULL OR lease_until <= $2)  -- the lease of a dead replica
           FOR UPDATE SKIP LOCKED
    )
    UPDATE sweep
       SET lease_token = $3, lease_until = $2 + $4
      FROM free
     WHERE sweep.name = free.name
    RETURNING sweep.since, sweep.upto, sweep.after
"""
_KEEP: Final = """
    UPDATE sweep
       SET since = $3, upto = $4, after = $5, lease_until = $6::timestamptz + $7::interval
     WHERE name = $1 AND lease_token = $2
    RETURNING name
"""
_END: Final = """
    UPDATE sweep
       SET since = $3, upto = $4, after = $5, due_at = $6, lease_token = NULL, lease_until = NULL
     WHERE name = $1 AND lease_token = $2
"""


class TurnLostError(Exception):
    """Another replica has taken over: this one took longer than its lease."""


@dataclass(frozen=True)
class Place:
    """How far it has come; what the fields mean is for each sweep to say."""

    since: datetime | None = None
    upto: datetime | None = None
    after: str = ""


@dataclass(frozen=True)
class Turn:
    """`now` is by the database clock, when it was taken."""

    name: str
    now: datetime
    place: Place
    token: UUID = field(default_factory=uuid4)


@dataclass
class Turns:
    pool: Pool
    clock: DatabaseClock

    async def take(self, name: str) -> Turn | None:
        """A turn, if it is due and nobody else has it."""
        token = uuid4()
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            row = await connection.fetchrow(_TAKE, name, now, token, LEASE)
        return None if row is None else Turn(name, now, Place(*row), token)

    async def keep(self, turn: Turn, place: Place) -> None:
        """Write down how far it has come, and go on.

        Raises:
            TurnLostError: It is somebody else's by now.
        """
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            known = (place.since, place.upto, place.after)
            row = await connection.fetchval(_KEEP, turn.name, turn.token, *known, now, LEASE)
        if row is None:
            raise TurnLostError(turn.name)

    async def end(self, turn: Turn, place: Place, due_at: datetime) -> None:
        """Give the turn back until it is due again. One that was lost is somebody else's to end."""
        await self.pool.execute(_END, turn.name, turn.token, place.since, place.upto, place.after, due_at)
