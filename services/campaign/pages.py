"""The public page of a campaign (DOMAIN C8): what it says, and how it is made of the tables."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from asyncpg import Record
from pydantic import BaseModel, Field
from pydantic_core import from_json

from campaign.domain import Campaign, Status
from campaign.projections import SHOWN, Shown
from contracts.campaign import FundingModel, Policy
from contracts.money import Money, zero
from eventing.database import Pool

# One statement, so that status, total and slots are of one moment.
READ_PAGES: Final = """
    SELECT page.creator_id, page.launched_at, page.document,
           coalesce(total.version, 0) AS version,
           coalesce(total.pledged_minor, 0) AS pledged_minor,
           coalesce(total.backers, 0) AS backers,
           (SELECT json_object_agg(claim.tier_id, claim.slots)
            FROM tier_claim claim
            WHERE claim.campaign_id = page.campaign_id)::text AS claims
    FROM campaign_page page LEFT JOIN campaign_total total USING (campaign_id)
    WHERE page.campaign_id = ANY($1::uuid[])
"""


class TierOnPage(BaseModel):
    """`limit` and `slots_left` are null for an unlimited tier; tiers that share a pool share them."""

    id: UUID
    title: str
    description: str
    minimum: Money
    estimated_delivery: str
    limit: int | None
    slots_left: int | None


class MilestoneOnPage(BaseModel):
    threshold: Money
    percent: int | None
    stretch_goal: str | None
    crossed_at: datetime | None


class CampaignPage(BaseModel):
    """A campaign as everybody sees it. `pledged` counts authorized and captured pledges (DOMAIN C7)."""

    id: UUID
    creator_id: UUID
    title: str
    story: str
    goal: Money
    model: FundingModel
    status: Status
    deadline: datetime
    launched_at: datetime | None
    pledged: Money
    at_risk: Money = Field(description="The part of `pledged` whose hold was lost and is being sought anew")
    backers: int
    percent: int = Field(description="Of the goal, rounded down")
    tiers: list[TierOnPage]
    milestones: list[MilestoneOnPage]
    policy: Policy | None
    links: dict[str, str]


class TimedPage(CampaignPage):
    time_left_seconds: int


@dataclass(frozen=True)
class Page:
    """A page ready to be sent, but for the time left, which changes while it waits."""

    campaign_id: UUID
    creator_id: UUID
    launched: bool
    version: int  # of the total's row: a higher one is newer
    open_until: float  # unix seconds; 0 unless active
    body: bytes  # `CampaignPage` in JSON

    def timed(self, now: float) -> bytes:
        """The body with `time_left_seconds`: `TimedPage` in JSON."""
        return self.body[:-1] + b',"time_left_seconds":%d}' % max(0, self.open_until - now)


async def read_pages(pool: Pool, campaign_ids: Iterable[UUID]) -> list[Page]:
    """The pages of those campaigns that there are, from the database."""
    return [_page(record) for record in await pool.fetch(READ_PAGES, list(campaign_ids))]


def _page(record: Record) -> Page:
    shown = SHOWN.validate_json(record["document"])
    campaign = shown.campaign
    currency = campaign.terms.goal.currency
    body = CampaignPage(
        id=campaign.campaign_id,
        creator_id=campaign.creator_id,
        **campaign.terms.model_dump(include={"title", "story", "model"}),
        goal=campaign.terms.goal,
        status=campaign.status,
        deadline=campaign.terms.deadline.astimezone(UTC),
        launched_at=campaign.launched_at,
        pledged=Money(amount=record["pledged_minor"], currency=currency),
        at_risk=zero(currency),  # no event puts a pledge at risk yet (DOMAIN Y4)
        backers=record["backers"],
        percent=percent_of(record["pledged_minor"], campaign.terms.goal.amount),
        tiers=list(_tiers(campaign, from_json(record["claims"] or "{}"))),
        milestones=list(_milestones(shown)),
        policy=campaign.policy,
        links=links(campaign.campaign_id),
    )
    return Page(
        campaign_id=campaign.campaign_id,
        creator_id=record["creator_id"],
        launched=record["launched_at"] is not None,
        version=record["version"],
        open_until=campaign.terms.deadline.timestamp() if campaign.status is Status.ACTIVE else 0,
        body=body.model_dump_json().encode(),
    )


def percent_of(pledged_minor: int, goal_minor: int) -> int:
    return pledged_minor * 100 // goal_minor if goal_minor else 0


def links(campaign_id: UUID) -> dict[str, str]:
    return {"self": f"/campaigns/{campaign_id}", "pledges": f"/campaigns/{campaign_id}/pledges"}


def _tiers(campaign: Campaign, claims: dict[str, int]) -> Iterator[TierOnPage]:
    claimed: dict[UUID | None, int] = {}
    for tier in campaign.tiers:
        claimed[tier.pool_id] = claimed.get(tier.pool_id, 0) + claims.get(str(tier.tier_id), 0)
    for tier in campaign.tiers:
        yield TierOnPage(
            id=tier.tier_id,
            title=tier.title,
            description=tier.description,
            minimum=tier.minimum,
            estimated_delivery=tier.estimated_delivery,
            limit=tier.limit,
            slots_left=None if tier.limit is None else max(0, tier.limit - claimed[tier.pool_id]),
        )


def _milestones(shown: Shown) -> Iterator[MilestoneOnPage]:
    for index, milestone in enumerate(shown.campaign.milestones):
        yield MilestoneOnPage(
            threshold=milestone.threshold,
            percent=milestone.percent,
            stretch_goal=milestone.stretch_goal,
            crossed_at=shown.crossed_at[index] if index < len(shown.crossed_at) else None,
        )
