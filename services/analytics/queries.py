"""What the dashboard reads, from this service's own projections only (DOMAIN A2)."""

from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Final
from uuid import UUID

from asyncpg import Record

from analytics.domain import UNKNOWN_DAY, Measures
from analytics.projections import CAMPAIGNS, MILESTONES, TIERS, CampaignRow, MilestoneRow, TierRow
from eventing.database import Pool
from eventing.tables import Table

MEASURES: Final = tuple(field.name for field in fields(Measures))

# One statement, so that total, tiers, countries and days are of the same moment and agree.
_SUMS: Final = f"""
    SELECT tier_id, country, placed_on, {", ".join(f"sum({name})::bigint AS {name}" for name in MEASURES)}
    FROM pledge_sums
    WHERE campaign_id = $1
    GROUP BY GROUPING SETS ((), (tier_id), (country), (placed_on))
    HAVING sum(placed) > 0
    ORDER BY tier_id, country, placed_on
"""  # noqa: S608 - names of our own fields
_SLOTS_LEFT: Final = """
    SELECT pool.pool_id, pool.slots, pool.slots - COALESCE(sum(s.claimed), 0)::bigint AS slots_left
    FROM pool
    LEFT JOIN tier t ON t.pool_id = pool.pool_id
    LEFT JOIN pledge_sums s ON s.campaign_id = pool.campaign_id AND s.tier_id = t.tier_id
    WHERE pool.campaign_id = $1
    GROUP BY pool.pool_id
"""


@dataclass(frozen=True)
class Slots:
    """Of a pool, which tiers may share."""

    limit: int
    left: int


@dataclass(frozen=True)
class Numbers:
    """The sums of a campaign's pledges in four ways. Days are UTC; a pledge without a reward has the tier NO_TIER."""

    total: Measures
    by_tier: dict[UUID, Measures]
    by_country: dict[str, Measures]
    by_day: dict[date, Measures]


async def campaign(pool: Pool, campaign_id: UUID) -> CampaignRow | None:
    rows = await _rows(pool, CAMPAIGNS, campaign_id)
    return rows[0] if rows else None


async def numbers(pool: Pool, campaign_id: UUID) -> Numbers:
    found = Numbers(Measures(), {}, {}, {})
    for record in await pool.fetch(_SUMS, campaign_id):
        measures = _measures(record)
        if record["tier_id"] is not None:
            found.by_tier[record["tier_id"]] = measures
        elif record["country"] is not None:
            found.by_country[record["country"]] = measures
        elif record["placed_on"] is not None:
            found.by_day[record["placed_on"]] = measures
        else:
            found = Numbers(measures, found.by_tier, found.by_country, found.by_day)
    found.by_day.pop(UNKNOWN_DAY, None)
    return found


async def slots(pool: Pool, campaign_id: UUID) -> dict[UUID, Slots]:
    """Limit and slots left of each pool; pending pledges hold theirs."""
    records = await pool.fetch(_SLOTS_LEFT, campaign_id)
    return {record["pool_id"]: Slots(record["slots"], max(0, record["slots_left"])) for record in records}


async def tiers(pool: Pool, campaign_id: UUID) -> list[TierRow]:
    found = await _rows(pool, TIERS, campaign_id)
    return sorted(found, key=lambda tier: (tier.minimum_minor, tier.title, tier.tier_id))


async def milestones(pool: Pool, campaign_id: UUID) -> list[MilestoneRow]:
    found = await _rows(pool, MILESTONES, campaign_id)
    return sorted(found, key=lambda milestone: milestone.threshold_minor)


async def _rows(pool: Pool, table: Table[Any], campaign_id: UUID) -> list[Any]:
    names = ", ".join(column.name for column in table.columns)
    sql = f"SELECT {names} FROM {table.name} WHERE campaign_id = $1"  # noqa: S608 - names of our own
    return [table.load(record) for record in await pool.fetch(sql, campaign_id)]


def _measures(record: Record) -> Measures:
    return Measures(*(record[name] for name in MEASURES))
