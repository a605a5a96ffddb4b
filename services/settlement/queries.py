"""What timers and HTTP read, without locks: every decision looks again under the campaign's lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.ids import CampaignId, PledgeId
from eventing.clock import DatabaseClock
from eventing.database import Pool
from settlement.domain_campaign import Campaign
from settlement.handlers import CAMPAIGNS

# Cheap counters first: only a copy whose count and sum can be the manifest's is compared pledge by pledge. A pledge
# that has left may have done so before or after the closing, so it may be in the manifest or not.
_READY = """
    SELECT campaign_id FROM campaign
    WHERE outcome IS NULL AND closed_at IS NOT NULL
      AND direction IS NULL AND cancelled_at IS NULL AND model IS NOT NULL AND manifest_at IS NOT NULL
      AND checked_changes IS DISTINCT FROM book_changes
      AND manifest_count - open_count - captured_count BETWEEN 0 AND left_count
      AND manifest_minor - open_minor - captured_minor BETWEEN 0 AND left_minor
    ORDER BY closed_at, campaign_id
    LIMIT $1
"""
_UNANSWERED = """
    SELECT campaign_id, open_count, outstanding_count FROM campaign
    WHERE outcome IS NULL AND closed_at IS NOT NULL
      AND direction IS NOT NULL AND open_count + outstanding_count > 0
    ORDER BY started_at, campaign_id
"""
_NEXT = """
    SELECT pledge_id FROM booked_pledge
    WHERE campaign_id = $1 AND status = 'authorized' AND NOT requested
    ORDER BY capture_before, pledge_id
    LIMIT $2
"""
_LATE = """
    SELECT c.campaign_id, array_agg(p.pledge_id ORDER BY p.failed_at, p.pledge_id) AS pledge_ids
    FROM campaign c CROSS JOIN LATERAL (
        SELECT pledge_id, failed_at FROM booked_pledge
        WHERE campaign_id = c.campaign_id AND status = 'capture_failed' AND NOT drop_requested
          AND failed_at <= $1::timestamptz - make_interval(secs => c.fix_payment_seconds)
        ORDER BY failed_at, pledge_id
        LIMIT $2
    ) p
    WHERE c.outcome IS NULL AND c.closed_at IS NOT NULL AND c.direction IS NOT NULL AND c.failed_count > 0
    GROUP BY c.campaign_id
    ORDER BY c.campaign_id
"""


@dataclass(frozen=True)
class Unanswered:
    """A settlement under way: pledges not asked about yet, and those whose answer is awaited."""

    campaign_id: CampaignId
    open: int
    outstanding: int


async def ready(pool: Pool, limit: int) -> list[CampaignId]:
    """Campaigns whose settlement may start."""
    return [row["campaign_id"] for row in await pool.fetch(_READY, limit)]


async def unanswered(pool: Pool) -> list[Unanswered]:
    return [Unanswered(*row) for row in await pool.fetch(_UNANSWERED)]


async def next_open(pool: Pool, campaign_id: CampaignId, limit: int) -> tuple[PledgeId, ...]:
    return tuple(row["pledge_id"] for row in await pool.fetch(_NEXT, campaign_id, limit))


async def late(pool: Pool, clock: DatabaseClock, limit: int) -> Sequence[tuple[CampaignId, tuple[PledgeId, ...]]]:
    """Failed captures whose window is over, at most `limit` of each campaign."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(_LATE, await clock.now(connection), limit)
    return [(row["campaign_id"], tuple(row["pledge_ids"])) for row in rows]


async def campaign(pool: Pool, campaign_id: UUID) -> Campaign | None:
    names = ", ".join(column.name for column in CAMPAIGNS.columns)
    row = await pool.fetchrow(f"SELECT {names} FROM campaign WHERE campaign_id = $1", campaign_id)  # noqa: S608 - own names
    return CAMPAIGNS.load(row) if row else None


async def last_failed_at(pool: Pool, campaign_id: UUID) -> datetime | None:
    sql = "SELECT max(failed_at) FROM booked_pledge WHERE campaign_id = $1 AND status = 'capture_failed'"
    found: datetime | None = await pool.fetchval(sql, campaign_id)
    return found
