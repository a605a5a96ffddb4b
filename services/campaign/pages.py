"""The public page of a campaign (DOMAIN C8): what it says, and how it is made of the tables."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from asyncpg import Record
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import from_json

from campaign.domain import Campaign, Status, percent_of
from campaign.domain_decisions import draft_tag
from campaign.examples import PAGE_EXAMPLE, PATH, TIER
from campaign.projections import SHOWN, Shown
from contracts.campaign import FundingModel, Policy
from contracts.money import Money
from eventing.database import Pool

# One statement, so that status, total and slots are of one moment.
READ_PAGES: Final = """
    SELECT page.creator_id, page.launched_at, page.document,
           coalesce(total.version, 0) AS version,
           coalesce(total.pledged_minor, 0) AS pledged_minor,
           coalesce(total.backers, 0) AS backers,
           coalesce(total.updates, 0) AS updates,
           coalesce(total.at_risk, 0) AS at_risk,
           coalesce(total.at_risk_minor, 0) AS at_risk_minor,
           coalesce(total.disputes, 0) AS disputes,
           coalesce(total.disputed_minor, 0) AS disputed_minor,
           coalesce(total.disputes_lost, 0) AS disputes_lost,
           coalesce(total.lost_minor, 0) AS lost_minor,
           (SELECT json_object_agg(claim.tier_id, claim.slots)
            FROM tier_claim claim
            WHERE claim.campaign_id = page.campaign_id)::text AS claims
    FROM campaign_page page LEFT JOIN campaign_total total USING (campaign_id)
    WHERE page.campaign_id = ANY($1::uuid[])
"""


_NEXT: Final = {
    Status.DRAFT: ("tiers", "launch"),
    Status.ACTIVE: ("tiers", "pledges", "updates", "live", "cancel"),
}


def address(campaign_id: UUID) -> str:
    return f"/campaigns/{campaign_id}"


def links_of(campaign: Campaign) -> dict[str, str]:
    """The campaign's own address, and those of what can be done next in its status (DOMAIN H3)."""
    path = address(campaign.campaign_id)
    following = _NEXT.get(campaign.status, ("updates",) if campaign.launched_at else ())
    return {"self": path} | {name: f"{path}/{name}" for name in following}


class TierOnPage(BaseModel):
    """`limit` and `slots_left` are null for an unlimited tier; tiers that share a pool share them."""

    id: UUID
    title: str
    description: str
    minimum: Money
    estimated_delivery: str
    limit: int | None
    slots_left: int | None
    links: dict[str, str] = Field(examples=[{"self": f"{PATH}/tiers/{TIER}"}])


class MilestoneOnPage(BaseModel):
    threshold: Money
    percent: int | None
    stretch_goal: str | None
    crossed_at: datetime | None


class DisputesOnPage(BaseModel):
    """What banks took back from captured pledges (DOMAIN Y9). It stays part of `pledged`."""

    open: int
    open_amount: Money = Field(description="Taken back for now, until it is decided")
    lost: int
    lost_amount: Money = Field(description="Decided for the backer")


class CampaignPage(BaseModel):
    """A campaign as everybody sees it. `pledged` counts authorized and captured pledges, less refunds (DOMAIN C7)."""

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
    at_risk: Money = Field(description="The part of `pledged` whose hold could not be renewed: one is being sought")
    at_risk_backers: int = Field(description="The number of those pledges")
    disputes: DisputesOnPage
    backers: int
    percent: int = Field(description="Of the goal, rounded down")
    tiers: list[TierOnPage]
    milestones: list[MilestoneOnPage]
    policy: Policy | None = Field(description="Frozen at launch; null before")
    updates: int = Field(description="How many the creator has posted")
    links: dict[str, str] = Field(description="What can be done next", examples=[{"pledges": f"{PATH}/pledges"}])


class TimedPage(CampaignPage):
    model_config = ConfigDict(json_schema_extra={"examples": [PAGE_EXAMPLE]})

    time_left_seconds: int = Field(description="Until the deadline; 0 unless active", examples=[86_400])


@dataclass
class DatabaseTime:
    """The database's time between two looks at it: the time left on a page runs by the clock that closes it (C11)."""

    _ahead_seconds: float = 0.0  # of this machine's clock

    def note(self, now: datetime) -> None:
        self._ahead_seconds = now.timestamp() - time.time()

    def now(self) -> float:
        """In unix seconds."""
        return time.time() + self._ahead_seconds


@dataclass(frozen=True)
class Page:
    """A page ready to be sent, but for the time left, which changes while it waits."""

    campaign_id: UUID
    creator_id: UUID
    launched: bool
    version: int  # of the total's row: a higher one is newer
    open_until: float  # unix seconds; 0 unless active
    body: bytes  # `CampaignPage` in JSON
    tag: str = ""  # of a draft: what a change's If-Match names

    def visible_to(self, viewer: UUID | None) -> bool:
        """Before the launch only its creator sees it (DOMAIN C1)."""
        return self.launched or viewer == self.creator_id

    @property
    def etag(self) -> str:
        """Strong for a draft. Weak for what is launched: the time left goes on while the version stays."""
        return f'W/"{self.version}"' if self.launched else f'"{self.tag}"'

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
        at_risk=Money(amount=record["at_risk_minor"], currency=currency),
        at_risk_backers=record["at_risk"],
        disputes=_disputes(record, currency),
        backers=record["backers"],
        percent=percent_of(record["pledged_minor"], campaign.terms.goal.amount),
        tiers=list(_tiers(campaign, from_json(record["claims"] or "{}"))),
        milestones=list(_milestones(shown)),
        policy=campaign.policy,
        updates=record["updates"],
        links=links_of(campaign),
    )
    return Page(
        campaign_id=campaign.campaign_id,
        creator_id=record["creator_id"],
        launched=record["launched_at"] is not None,
        version=record["version"],
        open_until=campaign.terms.deadline.timestamp() if campaign.status is Status.ACTIVE else 0,
        body=body.model_dump_json().encode(),
        tag="" if campaign.launched_at else draft_tag(campaign),
    )


def _disputes(record: Record, currency: str) -> DisputesOnPage:
    """A closing may overtake its opening: until that comes, none are open."""
    return DisputesOnPage(
        open=max(0, record["disputes"]),
        open_amount=Money(amount=max(0, record["disputed_minor"]), currency=currency),
        lost=record["disputes_lost"],
        lost_amount=Money(amount=record["lost_minor"], currency=currency),
    )


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
            links={"self": f"{address(campaign.campaign_id)}/tiers/{tier.tier_id}"},
        )


def _milestones(shown: Shown) -> Iterator[MilestoneOnPage]:
    for index, milestone in enumerate(shown.campaign.milestones):
        yield MilestoneOnPage(
            threshold=milestone.threshold,
            percent=milestone.percent,
            stretch_goal=milestone.stretch_goal,
            crossed_at=shown.crossed_at[index] if index < len(shown.crossed_at) else None,
        )
