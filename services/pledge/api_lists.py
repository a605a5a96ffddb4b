"""Lists: a backer's pledges, a campaign's backers and what they are owed (DOMAIN P11)."""

import csv
import io
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from contracts.ids import CampaignId
from eventing.api_page import refusals
from eventing.runtime import Runtime
from eventing.tokens import Forbidden
from pledge import domain_refusals as rules
from pledge import queries, queries_backers
from pledge.api_answers import Backer, Creator
from pledge.bodies import BackerPage, PageLinks, PledgePage, ShownBacker, ShownPledge
from pledge.queries_backers import Owed

PAGE_MAX: Final = 100
PAGE_DEFAULT: Final = 20
HEADINGS: Final = (
    "tier_id",
    "tier",
    "estimated_delivery",
    "pledge_id",
    "backer_id",
    "country",
    "amount_minor",
    "currency",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # What a spreadsheet would run instead of show.
_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "One line a pledge, by tier", "content": {"text/csv": {"schema": {"type": "string"}}}},
    **refusals(Forbidden, rules.NoSuchCampaign, rules.NotSettled, rules.NothingToFulfil),
}

Cursor = Annotated[str | None, Query(max_length=64, description="As in `links.next`")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


def add_routes(routes: APIRouter, runtime: Runtime) -> None:
    @routes.get("/me/pledges", responses=refusals(Forbidden, rules.CursorUnknown))
    async def mine(backer: Backer, cursor: Cursor = None, limit: Limit = PAGE_DEFAULT) -> PledgePage:
        """The backer's pledges, newest first."""
        before = _read(cursor)
        async with runtime.pool.acquire() as connection:
            now = await runtime.clock.now(connection)
            rows = await queries.pledges_of(connection, backer.person_id, before, limit + 1, now)
        following = rows[limit - 1][0].pledge_id if len(rows) > limit else None
        items = [ShownPledge.of(*row) for row in rows[:limit]]
        return PledgePage(items=items, links=PageLinks(next=_next("/me/pledges", following, limit)))

    @routes.get(
        "/campaigns/{campaign_id}/backers", responses=refusals(Forbidden, rules.NoSuchCampaign, rules.CursorUnknown)
    )
    async def backers(
        campaign_id: UUID, creator: Creator, cursor: Cursor = None, limit: Limit = PAGE_DEFAULT
    ) -> BackerPage:
        """Who backs the creator's campaign, newest first, by opaque ids."""
        before = _read(cursor)
        book = await queries_backers.book_of(runtime.pool, CampaignId(campaign_id), creator.person_id)
        rows = await queries_backers.backers_of(runtime.pool, CampaignId(book.campaign_id), before, limit + 1)
        following = rows[limit - 1].pledge_id if len(rows) > limit else None
        links = PageLinks(next=_next(f"/campaigns/{campaign_id}/backers", following, limit))
        return BackerPage(items=[ShownBacker.of(row) for row in rows[:limit]], links=links)

    @routes.get("/campaigns/{campaign_id}/fulfilment.csv", responses=_CSV, response_class=StreamingResponse)
    async def fulfilment(campaign_id: UUID, creator: Creator) -> StreamingResponse:
        """What the creator of a settled campaign owes to whom, by tier, for the backers' opaque ids."""
        book = await queries_backers.book_of(runtime.pool, CampaignId(campaign_id), creator.person_id)
        queries_backers.check_settled(book)
        name = f'attachment; filename="fulfilment-{campaign_id}.csv"'
        lines = _csv(queries_backers.owed(runtime.pool, CampaignId(campaign_id)))
        return StreamingResponse(lines, media_type="text/csv", headers={"Content-Disposition": name})


async def _csv(pages: AsyncIterator[Any]) -> AsyncIterator[str]:
    """RFC 4180, a page of rows at a time, so that the size of the campaign does not matter."""
    yield _lines([HEADINGS])
    async for page in pages:
        yield _lines([_cells(one) for one in page])


def _cells(one: Owed) -> tuple[Any, ...]:
    title = f"'{one.tier}" if one.tier.startswith(_FORMULA) else one.tier
    return (
        one.tier_id or "",
        title,
        one.estimated_delivery,
        one.pledge_id,
        one.backer_id,
        one.country,
        one.amount_minor,
        one.currency,
    )


def _lines(rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _next(path: str, last: UUID | None, limit: int) -> str | None:
    return f"{path}?cursor={urlsafe_b64encode(last.bytes).decode().rstrip('=')}&limit={limit}" if last else None


def _read(cursor: str | None) -> UUID | None:
    """The last pledge of the page before. Ids rise with time, so what is placed meanwhile moves no page."""
    if cursor is None:
        return None
    try:
        return UUID(bytes=urlsafe_b64decode(cursor + "=="))
    except ValueError:
        raise rules.CursorUnknown("Take the address in `next` as it is, or begin without a cursor.") from None
