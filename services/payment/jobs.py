"""Timers: payouts that are asked for, come in later, or were kept back and are free; holds that are to be renewed."""

from dataclasses import dataclass
from typing import Final

import structlog

from contracts.ids import PledgeId
from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from payment.handlers import RenewHold
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


RENEWALS_AT_ONCE: Final = 200  # What is renewed waits its turn behind the checkout anyway.

_RENEWALS: Final = """
    SELECT pledge_id
      FROM renewal
     WHERE due_at <= $1
     ORDER BY due_at
     LIMIT $2
"""


@dataclass
class Renewals:
    """Asks for what is due; the handler decides with the row locked, so any number of replicas may ask."""

    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock

    async def run_once(self) -> bool:
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            due = await connection.fetch(_RENEWALS, now, RENEWALS_AT_ONCE)
        for row in due:
            await self.commit.execute(RenewHold(PledgeId(row["pledge_id"])))
        return len(due) == RENEWALS_AT_ONCE
