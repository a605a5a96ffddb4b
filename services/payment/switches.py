"""The kill switch (DOMAIN Y6): an operator stops all calls of one kind, on every replica, and lets them go on later.

Nothing is lost: what is stopped waits, and so does what comes in. The row is looked at when operations are leased, and
once more just before a call is sent (`buckets.py`). Calls under way are not broken off. Reading back moves nothing, so
it goes on, unless `reads` are stopped.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from eventing.clock import DatabaseClock
from eventing.database import Pool
from payment.domain_events import Kind

ALL: Final = "all"  # whatever may change something at the provider
READS: Final = "reads"  # what only looks: reading back, sweeps, matching
SWITCHES: Final = (ALL, READS, *(kind.value for kind in Kind))
REASON_MAX: Final = 500

_STATES: Final = """
    SELECT given.kind, stopped_at, stopped_by, reason,
           (SELECT count(*) FROM operation WHERE state = 'waiting' AND operation.kind = given.kind) AS waiting,
           (SELECT count(*) FROM operation WHERE state = 'leased' AND operation.kind = given.kind) AS under_way
      FROM unnest($1::text[]) WITH ORDINALITY AS given(kind, place)
      LEFT JOIN provider_switch ON provider_switch.kind = given.kind
     ORDER BY given.place
"""
# Who stopped it first stays, and when; the reason is the latest.
_STOP: Final = """
    INSERT INTO provider_switch (kind, stopped_at, stopped_by, reason)
    VALUES ($1, $2, $3, $4)
        ON CONFLICT (kind) DO UPDATE SET reason = excluded.reason
"""


@dataclass(frozen=True)
class Switch:
    """`stopped_at` None: calls of this kind are made. `waiting` and `under_way` count its operations."""

    kind: str
    stopped_at: datetime | None
    stopped_by: str | None
    reason: str | None
    waiting: int
    under_way: int


async def stopped(pool: Pool) -> frozenset[str]:
    return frozenset(row["kind"] for row in await pool.fetch("SELECT kind FROM provider_switch"))


async def states(pool: Pool) -> list[Switch]:
    return [Switch(**row) for row in await pool.fetch(_STATES, list(SWITCHES))]


async def stop(pool: Pool, clock: DatabaseClock, kind: str, by: str, reason: str) -> None:
    async with pool.acquire() as connection:
        await connection.execute(_STOP, kind, await clock.now(connection), by, reason)


async def go(pool: Pool, kind: str) -> bool:
    """Let calls of this kind go on; whether they were stopped."""
    return await pool.fetchval("DELETE FROM provider_switch WHERE kind = $1 RETURNING true", kind) or False
