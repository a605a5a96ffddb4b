"""A campaign's tiers over HTTP (DOMAIN C1, C5)."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from campaign.api_commands import COMMAND, Commands, CommandSender, Sender
from campaign.bodies import CommandAnswer, TierAnswer, TierBody, TierChangeBody
from campaign.domain_commands import AddTier, ChangeTier, RemoveTier
from campaign.domain_refusals import (
    ChangedMeanwhile,
    LimitLowered,
    TierFrozen,
    TierNotFound,
    TierWithoutLimit,
    TooManyTiers,
    WrongCurrency,
    WrongStatus,
)
from contracts.ids import CampaignId, PoolId, TierId, new_id
from eventing.api_page import refusals
from eventing.preconditions import IfMatch, expected_by

_TIER = (*COMMAND, WrongStatus, TierNotFound)


def add_tiers(routes: APIRouter, commands: Commands) -> None:
    @routes.post(
        "/campaigns/{campaign_id}/tiers",
        status_code=201,
        response_model=TierAnswer,
        responses=refusals(*_TIER, TierWithoutLimit, TooManyTiers, WrongCurrency),
    )
    async def add_tier(campaign_id: UUID, body: TierBody, sender: Sender, response: Response) -> dict[str, Any]:
        """Add a reward tier to a draft or an active campaign (C5)."""
        answer = await commands.run(_addition(campaign_id, sender, body), sender, body)
        response.headers["Location"] = answer["links"]["self"]
        return answer

    @routes.patch(
        "/campaigns/{campaign_id}/tiers/{tier_id}",
        response_model=TierAnswer,
        responses=refusals(*_TIER, TierWithoutLimit, TierFrozen, LimitLowered, WrongCurrency, ChangedMeanwhile),
    )
    async def change_tier(
        campaign_id: UUID, tier_id: UUID, body: TierChangeBody, sender: Sender, if_match: IfMatch = None
    ) -> dict[str, Any]:
        """Change a draft's tier, or raise an active campaign's limit for all tiers that share the pool (C1, C5)."""
        command = ChangeTier(
            campaign_id=CampaignId(campaign_id),
            person_id=sender.person_id,
            tier_id=TierId(tier_id),
            new_pool_id=PoolId(new_id()),
            changes=body.changes(),
            expected=expected_by(if_match),
        )
        return await commands.run(command, sender, body)

    @routes.delete("/campaigns/{campaign_id}/tiers/{tier_id}", response_model=CommandAnswer, responses=refusals(*_TIER))
    async def remove_tier(campaign_id: UUID, tier_id: UUID, sender: Sender) -> dict[str, Any]:
        """Remove a tier from a draft (C1)."""
        command = RemoveTier(CampaignId(campaign_id), sender.person_id, TierId(tier_id))
        return await commands.run(command, sender)


def _addition(campaign_id: UUID, sender: CommandSender, body: TierBody) -> AddTier:
    return AddTier(
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
