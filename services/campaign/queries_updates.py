"""What creators have posted (DOMAIN C9), and who may read it.

News for everybody is public. Of news for one tier everybody sees that it is there; its text is for its creator and
for those who hold a slot of that tier now.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg import Record
from pydantic import BaseModel, ConfigDict, Field

from campaign.examples import UPDATE_EXAMPLE
from campaign.pages import address
from contracts.campaign import UpdateKind
from eventing.database import Pool

# $1 campaign, $2 viewer or null, $3 their creator's id, $4 the number to go on from, $5 how many.
READ_UPDATES: Final = """
    SELECT update.update_id, update.campaign_id, update.number, update.kind, update.tier_id, update.title,
           update.posted_at,
           CASE WHEN update.tier_id IS NULL OR $2::uuid = $3::uuid OR EXISTS (
               SELECT FROM contribution
               WHERE contribution.backer_id = $2 AND contribution.campaign_id = $1
                 AND contribution.tier_id = update.tier_id AND contribution.slots = 1
           ) THEN update.text END AS text
    FROM campaign_update update
    WHERE update.campaign_id = $1 AND update.number <= $4
    ORDER BY update.number DESC
    LIMIT $5
"""
READ_CREATOR: Final = "SELECT creator_id FROM campaign_page WHERE campaign_id = $1 AND launched_at IS NOT NULL"


_EXAMPLE: Final = UPDATE_EXAMPLE | {"text": "We cast the first lamps on Monday."}


class UpdateShown(BaseModel):
    """`text` is null for a reader whom it is not for: it is for the backers of the tier `tier_id` only."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    number: int = Field(examples=[1])
    kind: UpdateKind
    tier_id: UUID | None
    title: str
    text: str | None
    posted_at: datetime
    links: dict[str, str]


class UpdateList(BaseModel):
    """Newest first. `next` is the address of the following page, null on the last one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXAMPLE], "next": None}]})

    items: list[UpdateShown]
    next: str | None


async def creator_of(pool: Pool, campaign_id: UUID) -> UUID | None:
    """Of a campaign that was launched; None for a draft and for one that is not there."""
    found: UUID | None = await pool.fetchval(READ_CREATOR, campaign_id)
    return found


async def updates(
    pool: Pool, campaign_id: UUID, creator_id: UUID, *, viewer: UUID | None, before: int, limit: int
) -> list[UpdateShown]:
    """Those with a number up to `before`, newest first, as this viewer may read them."""
    rows = await pool.fetch(READ_UPDATES, campaign_id, viewer, creator_id, before, limit)
    return [_shown(row) for row in rows]


def _shown(row: Record) -> UpdateShown:
    path = address(row["campaign_id"])
    return UpdateShown(
        id=row["update_id"],
        links={"self": f"{path}/updates/{row['number']}", "campaign": path},
        **{name: row[name] for name in ("number", "kind", "tier_id", "title", "text", "posted_at")},
    )
