"""Tables that the dashboard is read from; all of them can be rebuilt from the events (DOMAIN A2, A3)."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from analytics import domain
from analytics.domain import OTHERS, STATUS_AFTER, Measures, PledgeRow
from contracts.campaign import (
    CampaignCancelled,
    CampaignClosed,
    CampaignLaunched,
    FundingModel,
    MilestoneCrossed,
    RewardTier,
    RewardTierAdded,
    TierLimitRaised,
)
from contracts.ids import CampaignId, PersonId
from contracts.settlement import CampaignSettled, Outcome
from eventing.definition import Definition, Projection, every_event
from eventing.follow import follow
from eventing.tables import Counters, Table
from eventing.work import Need, Recorded, Work

# -- pledges, and the sums of what they contribute ---------------------------------------------------------------


@dataclass(frozen=True)
class SumsRow(Measures):
    """One cell of a cube: total, tiers, countries and days are sums over it, and so agree with one another."""

    campaign_id: UUID = domain.NO_TIER
    tier_id: UUID = domain.NO_TIER
    country: str = ""
    placed_on: date = domain.UNKNOWN_DAY


PLEDGES: Final = Table("pledge_fact", PledgeRow, ("pledge_id",))
SUMS: Final = Counters("pledge_sums", SumsRow, ("campaign_id", "tier_id", "country", "placed_on"))


def _step(before: PledgeRow | None, recorded: Recorded) -> PledgeRow:
    return domain.follow(before, recorded.event, recorded.version)


def follow_pledge(work: Work, recorded: Recorded) -> None:
    """Runs for every event of every pledge, so it stays short."""
    before, after = follow(work, PLEDGES, recorded, _step)
    cell, amounts = _cell(after), domain.contribution(after)
    if before is not None:
        cell_before, amounts_before = _cell(before), domain.contribution(before)
        if cell_before == cell:
            amounts = domain.difference(amounts_before, amounts)
        else:
            work.add(SUMS, cell_before, *domain.negative(amounts_before))
    work.add(SUMS, cell, *amounts)


def _cell(row: PledgeRow) -> tuple[UUID, UUID, str, date]:
    return row.campaign_id, row.tier_id, row.country, row.placed_on


def _pledge_needs(recorded: Recorded) -> tuple[Need, ...]:
    return ((PLEDGES, (recorded.subject,)),)


# -- what a campaign is. Every fact happens once and fills fields of its own, so their order does not matter. -------


@dataclass(frozen=True)
class CampaignRow:
    campaign_id: CampaignId
    creator_id: PersonId | None = None
    title: str = ""
    model: FundingModel | None = None
    goal_minor: int = 0
    currency: str = ""
    deadline: datetime | None = None
    launched_at: datetime | None = None
    closed_at: datetime | None = None
    cancelled_at: datetime | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class TierRow:
    """`pool_id` None: unlimited."""

    tier_id: UUID
    campaign_id: UUID
    title: str
    minimum_minor: int
    estimated_delivery: str
    pool_id: UUID | None


@dataclass(frozen=True)
class PoolRow:
    """Limits only rise (DOMAIN C5), so the highest that was heard of is the latest."""

    pool_id: UUID
    campaign_id: UUID
    slots: int


@dataclass(frozen=True)
class MilestoneRow:
    """A stretch goal has a title and no percentage of the goal."""

    campaign_id: UUID
    threshold_minor: int
    percent: int | None
    stretch_goal: str | None
    total_minor: int
    backers: int
    crossed_at: datetime


CAMPAIGNS: Final = Table("campaign", CampaignRow, ("campaign_id",))
TIERS: Final = Table("tier", TierRow, ("tier_id",))
POOLS: Final = Table("pool", PoolRow, ("pool_id",))
MILESTONES: Final = Table("milestone", MilestoneRow, ("campaign_id", "threshold_minor"))


def _change_campaign(work: Work, campaign_id: CampaignId, **changed: Any) -> None:
    row = work.get(CAMPAIGNS, campaign_id) or CampaignRow(campaign_id)
    work.put(CAMPAIGNS, replace(row, **changed))


def on_launched(work: Work, recorded: Recorded) -> None:
    fact: CampaignLaunched = recorded.event
    _change_campaign(
        work,
        fact.campaign_id,
        creator_id=fact.creator_id,
        title=fact.title,
        model=fact.model,
        goal_minor=fact.goal.amount,
        currency=fact.goal.currency,
        deadline=fact.deadline,
        launched_at=fact.launched_at,
    )
    for tier in fact.tiers:
        _put_tier(work, fact.campaign_id, tier)


def on_tier_added(work: Work, recorded: Recorded) -> None:
    fact: RewardTierAdded = recorded.event
    _put_tier(work, fact.campaign_id, fact.tier)


def _put_tier(work: Work, campaign_id: CampaignId, tier: RewardTier) -> None:
    row = TierRow(tier.tier_id, campaign_id, tier.title, tier.minimum.amount, tier.estimated_delivery, tier.pool_id)
    if work.get(TIERS, tier.tier_id) is None:
        work.put(TIERS, row)
    if tier.pool_id is not None and tier.limit is not None:
        _raise_limit(work, campaign_id, tier.pool_id, tier.limit)


def on_limit_raised(work: Work, recorded: Recorded) -> None:
    fact: TierLimitRaised = recorded.event
    _raise_limit(work, fact.campaign_id, fact.pool_id, fact.limit)


def _raise_limit(work: Work, campaign_id: CampaignId, pool_id: UUID, slots: int) -> None:
    before = work.get(POOLS, pool_id)
    if before is None or before.slots < slots:
        work.put(POOLS, PoolRow(pool_id, campaign_id, slots))


def on_closed(work: Work, recorded: Recorded) -> None:
    fact: CampaignClosed = recorded.event
    _change_campaign(work, fact.campaign_id, closed_at=fact.closed_at)


def on_cancelled(work: Work, recorded: Recorded) -> None:
    fact: CampaignCancelled = recorded.event
    _change_campaign(work, fact.campaign_id, cancelled_at=fact.cancelled_at)


def on_settled(work: Work, recorded: Recorded) -> None:
    fact: CampaignSettled = recorded.event
    _change_campaign(work, fact.campaign_id, outcome=fact.outcome)


def on_milestone(work: Work, recorded: Recorded) -> None:
    fact: MilestoneCrossed = recorded.event
    row = MilestoneRow(
        fact.campaign_id,
        fact.threshold.amount,
        fact.percent,
        fact.stretch_goal,
        fact.total.amount,
        fact.backers,
        recorded.time,
    )
    work.get(MILESTONES, *MILESTONES.key_of(row))
    work.put(MILESTONES, row)


DEFINITION: Final = Definition(
    source="analytics",
    patient=every_event,
    gather_seconds=0.2,
    projections=(
        Projection(
            "pledges",
            (PLEDGES, SUMS),
            dict.fromkeys((*STATUS_AFTER, *OTHERS), follow_pledge),
            _pledge_needs,
        ),
        Projection(
            "campaigns",
            (CAMPAIGNS, TIERS, POOLS, MILESTONES),
            {
                CampaignLaunched: on_launched,
                RewardTierAdded: on_tier_added,
                TierLimitRaised: on_limit_raised,
                CampaignClosed: on_closed,
                CampaignCancelled: on_cancelled,
                CampaignSettled: on_settled,
                MilestoneCrossed: on_milestone,
            },
            lambda recorded: ((CAMPAIGNS, (recorded.subject,)),),
        ),
    ),
)
