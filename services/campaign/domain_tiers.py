"""What may be done with a campaign's tiers, and when it no longer may (DOMAIN C1, C5)."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from campaign.domain import Campaign, DraftTierAdded, DraftTierChanged, DraftTierRemoved, Status
from campaign.domain_commands import AddTier, ChangeTier, RemoveTier
from campaign.domain_refusals import (
    LimitLowered,
    TierFrozen,
    TierNotFound,
    TierWithoutLimit,
    TooManyTiers,
    check_currency,
    check_expected,
    check_open,
    check_status,
)
from contracts.campaign import RewardTier, RewardTierAdded, TierLimitRaised
from contracts.event import Event
from contracts.ids import PoolId, TierId

TIERS_MAX: Final = 100  # More than any page shows with sense, and an event still fits a message.


def add_tier(state: Campaign, command: AddTier, now: datetime) -> tuple[Event, ...]:
    if state.status is not Status.DRAFT:
        check_open(state, now, "Tiers can be added to a draft or an active campaign.")
    if len(state.tiers) >= TIERS_MAX:
        raise TooManyTiers(f"A campaign has at most {TIERS_MAX} tiers.")
    check_currency(command.minimum, state.terms.goal)
    pool_id, limit = _pool(state, command.pool_of, command.limit, command.new_pool_id)
    tier = RewardTier(
        tier_id=command.tier_id,
        title=command.title,
        description=command.description,
        minimum=command.minimum,
        estimated_delivery=command.estimated_delivery,
        pool_id=pool_id,
        limit=limit,
    )
    kind = DraftTierAdded if state.status is Status.DRAFT else RewardTierAdded
    return (kind(campaign_id=state.campaign_id, tier=tier),)


def change_tier(state: Campaign, command: ChangeTier, now: datetime) -> tuple[Event, ...]:
    """In a draft everything; while active only a higher limit, for every tier that shares the pool (DOMAIN C5)."""
    drafted = state.status is Status.DRAFT
    if not drafted:
        check_open(state, now, "A tier is changed in a draft; while the campaign is active its limit can be raised.")
    tier = tier_of(state, command.tier_id)
    events = _changed(state, tier, command) if drafted else _raised(state, tier, command.changes)
    check_expected(command.expected, tier_tag(tier))
    return events


def remove_tier(state: Campaign, command: RemoveTier, _now: datetime) -> tuple[Event, ...]:
    check_status(state, Status.DRAFT, "Backers may have chosen it: a tier can be removed from a draft only.")
    tier_of(state, command.tier_id)
    return (DraftTierRemoved(campaign_id=state.campaign_id, tier_id=command.tier_id),)


def tier_of(state: Campaign, tier_id: TierId) -> RewardTier:
    if (tier := state.tier(tier_id)) is None:
        raise TierNotFound("The campaign has no tier with this id. Its page lists those that there are.")
    return tier


def tier_tag(tier: RewardTier) -> str:
    """Names a tier's state by what it says, 16 hex characters: the same again after a change and its opposite."""
    return sha256(tier.model_dump_json().encode()).hexdigest()[:16]


def _changed(state: Campaign, tier: RewardTier, command: ChangeTier) -> tuple[Event, ...]:
    """A draft's tier. A pool that is named decides the limit; without a limit the tier leaves its pool."""
    changes = dict(command.changes)
    if (minimum := changes.get("minimum")) is not None:
        check_currency(minimum, state.terms.goal)
    if "pool_of" in changes or "limit" in changes:
        pool_of, limit = changes.pop("pool_of", None), changes.get("limit")
        changes["pool_id"], changes["limit"] = _pool(state, pool_of, limit, tier.pool_id or command.new_pool_id)
    changed = tier.model_copy(update=changes)
    return () if changed == tier else (DraftTierChanged(campaign_id=state.campaign_id, tier=changed),)


def _raised(state: Campaign, tier: RewardTier, changes: Mapping[str, Any]) -> tuple[Event, ...]:
    frozen = sorted(name for name, value in changes.items() if name != "limit" and value != getattr(tier, name, None))
    if frozen:
        raise TierFrozen(
            "Backers chose this tier by what it says. Leave its other fields as they are, or add another tier.",
            frozen=frozen,
        )
    limit = changes.get("limit", tier.limit)
    if limit == tier.limit:
        return ()
    if tier.pool_id is None or tier.limit is None:
        raise TierWithoutLimit("There is no limit to raise.")
    if limit is None or limit < tier.limit:
        raise LimitLowered(f"The limit is {tier.limit} and can only be raised.", limit=tier.limit)
    return (TierLimitRaised(campaign_id=state.campaign_id, pool_id=tier.pool_id, limit=limit),)


def _pool(state: Campaign, pool_of: TierId | None, limit: int | None, own: PoolId) -> tuple[PoolId | None, int | None]:
    """The pool and the limit of a tier: those of another tier, or `own` with this limit, or none at all."""
    if pool_of is None:
        return (None if limit is None else own), limit
    shared = tier_of(state, pool_of)
    if shared.pool_id is None:
        raise TierWithoutLimit("Only a limited tier has a pool that another can share.")
    return shared.pool_id, shared.limit
