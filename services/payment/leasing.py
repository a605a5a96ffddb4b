"""Which operations a worker gets, and when: leases, taken together with the tokens that they cost (DOMAIN Y2, Y7)."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from asyncpg import Record

from eventing.clock import DatabaseClock
from eventing.database import Connection, Pool
from payment.buckets import Budget
from payment.budget import CALM, Lane, Wish, admit, affordable, calls_of
from payment.calls import Ticket
from payment.domain_events import Kind
from payment.tables import OPERATIONS, OperationRow

READ_BACK_FROM_SEND: Final = 3  # Twice under the same key, then look first.
LOOK_SECONDS: Final = 1.0  # How often leases that ran out and renewals near their end are looked for.
NEAR: Final = timedelta(hours=12)  # A renewal with less than this left waits no longer behind settlements.

_PLACES: Final = {lane: place for place, lane in enumerate(Lane)}
_COLUMNS: Final = ", ".join(f"operation.{column.name}" for column in OPERATIONS.columns)

# Queue by queue, each by its index and no further than needed. A kind that is stopped has no queue, so that what waits
# there costs nothing. The commit does not wait for the disk: a database that crashes then has forgotten a lease, which
# is as if its worker had been frozen past it, and the operation is asked for again under the same key.
_DUE: Final = """
    WITH queue AS MATERIALIZED (
        SELECT given.lane, given.kind, given.room
          FROM unnest($1::text[], $2::text[], $4::int[]) WITH ORDINALITY AS given(lane, kind, room, place),
               set_config('synchronous_commit', 'off', true)
         WHERE NOT EXISTS (SELECT FROM provider_switch AS stopped WHERE stopped.kind IN ('all', given.kind))
         ORDER BY given.place
    ), due AS MATERIALIZED (
        SELECT found.*
          FROM queue
         CROSS JOIN LATERAL (
            SELECT operation_id, lane, kind, customer, sends, reference
              FROM operation
             WHERE state = 'waiting' AND lane = queue.lane AND kind = queue.kind AND due_at <= $3
             ORDER BY due_at
             LIMIT queue.room
               FOR UPDATE SKIP LOCKED
         ) AS found
         LIMIT $5
    )
"""

_CANDIDATES: Final = f"{_DUE} SELECT * FROM due"  # noqa: S608 - constant text

_LEASE_DUE: Final = f"""
    {_DUE}
    UPDATE operation
       SET state = 'leased', lease_token = $6, lease_until = $3 + $7, sends = operation.sends + 1,
           first_sent_at = coalesce(first_sent_at, $3)
      FROM due
     WHERE operation.operation_id = due.operation_id
    RETURNING {_COLUMNS}
"""  # noqa: S608 - names from the code

_LEASE_CHOSEN: Final = f"""
    UPDATE operation
       SET state = 'leased', lease_token = $2, lease_until = $3::timestamptz + $4::interval, sends = sends + 1,
           first_sent_at = coalesce(first_sent_at, $3)
     WHERE operation_id = ANY($1::uuid[])
    RETURNING {_COLUMNS}
"""  # noqa: S608 - names from the code

_FREE_RUN_OUT: Final = """
    UPDATE operation
       SET state = 'waiting', lease_token = NULL, lease_until = NULL, outcome = 'unknown: the worker was lost'
     WHERE operation_id IN (
        SELECT operation_id
          FROM operation
         WHERE state = 'leased' AND lease_until < $1
         ORDER BY operation_id
           FOR UPDATE SKIP LOCKED
     )
"""

_HURRY: Final = """
    UPDATE operation
       SET lane = 'settlement'
     WHERE operation_id IN (
        SELECT operation_id
          FROM operation
         WHERE state = 'waiting' AND lane = 'renewal' AND act_by < $1
         ORDER BY operation_id
           FOR UPDATE SKIP LOCKED
     )
"""


@dataclass(frozen=True)
class Leased:
    row: OperationRow
    token: UUID
    now: datetime  # by the database clock, when leased
    until: float  # on this process's monotonic clock, which goes on while the process is frozen
    ticket: Ticket

    @property
    def forgotten(self) -> bool:
        """It may have been sent before the database was restored, which has forgotten it."""
        return self.row.first_sent_at is not None and self.row.first_sent_at < self.row.created_at

    @property
    def age(self) -> timedelta:
        return self.now - (self.row.first_sent_at or self.now)


@dataclass
class Leasing:
    """`short`: the last round left something for want of tokens, or calls were turned away just now."""

    pool: Pool
    clock: DatabaseClock
    budget: Budget
    seconds: float  # how long a lease lasts
    short: bool = False
    _looked_at: float = field(default=float("-inf"))

    async def lease(self, limit: int) -> list[Leased]:
        """What is due, first things first, as far as the budget goes. An update returns its rows in any order."""
        token, since, lasts = uuid4(), self.clock.monotonic(), timedelta(seconds=self.seconds)
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            if since - self._looked_at > LOOK_SECONDS:
                await connection.execute(_FREE_RUN_OUT, now)
                await connection.execute(_HURRY, now + NEAR)
                self._looked_at = since
            if await self.budget.limited(connection):
                rows = await self._within_budget(connection, now, limit, token, lasts)
            else:
                self.short = False
                lanes, kinds = _queues()
                rooms = [limit] * len(lanes)
                rows = await connection.fetch(_LEASE_DUE, lanes, kinds, now, rooms, limit, token, lasts)
        leased = sorted((OPERATIONS.load(row) for row in rows), key=_urgency)
        return [Leased(row, token, now, since + self.seconds, _ticket(row)) for row in leased]

    async def _within_budget(
        self, connection: Connection, now: datetime, limit: int, token: UUID, lasts: timedelta
    ) -> list[Record]:
        """One transaction: the buckets' lock makes replicas take turns, so the tokens are exact."""
        async with self.budget.opened(connection, now) as purse:
            # Of each queue, in case that another one has no tokens; and one more than may go, to know that it waits.
            lanes, kinds = _queues()
            rooms = [min(limit, affordable(purse.buckets, Lane(lane)) + 1) for lane in lanes]
            due = await connection.fetch(_CANDIDATES, lanes, kinds, now, rooms, None)
            goes, purse.buckets = admit(purse.buckets, (_wish(row) for row in due), limit)
            chosen = sorted(row["operation_id"] for row, go in zip(due, goes, strict=True) if go)
            storm = any(bucket.slowed_at and now - bucket.slowed_at < CALM for bucket in purse.buckets.values())
            self.short = len(chosen) < min(limit, len(due)) or storm
            return await connection.fetch(_LEASE_CHOSEN, chosen, token, now, lasts)


def _queues() -> tuple[list[str], list[str]]:
    """Lanes and kinds of all queues, first things first. Kinds of one lane take turns by chance."""
    queues = [(lane.value, kind.value) for lane in Lane for kind in random.sample(list(Kind), len(Kind))]
    return [lane for lane, _ in queues], [kind for _, kind in queues]


def _urgency(row: OperationRow) -> tuple[int, datetime, UUID]:
    return _PLACES[row.lane], row.due_at, row.operation_id


def _wish(row: Record) -> Wish:
    looks = row["reference"] is not None or row["sends"] + 1 >= READ_BACK_FROM_SEND
    return Wish(Lane(row["lane"]), calls_of(row["kind"], first=row["customer"] is None, looks=looks))


def _ticket(row: OperationRow) -> Ticket:
    looks = row.reference is not None or row.sends >= READ_BACK_FROM_SEND
    return Ticket(row.kind, Counter(calls_of(row.kind, first=row.customer is None, looks=looks)))
