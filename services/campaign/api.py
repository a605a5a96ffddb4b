"""The campaign's HTTP door (DOMAIN C1 to C10, H1 to H4)."""

import time
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel

from campaign.bodies import (
    CancelBody,
    ChangeBody,
    CommandAnswer,
    DraftBody,
    LaunchBody,
    LimitBody,
    TierAnswer,
    TierBody,
    terms_of,
)
from campaign.domain import Status, Terms
from campaign.domain_commands import (
    AddTier,
    Bounds,
    CancelCampaign,
    ChangeDraft,
    DiscardDraft,
    DraftCampaign,
    LaunchCampaign,
    RaiseLimit,
    RemoveTier,
)
from campaign.domain_decisions import CampaignNotFound
from campaign.pages import TimedPage
from campaign.queries import CampaignList, Pages
from contracts.ids import CampaignId, PersonId, PoolId, TierId, new_id
from eventing.group_commit import Idempotency
from eventing.http import IdempotencyKey, command_fingerprint
from eventing.runtime import Runtime
from eventing.tokens import Principal, Role, public, require

LIST_MAX: Final = 100
LIST_DEFAULT: Final = 20

Creator = Annotated[Principal, require(Role.CREATOR)]
_signed_in = require().dependency


async def _viewer(request: Request) -> Principal | None:
    """Who is looking, if they say so: a token is not needed, but a bad one is refused."""
    if "authorization" not in request.headers:
        return None
    principal: Principal = await _signed_in(request)
    return principal


_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "No token, or one that does not hold"},
    403: {"description": "Not this person's campaign, or not a creator"},
    404: {"description": "No such campaign"},
    409: {"description": "The campaign's status does not allow this"},
    422: {"description": "A field or a rule is broken, or the Idempotency-Key was used for another command"},
}


def router(runtime: Runtime, pages: Pages, bounds: Bounds) -> APIRouter:
    routes = APIRouter(tags=["campaigns"], responses=_PROBLEMS)
    commands = _Commands(runtime)
    _add_queries(routes, pages)  # first, because routes are tried in order and pages are read most
    _add_draft_routes(routes, commands, bounds)
    _add_tier_routes(routes, commands)
    _add_life_routes(routes, commands, bounds)
    return routes


@dataclass(frozen=True)
class _Sender:
    """A creator who sends a command, under which key and to which address."""

    person_id: PersonId
    key: str
    method: str
    path: str


async def _sender(
    creator: Annotated[Principal, require(Role.CREATOR)], key: IdempotencyKey, request: Request
) -> _Sender:
    return _Sender(creator.person_id, key, request.method, request.url.path)


Sender = Annotated[_Sender, Depends(_sender)]


class _Commands:
    """Runs a command under its sender's Idempotency-Key (DOMAIN P10)."""

    def __init__(self, runtime: Runtime) -> None:
        self._commit = runtime.commit

    async def run(self, command: Any, sender: _Sender, body: BaseModel | None = None) -> dict[str, Any]:
        fingerprint = command_fingerprint(sender.method, sender.path, body)
        idempotency = Idempotency(sender.person_id, sender.key, fingerprint)
        return dict(await self._commit.execute(command, idempotency=idempotency))


def _add_draft_routes(routes: APIRouter, commands: _Commands, bounds: Bounds) -> None:
    @routes.post("/campaigns", status_code=201, response_model=CommandAnswer)
    async def draft_campaign(body: DraftBody, sender: Sender, response: Response) -> dict[str, Any]:
        """Draft a campaign. Nobody but its creator sees it before the launch (C1)."""
        terms = Terms(**terms_of(body))
        command = DraftCampaign(CampaignId(new_id()), sender.person_id, terms, bounds)
        answer = await commands.run(command, sender, body)
        response.headers["Location"] = answer["links"]["self"]
        return answer

    @routes.patch("/campaigns/{campaign_id}", response_model=CommandAnswer)
    async def change_draft(campaign_id: UUID, body: ChangeBody, sender: Sender) -> dict[str, Any]:
        """Change a draft: what is named changes, the rest stays (C1). Frozen at launch (C3)."""
        command = ChangeDraft(CampaignId(campaign_id), sender.person_id, terms_of(body), bounds)
        return await commands.run(command, sender, body)

    @routes.delete("/campaigns/{campaign_id}", response_model=CommandAnswer)
    async def discard_draft(campaign_id: UUID, sender: Sender) -> dict[str, Any]:
        """Throw a draft away (C1)."""
        return await commands.run(DiscardDraft(CampaignId(campaign_id), sender.person_id), sender)


def _add_tier_routes(routes: APIRouter, commands: _Commands) -> None:
    @routes.post("/campaigns/{campaign_id}/tiers", status_code=201, response_model=TierAnswer)
    async def add_tier(
        campaign_id: UUID,
        body: TierBody,
        sender: Sender,
        response: Response,
    ) -> dict[str, Any]:
        """Add a reward tier to a draft or an active campaign (C5)."""
        command = AddTier(
            campaign_id=CampaignId(campaign_id),
            person_id=sender.person_id,
            tier_id=TierId(new_id()),
            new_pool_id=PoolId(new_id()),
            title=body.title,
            description=body.description,
            minimum=body.minimum.money(),
            estimated_delivery=body.estimated_delivery,
            limit=body.limit,
            pool_of=None if body.pool_of is None else TierId(body.pool_of),
        )
        answer = await commands.run(command, sender, body)
        response.headers["Location"] = answer["links"]["self"]
        return answer

    @routes.patch("/campaigns/{campaign_id}/tiers/{tier_id}", response_model=CommandAnswer)
    async def raise_limit(campaign_id: UUID, tier_id: UUID, body: LimitBody, sender: Sender) -> dict[str, Any]:
        """Raise the limit of an active campaign's tier, and of those that share its pool; never lower it (C5)."""
        command = RaiseLimit(CampaignId(campaign_id), sender.person_id, TierId(tier_id), body.limit)
        return await commands.run(command, sender, body)

    @routes.delete("/campaigns/{campaign_id}/tiers/{tier_id}", response_model=CommandAnswer)
    async def remove_tier(campaign_id: UUID, tier_id: UUID, sender: Sender) -> dict[str, Any]:
        """Remove a tier from a draft (C1)."""
        command = RemoveTier(CampaignId(campaign_id), sender.person_id, TierId(tier_id))
        return await commands.run(command, sender)


def _add_life_routes(routes: APIRouter, commands: _Commands, bounds: Bounds) -> None:
    @routes.post("/campaigns/{campaign_id}/launch", response_model=CommandAnswer)
    async def launch(
        campaign_id: UUID,
        sender: Sender,
        body: Annotated[LaunchBody, Body(default_factory=LaunchBody)],
    ) -> dict[str, Any]:
        """Launch a draft: goal, model, currency, deadline and policy are frozen from now on (C3, C4)."""
        command = LaunchCampaign(CampaignId(campaign_id), sender.person_id, bounds, body.policy)
        return await commands.run(command, sender, body)

    @routes.post("/campaigns/{campaign_id}/cancel", status_code=202, response_model=CommandAnswer)
    async def cancel(
        campaign_id: UUID,
        sender: Sender,
        body: Annotated[CancelBody, Body(default_factory=CancelBody)],
    ) -> dict[str, Any]:
        """Cancel: all holds are released and all charges given back, which goes on after the answer (C10)."""
        command = CancelCampaign(CampaignId(campaign_id), sender.person_id, body.reason)
        return await commands.run(command, sender, body)


def _add_queries(routes: APIRouter, pages: Pages) -> None:
    @routes.get("/campaigns/{campaign_id}", dependencies=[public()], response_model=TimedPage)
    async def show_campaign(campaign_id: UUID, request: Request) -> Response:
        """The public page (C8). Before the launch only its creator sees it."""
        viewer = await _viewer(request)
        page = await pages.page(campaign_id)
        if page is None or not (page.launched or (viewer is not None and viewer.person_id == page.creator_id)):
            raise CampaignNotFound("Nothing is known under this id.")
        return Response(page.timed(time.time()), media_type="application/json")

    @routes.get("/campaigns", dependencies=[public()])
    async def list_campaigns(
        request: Request,
        status: Status | None = None,
        creator: UUID | None = None,
        cursor: Annotated[UUID | None, Query(description="As given in `next`")] = None,
        limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = LIST_DEFAULT,
    ) -> CampaignList:
        """Launched campaigns, newest first, and the viewer's own drafts (C8)."""
        viewer = await _viewer(request)
        viewer_id = viewer.person_id if viewer else None
        items = await pages.listed(viewer_id, status, creator, cursor, limit + 1)
        if len(items) <= limit:
            return CampaignList(items=items, next=None)
        filters = {"status": status and status.value, "creator": creator, "cursor": items[limit - 1].id}
        query = urlencode({name: value for name, value in filters.items() if value} | {"limit": limit})
        return CampaignList(items=items[:limit], next=f"/campaigns?{query}")
