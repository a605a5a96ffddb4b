"""News of a campaign over HTTP (DOMAIN C9)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from campaign.api_commands import COMMAND, Commands, Sender
from campaign.api_reads import LIST_DEFAULT, LIST_MAX, OPTIONAL_TOKEN, viewer_of
from campaign.bodies import UpdateAnswer, UpdateBody
from campaign.domain_commands import PostUpdate
from campaign.domain_decisions import not_found
from campaign.domain_refusals import CampaignNotFound, TierNotFound, TooManyUpdates, UpdateNotFound, WrongStatus
from campaign.domain_updates import UPDATES_MAX
from campaign.queries_updates import UpdateList, UpdateShown, creator_of, updates
from contracts.ids import CampaignId, TierId, UpdateId, new_id
from eventing.api_page import refusals
from eventing.database import Pool
from eventing.tokens import public


def add_updates(routes: APIRouter, commands: Commands, pool: Pool) -> None:
    _add_posting(routes, commands)
    _add_reading(routes, pool)


def _add_posting(routes: APIRouter, commands: Commands) -> None:
    @routes.post(
        "/campaigns/{campaign_id}/updates",
        status_code=201,
        response_model=UpdateAnswer,
        responses=refusals(*COMMAND, WrongStatus, TierNotFound, TooManyUpdates),
    )
    async def post_update(campaign_id: UUID, body: UpdateBody, sender: Sender, response: Response) -> dict[str, Any]:
        """Tell everybody, or the backers of one tier, how it goes, from the launch on (C9)."""
        command = PostUpdate(
            campaign_id=CampaignId(campaign_id),
            person_id=sender.person_id,
            update_id=UpdateId(new_id()),
            kind=body.kind,
            title=body.title,
            text=body.text,
            tier_id=None if body.tier_id is None else TierId(body.tier_id),
        )
        answer = await commands.run(command, sender, body)
        response.headers["Location"] = answer["links"]["self"]
        return answer


def _add_reading(routes: APIRouter, pool: Pool) -> None:
    async def read(campaign_id: UUID, request: Request, before: int, limit: int) -> list[UpdateShown]:
        viewer, creator_id = await viewer_of(request), await creator_of(pool, campaign_id)
        if creator_id is None:
            raise not_found()
        return await updates(pool, campaign_id, creator_id, viewer=viewer, before=before, limit=limit)

    @routes.get(
        "/campaigns/{campaign_id}/updates",
        dependencies=[public()],
        responses=refusals(CampaignNotFound),
        openapi_extra=OPTIONAL_TOKEN,
    )
    async def list_updates(
        campaign_id: UUID,
        request: Request,
        cursor: Annotated[int, Query(ge=1, le=UPDATES_MAX, description="As given in `next`")] = UPDATES_MAX,
        limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = LIST_DEFAULT,
    ) -> UpdateList:
        """What the creator has posted, newest first. What is for one tier only shows its text to its backers (C9)."""
        found = await read(campaign_id, request, cursor, limit + 1)
        if len(found) <= limit:
            return UpdateList(items=found, next=None)
        following = f"/campaigns/{campaign_id}/updates?cursor={found[limit].number}&limit={limit}"
        return UpdateList(items=found[:limit], next=following)

    @routes.get(
        "/campaigns/{campaign_id}/updates/{number}",
        dependencies=[public()],
        responses=refusals(CampaignNotFound, UpdateNotFound),
        openapi_extra=OPTIONAL_TOKEN,
    )
    async def show_update(
        campaign_id: UUID, number: Annotated[int, Path(ge=1, le=UPDATES_MAX)], request: Request
    ) -> UpdateShown:
        """One of them."""
        for found in await read(campaign_id, request, number, 1):
            if found.number == number:
                return found
        raise UpdateNotFound("The campaign has not so many updates yet. Its list shows those that there are.")
