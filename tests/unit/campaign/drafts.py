"""Campaigns for the tests of the campaign's rules: given by what has happened to them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from campaign.domain import Campaign, CampaignDrafted, DraftTierAdded, Terms, evolve
from campaign.domain_commands import AddTier, Bounds
from contracts.campaign import CampaignClosed, CampaignLaunched, FundingModel, Policy, RewardTier
from contracts.event import Event
from contracts.ids import CampaignId, PersonId, PoolId, TierId, new_id
from contracts.money import Money

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DEADLINE = NOW + timedelta(days=30)
BOUNDS = Bounds(3_600, 60 * 86_400)
CAMPAIGN_ID = CampaignId(UUID(int=1))
CREATOR = PersonId(UUID(int=2))
STRANGER = PersonId(UUID(int=3))


def eur(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


def terms(**changed: Any) -> Terms:
    given: dict[str, Any] = {
        "title": "A lamp",
        "story": "It glows.",
        "goal": eur(10_000),
        "model": FundingModel.ALL_OR_NOTHING,
        "deadline": DEADLINE,
    }
    return Terms(**given | changed)


def drafted(**changed: Any) -> CampaignDrafted:
    return CampaignDrafted(campaign_id=CAMPAIGN_ID, creator_id=CREATOR, terms=terms(**changed))


def launched(given: CampaignDrafted, tiers: tuple[RewardTier, ...] = ()) -> CampaignLaunched:
    about = given.terms
    return CampaignLaunched(
        campaign_id=CAMPAIGN_ID,
        creator_id=CREATOR,
        title=about.title,
        goal=about.goal,
        model=about.model,
        deadline=about.deadline,
        policy=Policy(),
        tiers=tiers,
        stretch_goals=about.stretch_goals,
        launched_at=NOW,
    )


def tier(limit: int | None = None, pool_id: PoolId | None = None, minimum: Money | None = None) -> RewardTier:
    return RewardTier(
        tier_id=TierId(new_id()),
        title="One lamp",
        minimum=minimum or eur(2_500),
        estimated_delivery="2027-12",
        pool_id=pool_id or (PoolId(new_id()) if limit else None),
        limit=limit,
    )


def folded(*events: Event) -> Campaign:
    state: Campaign | None = None
    for event in events:
        state = evolve(state, event)
    assert state is not None
    return state


def draft(*tiers: RewardTier, **changed: Any) -> Campaign:
    return folded(drafted(**changed), *(DraftTierAdded(campaign_id=CAMPAIGN_ID, tier=one) for one in tiers))


def active(*tiers: RewardTier, **changed: Any) -> Campaign:
    first = drafted(**changed)
    added = (DraftTierAdded(campaign_id=CAMPAIGN_ID, tier=one) for one in tiers)
    return folded(first, *added, launched(first, tiers))


def closed(**changed: Any) -> Campaign:
    first = drafted(**changed)
    return folded(first, launched(first), CampaignClosed(campaign_id=CAMPAIGN_ID, closed_at=DEADLINE))


def add_tier(**changed: Any) -> AddTier:
    given: dict[str, Any] = {
        "campaign_id": CAMPAIGN_ID,
        "person_id": CREATOR,
        "tier_id": TierId(new_id()),
        "new_pool_id": PoolId(new_id()),
        "title": "One lamp",
        "description": "",
        "minimum": eur(2_500),
        "estimated_delivery": "2027-12",
    }
    return AddTier(**given | changed)
