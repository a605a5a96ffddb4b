"""Who backs a campaign, for its creator, by opaque ids (DOMAIN P11, N4): a list, and an export by tier."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from contracts.ids import CampaignId, PersonId
from contracts.settlement import Outcome
from eventing.database import Pool
from pledge.domain import LIVE
from pledge.domain_book import Book
from pledge.domain_refusals import NoSuchCampaign, NothingToFulfil, NotSettled
from pledge.tables import BOOKS, PLEDGES, PledgeView

PAGE_ROWS: Final = 500  # Of an export; between two pages no connection is held, however slowly they are read.
# Written out, so that the partial indexes on the same lists are used.
IN_LIVE: Final = ", ".join(f"'{status.value}'" for status in sorted(LIVE))

_BOOK_COLUMNS = ", ".join(column.name for column in BOOKS.columns)
_BOOK = f"SELECT {_BOOK_COLUMNS} FROM book WHERE campaign_id = $1"  # noqa: S608 - names from the code
_BACKERS = f"""
    SELECT {", ".join(column.name for column in PLEDGES.columns)}
    FROM pledge_view
    WHERE campaign_id = $1
      AND status IN ({IN_LIVE})
      AND ($2::uuid IS NULL OR pledge_id < $2)
    ORDER BY pledge_id DESC
    LIMIT $3
"""  # noqa: S608 - names from the code
_TIERS = """
    SELECT tier_id, title, estimated_delivery
    FROM tier
    WHERE campaign_id = $1
    ORDER BY tier_id
"""
_OWED = """
    SELECT pledge_id, backer_id, country, amount_minor, currency
    FROM pledge_view
    WHERE campaign_id = $1
      AND status = 'captured'
      AND tier_id IS NOT DISTINCT FROM $2
      AND pledge_id > $3
    ORDER BY pledge_id
    LIMIT $4
"""


@dataclass(frozen=True)
class Owed:
    """What one backer gets. No tier: they chose no reward."""

    pledge_id: UUID
    backer_id: UUID
    country: str
    amount_minor: int
    currency: str
    tier_id: UUID | None
    tier: str
    estimated_delivery: str


async def book_of(pool: Pool, campaign_id: CampaignId, creator_id: PersonId) -> Book:
    """The campaign's book, if the campaign is this creator's. Raises NoSuchCampaign."""
    row = await pool.fetchrow(_BOOK, campaign_id)
    if row is None or row["creator_id"] != creator_id:
        raise NoSuchCampaign("Check the id. Backers are shown to the campaign's creator only, from its launch on.")
    return BOOKS.load(row)


def check_settled(book: Book) -> None:
    """Raises NotSettled, NothingToFulfil."""
    if book.outcome is None:
        raise NotSettled("The list of what is owed to whom is there once the campaign is settled.")
    if book.outcome is Outcome.FAILED:
        raise NothingToFulfil("The campaign did not reach its goal: every hold was released.")


async def backers_of(pool: Pool, campaign_id: CampaignId, before: UUID | None, limit: int) -> Sequence[PledgeView]:
    """Live pledges, newest first, from before the pledge `before` on."""
    return [PLEDGES.load(row) for row in await pool.fetch(_BACKERS, campaign_id, before, limit)]


async def owed(pool: Pool, campaign_id: CampaignId) -> AsyncIterator[Sequence[Owed]]:
    """All that was paid for, page by page: tier by tier, and in each in the order of placing."""
    tiers = [tuple(row) for row in await pool.fetch(_TIERS, campaign_id)]
    for tier_id, title, estimated_delivery in (*tiers, (None, "", "")):
        after = UUID(int=0)
        while rows := await pool.fetch(_OWED, campaign_id, tier_id, after, PAGE_ROWS):
            yield [Owed(**row, tier_id=tier_id, tier=title, estimated_delivery=estimated_delivery) for row in rows]
            after = rows[-1]["pledge_id"]
