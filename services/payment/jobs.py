"""The timer that starts payouts once the ledger agrees with what settlement asked for."""

from dataclasses import dataclass
from typing import Final

import structlog

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from payment.handlers import CheckPayout

log = structlog.get_logger(__name__)

PAYOUTS_AT_ONCE: Final = 20  # Each sums a campaign's entries in a group of its own; the rest comes a moment later.

_DUE: Final = """
    SELECT campaign_id
      FROM payout
     WHERE state = 'waiting' AND due_at <= $1
     ORDER BY due_at
     LIMIT $2
"""


@dataclass
class Payouts:
    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock

    async def run_once(self) -> bool:
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            due = await connection.fetch(_DUE, now, PAYOUTS_AT_ONCE)
        for row in due:
            answer = await self.commit.execute(CheckPayout(row["campaign_id"]))
            if answer["doubt"]:
                log.warning("payout_waits", campaign=str(row["campaign_id"]), doubt=answer["doubt"])
        return len(due) == PAYOUTS_AT_ONCE
