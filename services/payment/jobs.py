"""The timer that looks at payouts: asked for, come in later, or kept back and free."""

from dataclasses import dataclass
from typing import Final

import structlog

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from payment.handlers_payout import CheckPayout

log = structlog.get_logger(__name__)

PAYOUTS_AT_ONCE: Final = 20  # Each sums a campaign's entries in a group of its own; the rest comes a moment later.

_DUE: Final = """
    SELECT campaign_id, creator_id, currency
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
    reserve_bps: int
    reserve_days: int

    async def run_once(self) -> bool:
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            due = await connection.fetch(_DUE, now, PAYOUTS_AT_ONCE)
        for row in due:
            about = (row["campaign_id"], row["creator_id"], row["currency"])
            answer = await self.commit.execute(CheckPayout(*about, self.reserve_bps, self.reserve_days))
            if answer["doubt"]:
                log.warning("payout_waits", campaign=str(row["campaign_id"]), doubt=answer["doubt"])
        return len(due) == PAYOUTS_AT_ONCE
