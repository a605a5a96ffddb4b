"""Works the events that were kept (DOMAIN Y5): each is about an object, and whoever knows that kind looks it up.

An event tells only where to look. What is done follows from the provider's state of the object and from ours, so an
event that comes twice, late, or after another that it should have preceded, changes nothing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

import structlog
from asyncpg import Record

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from payment.cases import CaseKind
from payment.gateway import LookupFailedError, Provider
from payment.handlers_cases import CloseCase, OpenCase
from payment.handlers_webhooks import NoteReference, Touched
from payment.switches import READS, stopped

log = structlog.get_logger(__name__)

BATCH: Final = 500  # Most are done with without a call.
LOOK_UPS_MAX: Final = 20  # Calls per round; a flood of strangers' events must not eat the provider's rate limit.
KEPT: Final = timedelta(days=35)  # Longer than the provider keeps its events (30 days), so that none comes again.
PAUSES: Final = tuple(timedelta(seconds=s) for s in (5, 10, 30, 60, 120, 300, 600, 1_800, 3_600))
ATTEMPTS_CASE: Final = 20  # Half a day of them: a person looks.

# What the provider says when a hold or a payment ends, by us or by somebody else.
ENDS: Final = ("payment_intent.canceled", "payment_intent.succeeded", "payment_intent.payment_failed")

# What nobody looks up, and what our own operations have told already: of a hold's end only one that ended it.
_SETTLE: Final = """
    WITH due AS (
        SELECT event_id
          FROM webhook
         WHERE worked_at IS NULL
           AND due_at <= $1
           AND (split_part(object_id, '_', 1) <> ALL($2::text[])
                OR EXISTS (SELECT
                             FROM operation
                            WHERE operation.reference = webhook.object_id
                              AND operation.decided_at IS NOT NULL
                              AND split_part(webhook.object_id, '_', 1) IN ('pi', 'seti')
                              AND (webhook.type <> ALL($3::text[])
                                   OR operation.kind IN ('charge', 'capture', 'void'))
                              AND NOT EXISTS (SELECT
                                                FROM operation AS following
                                               WHERE following.reference = webhook.object_id
                                                 AND following.decided_at IS NULL)))
         ORDER BY due_at
         LIMIT $4
           FOR UPDATE SKIP LOCKED
    )
    UPDATE webhook
       SET worked_at = $1
      FROM due
     WHERE webhook.event_id = due.event_id
"""
# Whoever claims an event has it until its pause is over; if it is not worked by then, somebody tries again.
_CLAIM: Final = """
    WITH due AS (
        SELECT event_id
          FROM webhook
         WHERE worked_at IS NULL AND due_at <= $1
         ORDER BY due_at
         LIMIT $2
           FOR UPDATE SKIP LOCKED
    )
    UPDATE webhook
       SET attempts = attempts + 1,
           due_at = $1 + ($3::interval[])[least(attempts + 1, cardinality($3::interval[]))]
      FROM due
     WHERE webhook.event_id = due.event_id
    RETURNING webhook.event_id, webhook.type, webhook.object_id, webhook.attempts
"""
_WORKED: Final = "UPDATE webhook SET worked_at = $1 WHERE event_id = ANY($2::text[])"
_FORGET: Final = "DELETE FROM webhook WHERE received_at < $1 AND worked_at IS NOT NULL"

# Looks an object up by its id: true when it needs no more looking at. Raises LookupFailedError when the provider cannot
# be asked just now.
LookUp: TypeAlias = Callable[[str], Awaitable[bool]]


@dataclass
class Inbox:
    """`look_ups` by the prefix of the objects' ids, such as `pi`. Any number of replicas may run."""

    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock
    look_ups: Mapping[str, LookUp]

    async def run_once(self) -> bool:
        calls = 0 if READS in await stopped(self.pool) else LOOK_UPS_MAX
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            settled = await connection.execute(_SETTLE, now, list(self.look_ups), list(ENDS), BATCH)
            claimed = await connection.fetch(_CLAIM, now, calls, list(PAUSES))
            await connection.execute(_FORGET, now - KEPT)
        by_object: dict[str, list[Record]] = {}
        for row in claimed:
            by_object.setdefault(row["object_id"], []).append(row)
        worked: list[str] = []
        for object_id, rows in by_object.items():
            if await self._look_up(object_id):
                worked += [row["event_id"] for row in rows]
                await self._close_cases(rows)
            else:
                await self._open_cases(rows)
        if worked:
            await self.pool.execute(_WORKED, now, sorted(worked))
        return settled == f"UPDATE {BATCH}" or (len(claimed) == LOOK_UPS_MAX and bool(worked))

    async def _look_up(self, object_id: str) -> bool:
        """One that fails, for whatever reason, must neither be lost nor hold up the others."""
        look_up = self.look_ups.get(object_id.partition("_")[0])
        if look_up is None:  # it came between the two statements
            return True
        try:
            return await look_up(object_id)
        except LookupFailedError as error:
            log.warning("webhook_waits", object=object_id, error=str(error))
        except Exception:
            log.exception("webhook_failed", object=object_id)
        return False

    async def _open_cases(self, rows: Sequence[Record]) -> None:
        for row in rows:
            if row["attempts"] == ATTEMPTS_CASE:
                text = f"{row['type']} of {row['object_id']} could not be worked, {ATTEMPTS_CASE} times by now"
                await self.commit.execute(OpenCase(CaseKind.WEBHOOK, row["event_id"], text))

    async def _close_cases(self, rows: Sequence[Record]) -> None:
        for row in rows:
            if row["attempts"] > ATTEMPTS_CASE:
                await self.commit.execute(
                    CloseCase(CaseKind.WEBHOOK, row["event_id"], "It could be worked in the end.")
                )


@dataclass
class PaymentLookUp:
    """A payment or a saved card: what waits for it is asked for now, and a hold of ours that ended is looked at.

    One that nobody knows may be what an undecided operation has left at the provider, which says whose it is.
    """

    commit: GroupCommit
    provider: Provider

    async def __call__(self, reference: str) -> bool:
        touched = await self.commit.execute(Touched(reference))
        if not touched["known"]:
            operation_id = await self.provider.operation_of(reference)
            if operation_id is not None:
                await self.commit.execute(NoteReference(operation_id, reference))
        return True
