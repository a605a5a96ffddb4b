"""Operations that stay unknown (DOMAIN Y6): the worker reads them back, this tells a person. Counts open cases, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from asyncpg import Record

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from payment.cases import CaseKind
from payment.handlers_cases import CloseCase, OpenCase
from payment.metrics import CaseMetrics
from payment.queries_cases import open_cases

log = structlog.get_logger(__name__)

UNKNOWN_CASE: Final = timedelta(hours=6)  # Read back some fifteen times by then.
AT_ONCE: Final = 100

_LATE: Final = """
    SELECT operation_id, subject_id, campaign_id, kind, amount, currency, outcome
      FROM operation
     WHERE state IN ('waiting', 'leased')
       AND first_sent_at <= $1
       AND outcome LIKE 'unknown%'
       AND NOT EXISTS (SELECT
                         FROM payment_case
                        WHERE kind = 'unknown_operation'
                          AND about = operation.operation_id::text
                          AND payment_case.state = 'open')
     ORDER BY first_sent_at
     LIMIT $2
"""
_KNOWN: Final = """
    SELECT payment_case.about, operation.outcome
      FROM payment_case
      JOIN operation USING (operation_id)
     WHERE payment_case.kind = 'unknown_operation'
       AND payment_case.state = 'open'
       AND operation.decided_at IS NOT NULL
     ORDER BY payment_case.opened_at
     LIMIT $1
"""

_LAST_MATCH: Final = """
    SELECT day, differences
      FROM daily_match
     WHERE finished_at IS NOT NULL
     ORDER BY day DESC
     LIMIT 1
"""


@dataclass
class Janitor:
    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock
    metrics: CaseMetrics

    async def run_once(self) -> bool:
        """Every replica may: a case opens and closes once."""
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            late = await connection.fetch(_LATE, now - UNKNOWN_CASE, AT_ONCE)
            known = await connection.fetch(_KNOWN, AT_ONCE)
        await self._tell(late)
        for row in known:
            text = f"The operation is known now: {row['outcome']}."
            await self.commit.execute(CloseCase(CaseKind.UNKNOWN_OPERATION, row["about"], text))
        self.metrics.show(await open_cases(self.pool))
        if last := await self.pool.fetchrow(_LAST_MATCH):
            self.metrics.show_match(last["day"], last["differences"])
        return len(late) == AT_ONCE or len(known) == AT_ONCE

    async def _tell(self, late: Sequence[Record]) -> None:
        for row in late:
            log.error("operation_unknown_for_hours", operation=str(row["operation_id"]), kind=row["kind"])
            text = f"{row['kind']} of {row['amount']} {row['currency']} has been unknown for hours: {row['outcome']}"
            about_payout = row["subject_id"] == row["campaign_id"]
            command = OpenCase(
                CaseKind.UNKNOWN_OPERATION,
                str(row["operation_id"]),
                text,
                campaign_id=row["campaign_id"],
                pledge_id=None if about_payout else row["subject_id"],
                operation_id=row["operation_id"],
            )
            await self.commit.execute(command)
