"""The campaign's HTTP door (DOMAIN C1 to C10, H1 to H4)."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Response

from campaign.api_commands import COMMAND, Commands, Sender
from campaign.api_reads import add_reads
from campaign.api_tiers import add_tiers
from campaign.api_updates import add_updates
from campaign.bodies import CancelBody, ChangeBody, CommandAnswer, DraftBody, LaunchBody, terms_of
from campaign.domain import Terms
from campaign.domain_commands import (
    Bounds,
    CancelCampaign,
    ChangeDraft,
    DiscardDraft,
    DraftCampaign,
    LaunchCampaign,
)
from campaign.domain_refusals import (
    ChangedMeanwhile,
    DeadlineOutOfBounds,
    StrategyNotOffered,
    StretchGoalTooLow,
    WrongCurrency,
    WrongStatus,
)
from campaign.live import Live
from campaign.queries import Pages
from contracts.ids import CampaignId, new_id
from eventing.api_page import ALL_LISTED, refusals
from eventing.preconditions import IfMatch, expected_by
from eventing.runtime import Runtime
from eventing.tokens import Forbidden


def router(runtime: Runtime, pages: Pages, live: Live, bounds: Bounds) -> APIRouter:
    routes = APIRouter(tags=["campaigns"], responses={**ALL_LISTED})
    commands = Commands(runtime)
    add_reads(routes, pages, runtime.pool, live)  # first, because routes are tried in order and pages are read most
    _add_drafts(routes, commands, bounds)
    _add_life(routes, commands, bounds)
    add_tiers(routes, commands)
    add_updates(routes, commands, runtime.pool)
    return routes


def _add_drafts(routes: APIRouter, commands: Commands, bounds: Bounds) -> None:
    @routes.post(
        "/campaigns",
        status_code=201,
        response_model=CommandAnswer,
        responses=refusals(Forbidden, DeadlineOutOfBounds),
    )
    async def draft_campaign(body: DraftBody, sender: Sender, response: Response) -> dict[str, Any]:
        """Draft a campaign. Nobody but its creator sees it before the launch (C1)."""
        terms = Terms(**terms_of(body))
        command = DraftCampaign(CampaignId(new_id()), sender.person_id, terms, bounds)
        answer = await commands.run(command, sender, body)
        response.headers["Location"] = answer["links"]["self"]
        return answer

    @routes.patch(
        "/campaigns/{campaign_id}",
        response_model=CommandAnswer,
        responses=refusals(*COMMAND, WrongStatus, DeadlineOutOfBounds, ChangedMeanwhile),
    )
    async def change_draft(
        campaign_id: UUID, body: ChangeBody, sender: Sender, if_match: IfMatch = None
    ) -> dict[str, Any]:
        """Change a draft: what is named changes, the rest stays (C1). Frozen at launch (C3)."""
        changes, expected = terms_of(body), expected_by(if_match)
        command = ChangeDraft(CampaignId(campaign_id), sender.person_id, changes, bounds, expected)
        return await commands.run(command, sender, body)

    @routes.delete("/campaigns/{campaign_id}", response_model=CommandAnswer, responses=refusals(*COMMAND, WrongStatus))
    async def discard_draft(campaign_id: UUID, sender: Sender) -> dict[str, Any]:
        """Throw a draft away (C1)."""
        return await commands.run(DiscardDraft(CampaignId(campaign_id), sender.person_id), sender)


def _add_life(routes: APIRouter, commands: Commands, bounds: Bounds) -> None:
    @routes.post(
        "/campaigns/{campaign_id}/launch",
        response_model=CommandAnswer,
        responses=refusals(
            *COMMAND, WrongStatus, DeadlineOutOfBounds, WrongCurrency, StretchGoalTooLow, StrategyNotOffered
        ),
    )
    async def launch(
        campaign_id: UUID,
        sender: Sender,
        body: Annotated[LaunchBody, Body(default_factory=LaunchBody)],
    ) -> dict[str, Any]:
        """Launch a draft: goal, model, currency, deadline and policy are frozen from now on (C3, C4)."""
        command = LaunchCampaign(CampaignId(campaign_id), sender.person_id, bounds, body.policy)
        return await commands.run(command, sender, body)

    @routes.post(
        "/campaigns/{campaign_id}/cancel",
        status_code=202,
        response_model=CommandAnswer,
        responses=refusals(*COMMAND, WrongStatus),
    )
    async def cancel(
        campaign_id: UUID,
        sender: Sender,
        body: Annotated[CancelBody, Body(default_factory=CancelBody)],
    ) -> dict[str, Any]:
        """Cancel: all holds are released and all charges given back, which goes on after the answer (C10)."""
        command = CancelCampaign(CampaignId(campaign_id), sender.person_id, body.reason)
        return await commands.run(command, sender, body)
