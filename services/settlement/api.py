"""HTTP of the settlement service: watching a settlement (DOMAIN S1, S8)."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from contracts.settlement import Outcome, Tally
from eventing.refusal import Refusal
from eventing.runtime import Runtime
from eventing.tokens import Principal, Role, require
from settlement import queries
from settlement.domain_book import Bucket
from settlement.domain_campaign import Campaign, Direction, missing
from settlement.domain_progress import Progress, progress


class NoSuchSettlement(Refusal):
    """404, also for a campaign of somebody else (DOMAIN H2)."""

    code = "settlement-not-found"
    title = "There is no such settlement"
    status = 404


class MissingPart(BaseModel):
    what: Literal["launch", "deadline", "book", "pledges", "digest"]
    detail: str


class ProgressOut(BaseModel):
    """Numbers of pledges. `failed` ones are among those `left`: their backers may still mend the payment."""

    done: int
    left: int
    outstanding: int
    failed: int
    per_second: float
    estimated_end: datetime | None


class SettlementOut(BaseModel):
    campaign_id: UUID
    status: Literal["waiting", "settling", "settled", "cancelled"]
    missing: list[MissingPart]
    direction: Direction | None
    outcome: Outcome | None
    started_at: datetime | None
    settled_at: datetime | None
    progress: ProgressOut
    captured: Tally
    dropped: Tally
    voided: Tally
    links: dict[str, str]


def router(runtime: Runtime) -> APIRouter:
    """The routes of the service."""
    routes = APIRouter(tags=["settlement"])

    @routes.get(
        "/campaigns/{campaign_id}/settlement",
        responses={404: {"description": "No such campaign, or not yours"}},
    )
    async def watch(
        campaign_id: UUID, principal: Annotated[Principal, require(Role.CREATOR, Role.OPERATOR)]
    ) -> SettlementOut:
        """How far the settlement of a campaign is, for its creator and operators.

        While it waits, `missing` says for what.
        """
        campaign = await queries.campaign(runtime.pool, campaign_id)
        if campaign is None or campaign.creator_id is None or not _may_see(principal, campaign):
            raise NoSuchSettlement("Nothing is known of this campaign, or it is not yours.")
        last_failed_at = await queries.last_failed_at(runtime.pool, campaign_id) if campaign.failed_count else None
        async with runtime.pool.acquire() as connection:
            now = await runtime.clock.now(connection)
        return _shown(campaign, progress(campaign, last_failed_at, now))

    return routes


def _may_see(principal: Principal, campaign: Campaign) -> bool:
    return Role.OPERATOR in principal.roles or principal.person_id == campaign.creator_id


def _shown(campaign: Campaign, far: Progress) -> SettlementOut:
    status = _status(campaign)
    return SettlementOut(
        campaign_id=campaign.campaign_id,
        status=status,
        missing=[MissingPart.model_validate(one, from_attributes=True) for one in missing(campaign)]
        if status == "waiting"
        else [],
        direction=campaign.direction,
        outcome=campaign.outcome,
        started_at=campaign.started_at,
        settled_at=campaign.settled_at,
        progress=ProgressOut.model_validate(far, from_attributes=True),
        captured=campaign.tally(Bucket.CAPTURED),
        dropped=campaign.tally(Bucket.DROPPED),
        voided=campaign.tally(Bucket.VOIDED),
        links={"campaign": f"/campaigns/{campaign.campaign_id}"},
    )


def _status(campaign: Campaign) -> Literal["waiting", "settling", "settled", "cancelled"]:
    if campaign.cancelled_at:
        return "cancelled"
    if campaign.outcome:
        return "settled"
    return "settling" if campaign.direction else "waiting"
