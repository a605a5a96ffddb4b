"""What a campaign is: its facts, its state and its milestones (DOMAIN C1 to C7).

What may be done with one, and what is refused, stands in `domain_decisions.py`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts.campaign import (
    CampaignCancelled,
    CampaignClosed,
    CampaignLaunched,
    FundingModel,
    MilestoneCrossed,
    Policy,
    RewardTier,
    RewardTierAdded,
    StretchGoal,
    TierLimitRaised,
)
from contracts.event import Event
from contracts.ids import CampaignId, PersonId, PoolId, TierId
from contracts.money import Money
from contracts.settlement import Outcome

MILESTONE_PERCENTS: Final = (25, 50, 75, 100)  # DOMAIN C6


class Status(StrEnum):
    """DOMAIN C2: draft → active → settling → funded | partially_funded | failed; draft | active → cancelled."""

    DRAFT = "draft"
    ACTIVE = "active"
    SETTLING = "settling"
    FUNDED = "funded"
    PARTIALLY_FUNDED = "partially_funded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# In these a threshold that is reached still counts: a pledge placed in time may be authorized after the deadline.
_COUNTING: Final = {Status.ACTIVE, Status.SETTLING, Status.FUNDED, Status.PARTIALLY_FUNDED}


class Terms(BaseModel):
    """What the creator writes; free in a draft, frozen at launch (DOMAIN C1, C3)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str
    story: str
    goal: Money
    model: FundingModel
    deadline: datetime
    stretch_goals: tuple[StretchGoal, ...] = ()


class _CampaignFact(Event):
    campaign_id: CampaignId

    @property
    def subject(self) -> UUID:
        return self.campaign_id


class CampaignDrafted(_CampaignFact, type="campaign.CampaignDrafted.v1"):
    creator_id: PersonId
    terms: Terms


class DraftChanged(_CampaignFact, type="campaign.DraftChanged.v1"):
    """The terms as they are from now on, all of them."""

    terms: Terms


class DraftTierAdded(_CampaignFact, type="campaign.DraftTierAdded.v1"):
    tier: RewardTier


class DraftTierChanged(_CampaignFact, type="campaign.DraftTierChanged.v1"):
    """The tier as it is from now on. Its limit is that of every tier in its pool."""

    tier: RewardTier


class DraftTierRemoved(_CampaignFact, type="campaign.DraftTierRemoved.v1"):
    tier_id: TierId


class DraftDiscarded(_CampaignFact, type="campaign.DraftDiscarded.v1"):
    pass


class CampaignEnded(_CampaignFact, type="campaign.CampaignEnded.v1"):
    """Settlement has decided the outcome, and the campaign's status follows it (DOMAIN S7)."""

    outcome: Outcome


PRIVATE_EVENTS: Final[tuple[type[Event], ...]] = (
    CampaignDrafted,
    DraftChanged,
    DraftTierAdded,
    DraftTierChanged,
    DraftTierRemoved,
    DraftDiscarded,
    CampaignEnded,
)


@dataclass(frozen=True)
class Milestone:
    """A threshold of the goal (`percent`) or a stretch goal (its title)."""

    threshold: Money
    percent: int | None = None
    stretch_goal: str | None = None


@dataclass(frozen=True)
class Campaign:
    """The state of one campaign's stream. `policy` and `launched_at` come with the launch and stay."""

    campaign_id: CampaignId
    creator_id: PersonId
    status: Status
    terms: Terms
    tiers: tuple[RewardTier, ...] = ()
    policy: Policy | None = None
    launched_at: datetime | None = None
    milestones_crossed: int = 0

    def tier(self, tier_id: TierId) -> RewardTier | None:
        return next((tier for tier in self.tiers if tier.tier_id == tier_id), None)

    @property
    def milestones(self) -> tuple[Milestone, ...]:
        """All of them in the order in which they are crossed; the first `milestones_crossed` have been."""
        goal = self.terms.goal
        of_goal = (Milestone(share_of(goal, percent), percent=percent) for percent in MILESTONE_PERCENTS)
        stretched = (Milestone(s.amount, stretch_goal=s.title) for s in self.terms.stretch_goals)
        return (*of_goal, *sorted(stretched, key=lambda milestone: milestone.threshold.amount))

    @property
    def next_threshold_minor(self) -> int | None:
        """The total that crosses the next milestone; None when there is none left or none counts any more."""
        if self.status not in _COUNTING or self.milestones_crossed == len(self.milestones):
            return None
        return self.milestones[self.milestones_crossed].threshold.amount


def percent_of(pledged_minor: int, goal_minor: int) -> int:
    """Of the goal, rounded down: nobody reads 100 before it is true."""
    return pledged_minor * 100 // goal_minor if goal_minor else 0


def share_of(goal: Money, percent: int) -> Money:
    """That share of the goal, rounded up: a milestone is not reached a cent too early."""
    return Money(amount=-(-goal.amount * percent // 100), currency=goal.currency)


def cross(state: Campaign, pledged_minor: int, backers: int) -> tuple[MilestoneCrossed, ...]:
    """The milestones that this total reaches and none before it has (DOMAIN C6).

    Each fires once for ever: those crossed are counted in the stream, whatever the total does afterwards.
    """
    if state.status not in _COUNTING:
        return ()
    reached = (m for m in state.milestones[state.milestones_crossed :] if m.threshold.amount <= pledged_minor)
    total = Money(amount=pledged_minor, currency=state.terms.goal.currency)
    return tuple(
        MilestoneCrossed(
            campaign_id=state.campaign_id,
            threshold=milestone.threshold,
            percent=milestone.percent,
            stretch_goal=milestone.stretch_goal,
            total=total,
            backers=backers,
        )
        for milestone in reached
    )


def evolve(state: Campaign | None, event: Event) -> Campaign:  # noqa: C901, PLR0911 - one case per event
    """The state after one more event of the stream, which begins with `CampaignDrafted`."""
    if isinstance(event, CampaignDrafted):
        return Campaign(event.campaign_id, event.creator_id, Status.DRAFT, event.terms)
    assert state is not None
    match event:
        case DraftChanged():
            return replace(state, terms=event.terms)
        case DraftTierAdded() | RewardTierAdded():
            return replace(state, tiers=(*state.tiers, event.tier))
        case DraftTierChanged():
            return replace(state, tiers=tuple(_changed(tier, event.tier) for tier in state.tiers))
        case DraftTierRemoved():
            return replace(state, tiers=tuple(t for t in state.tiers if t.tier_id != event.tier_id))
        case TierLimitRaised():
            return replace(state, tiers=tuple(_raised(tier, event.pool_id, event.limit) for tier in state.tiers))
        case CampaignLaunched():
            return replace(state, status=Status.ACTIVE, policy=event.policy, launched_at=event.launched_at)
        case MilestoneCrossed():
            return replace(state, milestones_crossed=state.milestones_crossed + 1)
        case CampaignClosed():
            return replace(state, status=Status.SETTLING)
        case DraftDiscarded() | CampaignCancelled():
            return replace(state, status=Status.CANCELLED)
        case CampaignEnded():
            return replace(state, status=Status(event.outcome.value))
        case _:
            return state


def _changed(tier: RewardTier, wanted: RewardTier) -> RewardTier:
    if tier.tier_id == wanted.tier_id:
        return wanted
    return tier if wanted.pool_id is None else _raised(tier, wanted.pool_id, wanted.limit)


def _raised(tier: RewardTier, pool_id: PoolId, limit: int | None) -> RewardTier:
    return tier.model_copy(update={"limit": limit}) if tier.pool_id == pool_id else tier
