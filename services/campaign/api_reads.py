"""What everybody may read: pages, lists, tiers, and a campaign live (DOMAIN C7, C8, H2)."""

import asyncio
import time
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from campaign.bodies import TierShown
from campaign.domain import Status
from campaign.domain_decisions import not_found
from campaign.domain_refusals import CampaignNotFound, TierNotFound
from campaign.domain_tiers import tier_of, tier_tag
from campaign.live import Live, Position, Viewer
from campaign.pages import TimedPage
from campaign.queries import Pages
from campaign.queries_lists import CampaignList, Cursor, CursorUnknown, Sort, Wanted, listed
from contracts.ids import PersonId, TierId
from eventing.api_page import refusals
from eventing.database import Pool
from eventing.preconditions import IfNoneMatch, is_known
from eventing.tokens import Principal, public, require

LIST_MAX: Final = 100
LIST_DEFAULT: Final = 20
WORDS_MAX: Final = 200
CURSOR_MAX: Final = 400

_signed_in = require().dependency
# On the API page: a token is not needed, but a bad one is refused.
OPTIONAL_TOKEN: Final[dict[str, Any]] = {"security": [{}, {"Token": []}]}
_UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "It is still as you know it"}}
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`total`, `slots`, `milestone` and at last `end`, each with its data in JSON",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: milestone\nid: 41-1\ndata: {"percent":25}\n\nevent: total\nid: 42-1\ndata: {}\n\n',
            }
        },
    },
    204: {"description": "It is over, and you have seen the end: do not connect again"},
}


async def viewer_of(request: Request) -> PersonId | None:
    """Who is looking, if they say so."""
    if "authorization" not in request.headers:
        return None
    principal: Principal = await _signed_in(request)
    return principal.person_id


def add_reads(routes: APIRouter, pages: Pages, pool: Pool, live: Live) -> None:
    _add_page(routes, pages)
    _add_list(routes, pool)
    _add_tier(routes, pages)
    _add_live(routes, pool, live)


def _add_page(routes: APIRouter, pages: Pages) -> None:
    @routes.get(
        "/campaigns/{campaign_id}",
        dependencies=[public()],
        response_model=TimedPage,
        responses=_UNCHANGED | refusals(CampaignNotFound),
        openapi_extra=OPTIONAL_TOKEN,
    )
    async def show_campaign(campaign_id: UUID, request: Request, known: IfNoneMatch = None) -> Response:
        """The public page (C8). Before the launch only its creator sees it."""
        page = await pages.page(campaign_id)
        if page is None or not page.visible_to(await viewer_of(request)):
            raise not_found()
        headers = {"ETag": page.etag, "Cache-Control": "no-cache"}
        if is_known(known, page.etag):
            return Response(status_code=304, headers=headers)
        return Response(page.timed(time.time()), headers=headers, media_type="application/json")


def _add_list(routes: APIRouter, pool: Pool) -> None:
    @routes.get("/campaigns", dependencies=[public()], responses=refusals(CursorUnknown), openapi_extra=OPTIONAL_TOKEN)
    async def list_campaigns(  # noqa: PLR0917 - a route takes its parameters by name
        request: Request,
        status: Status | None = None,
        creator: UUID | None = None,
        q: Annotated[
            str | None, Query(max_length=WORDS_MAX, description='Words of title or story; "a phrase", or, -not')
        ] = None,
        sort: Sort = Sort.NEWEST,
        cursor: Annotated[str | None, Query(max_length=CURSOR_MAX, description="As given in `next`")] = None,
        limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = LIST_DEFAULT,
    ) -> CampaignList:
        """Launched campaigns, and with `newest` the viewer's own drafts (C8). `ending_soon` lists active ones."""
        after = None if cursor is None else Cursor.read(cursor, sort)
        wanted = Wanted(await viewer_of(request), sort, status, creator, q, after)
        items, following = await listed(pool, wanted, limit)
        if following is None:
            return CampaignList(items=items, next=None)
        given = {"status": status and status.value, "creator": creator, "q": q, "sort": sort.value}
        query = {name: value for name, value in given.items() if value} | {"cursor": following, "limit": limit}
        return CampaignList(items=items, next=f"/campaigns?{urlencode(query)}")


def _add_tier(routes: APIRouter, pages: Pages) -> None:
    @routes.get(
        "/campaigns/{campaign_id}/tiers/{tier_id}",
        dependencies=[public()],
        responses=refusals(CampaignNotFound, TierNotFound),
        openapi_extra=OPTIONAL_TOKEN,
    )
    async def show_tier(campaign_id: UUID, tier_id: UUID, request: Request, response: Response) -> TierShown:
        """A tier as its creator wrote it (C5), with the ETag that a change can name; slots left are on the page."""
        campaign = await pages.campaign(campaign_id, await viewer_of(request))
        tier = tier_of(campaign, TierId(tier_id))
        response.headers["ETag"] = f'"{tier_tag(tier)}"'
        return TierShown.of(campaign, tier)


class _LiveStream(StreamingResponse):
    """A viewer counts from the moment it is let in until its stream is over, however that ends."""

    def __init__(self, viewer: Viewer, seen: Position | None) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(viewer.frames(seen), headers=headers, media_type="text/event-stream")
        self._viewer = viewer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._viewer.leave()


def _add_live(routes: APIRouter, pool: Pool, live: Live) -> None:
    never = asyncio.Event()  # where nobody stops the service in order, as in a test

    @routes.get(
        "/campaigns/{campaign_id}/live",
        dependencies=[public()],
        response_model=None,
        response_class=StreamingResponse,
        responses=_STREAM | refusals(CampaignNotFound),
    )
    async def watch_campaign(
        campaign_id: UUID,
        request: Request,
        last_event_id: Annotated[
            str | None, Header(max_length=64, description="Where the last stream ended", examples=["42-1"])
        ] = None,
    ) -> Response:
        """Total, backers, slots and milestones as they change, as server-sent events (C7), until the campaign ends."""
        viewer = await live.watch(pool, campaign_id, getattr(request.app.state, "stopping", never))
        if viewer is None:
            raise not_found()
        seen = Position.read(last_event_id)
        if viewer.moment.over and seen == viewer.moment.position:
            viewer.leave()
            return Response(status_code=204)
        return _LiveStream(viewer, seen)
