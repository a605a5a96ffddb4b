"""The rows on which the total and the milestones are decided (DOMAIN C6, C7). A rebuild does not touch them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from campaign.domain import Campaign, Status, evolve
from campaign.domain_total import Contribution
from contracts.campaign import UpdateKind, UpdatePosted
from eventing.tables import Table
from eventing.work import Fold


@dataclass(frozen=True)
class Total:
    """One row per campaign. Whoever appends to the campaign's stream or moves its total holds its lock."""

    campaign_id: UUID
    version: int = 0  # rises with every change of anything that the campaign's page shows
    pledged_minor: int = 0
    backers: int = 0
    next_threshold_minor: int | None = None  # a total below it crosses nothing: no need to read the stream
    goal_minor: int | None = None  # None before the launch
    percent: int = 0  # of the goal, rounded down: lists are sorted by it
    listed: Status | None = None  # the campaign's status once it is launched, beside the percent for the same lists
    updates: int = 0  # how many the creator has posted
    at_risk: int = 0  # pledges, part of `backers`
    at_risk_minor: int = 0
    disputes: int = 0  # open ones
    disputed_minor: int = 0
    disputes_lost: int = 0
    lost_minor: int = 0


@dataclass(frozen=True)
class TierClaim:
    """How many pledges hold a slot of a tier. The pledge service decides about slots; this is for the page."""

    campaign_id: UUID
    tier_id: UUID
    slots: int


@dataclass(frozen=True)
class PageRow:
    """What the page shows of the campaign's own stream; `document` is `projections.Shown` in JSON."""

    campaign_id: UUID
    creator_id: UUID
    status: Status
    launched_at: datetime | None
    deadline: datetime
    version: int
    document: str


@dataclass(frozen=True)
class UpdateRow:
    """What a creator has posted."""

    update_id: UUID
    campaign_id: UUID
    number: int
    kind: UpdateKind
    tier_id: UUID | None
    title: str
    text: str
    posted_at: datetime


def _posted(_before: UpdatePosted | None, event: UpdatePosted) -> UpdatePosted:
    return event


CAMPAIGN: Fold[Campaign] = Fold(evolve)
UPDATE: Fold[UpdatePosted] = Fold(_posted)
CONTRIBUTIONS = Table("contribution", Contribution, ("pledge_id",))
TOTALS = Table("campaign_total", Total, ("campaign_id",))
TIER_CLAIMS = Table("tier_claim", TierClaim, ("campaign_id", "tier_id"))
PAGES = Table("campaign_page", PageRow, ("campaign_id",))
UPDATES = Table("campaign_update", UpdateRow, ("update_id",))
