"""What may be done with a campaign, and why it is refused (DOMAIN C1 to C5, C10, C11)."""

from datetime import datetime, timedelta
from typing import Final

from campaign.domain import (
    Campaign,
    CampaignDrafted,
    CampaignEnded,
    DraftChanged,
    DraftDiscarded,
    DraftTierAdded,
    DraftTierRemoved,
    Status,
)
from campaign.domain_commands import (
    AddTier,
    Bounds,
    CancelCampaign,
    ChangeDraft,
    DiscardDraft,
    DraftCampaign,
    LaunchCampaign,
    PolicyChoice,
    RaiseLimit,
    RemoveTier,
)
from contracts.campaign import (
    CampaignCancelled,
    CampaignClosed,
    CampaignLaunched,
    FundingModel,
    PaymentStrategy,
    Policy,
    RewardTier,
    RewardTierAdded,
    TierLimitRaised,
)
from contracts.event import Event
from contracts.ids import PersonId, PoolId, TierId
from contracts.money import Money
from contracts.settlement import Outcome
from eventing.refusal import Refusal

TIERS_MAX: Final = 100  # More than any page shows with sense, and an event still fits a message.

# How each model can be paid; the first is the default (DOMAIN Y3).
STRATEGIES: Final = {
    FundingModel.ALL_OR_NOTHING: (PaymentStrategy.HOLD,),
    FundingModel.KEEP_IT_ALL: (PaymentStrategy.IMMEDIATE,),
}


class CampaignNotFound(Refusal):
    code = "campaign-not-found"
    title = "There is no such campaign"
    status = 404


class NotYourCampaign(Refusal):
    code = "not-your-campaign"
    title = "This is somebody else's campaign"
    status = 403


class WrongStatus(Refusal):
    """DOMAIN C2, C3: what is asked for does not go with the campaign's status."""

    code = "wrong-campaign-status"
    title = "The campaign's status does not allow this"


class DeadlineOutOfBounds(Refusal):
    code = "deadline-out-of-bounds"
    title = "The deadline is too near or too far"
    status = 422


class GoalMissing(Refusal):
    code = "goal-missing"
    title = "The goal must be more than nothing"
    status = 422


class WrongCurrency(Refusal):
    code = "wrong-currency"
    title = "A campaign has one currency"
    status = 422


class StretchGoalTooLow(Refusal):
    code = "stretch-goal-too-low"
    title = "Stretch goals lie above the goal"
    status = 422


class StrategyNotOffered(Refusal):
    code = "payment-strategy-not-offered"
    title = "This model is not paid that way"
    status = 422


class TierNotFound(Refusal):
    code = "tier-not-found"
    title = "There is no such tier"
    status = 404


class TooManyTiers(Refusal):
    code = "too-many-tiers"
    title = "The campaign has as many tiers as it can"


class TierWithoutLimit(Refusal):
    code = "tier-without-limit"
    title = "The tier is unlimited"


class LimitLowered(Refusal):
    code = "limit-lowered"
    title = "A limit can only be raised"


def owned(state: Campaign | None, person_id: PersonId) -> Campaign:
    """The campaign, if it is this person's. Nobody else learns that a draft exists (DOMAIN H2)."""
    if state is None or (state.launched_at is None and state.creator_id != person_id):
        raise CampaignNotFound("Nothing is known under this id.")
    if state.creator_id != person_id:
        raise NotYourCampaign("Only its creator may change a campaign.")
    return state


def draft(command: DraftCampaign, now: datetime) -> tuple[Event, ...]:
    _check_deadline(command.terms.deadline, now, command.bounds)
    return (CampaignDrafted(campaign_id=command.campaign_id, creator_id=command.person_id, terms=command.terms),)


def change(state: Campaign, command: ChangeDraft, now: datetime) -> tuple[Event, ...]:
    _check_status(state, Status.DRAFT, "Goal, model, currency, deadline and story are frozen at launch.")
    terms = state.terms.model_copy(update=command.changes)
    if terms.deadline != state.terms.deadline:
        _check_deadline(terms.deadline, now, command.bounds)
    return () if terms == state.terms else (DraftChanged(campaign_id=state.campaign_id, terms=terms),)


def discard(state: Campaign, _command: DiscardDraft, _now: datetime) -> tuple[Event, ...]:
    if state.status is Status.CANCELLED and state.launched_at is None:
        return ()
    _check_status(state, Status.DRAFT, "Only a draft can be thrown away; an active campaign is cancelled.")
    return (DraftDiscarded(campaign_id=state.campaign_id),)


def add_tier(state: Campaign, command: AddTier, now: datetime) -> tuple[Event, ...]:
    if state.status is not Status.DRAFT:
        _check_open(state, now, "Tiers can be added to a draft or an active campaign.")
    if len(state.tiers) >= TIERS_MAX:
        raise TooManyTiers(f"A campaign has at most {TIERS_MAX} tiers.")
    _check_currency(command.minimum, state.terms.goal)
    pool_id, limit = _pool(state, command)
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


def _pool(state: Campaign, command: AddTier) -> tuple[PoolId | None, int | None]:
    if command.pool_of is None:
        return (None if command.limit is None else command.new_pool_id), command.limit
    shared = _tier(state, command.pool_of)
    if shared.pool_id is None:
        raise TierWithoutLimit("Only a limited tier has a pool that another can share.")
    return shared.pool_id, shared.limit


def remove_tier(state: Campaign, command: RemoveTier, _now: datetime) -> tuple[Event, ...]:
    _check_status(state, Status.DRAFT, "Backers may have chosen it: a tier can be removed from a draft only.")
    _tier(state, command.tier_id)
    return (DraftTierRemoved(campaign_id=state.campaign_id, tier_id=command.tier_id),)


def raise_limit(state: Campaign, command: RaiseLimit, now: datetime) -> tuple[Event, ...]:
    """Raises the limit of the tier's pool, and so of every tier that shares it (DOMAIN C5)."""
    _check_open(state, now, "A limit is raised while the campaign is active; in a draft, add the tier anew.")
    tier = _tier(state, command.tier_id)
    if tier.pool_id is None or tier.limit is None:
        raise TierWithoutLimit("There is no limit to raise.")
    if command.limit < tier.limit:
        raise LimitLowered(f"The limit is {tier.limit} and can only be raised.", limit=tier.limit)
    if command.limit == tier.limit:
        return ()
    return (TierLimitRaised(campaign_id=state.campaign_id, pool_id=tier.pool_id, limit=command.limit),)


def launch(state: Campaign, command: LaunchCampaign, now: datetime) -> tuple[Event, ...]:
    """DOMAIN C3, C4: checks everything that is frozen from now on."""
    _check_status(state, Status.DRAFT, "Only a draft can be launched.")
    terms = state.terms
    if terms.goal.amount <= 0:
        raise GoalMissing("The goal must be above zero.")
    _check_deadline(terms.deadline, now, command.bounds)
    for amount in (*(tier.minimum for tier in state.tiers), *(s.amount for s in terms.stretch_goals)):
        _check_currency(amount, terms.goal)
    if any(s.amount <= terms.goal for s in terms.stretch_goals):
        raise StretchGoalTooLow(f"Every stretch goal must be above the goal of {terms.goal}.")
    return (
        CampaignLaunched(
            campaign_id=state.campaign_id,
            creator_id=state.creator_id,
            title=terms.title,
            goal=terms.goal,
            model=terms.model,
            deadline=terms.deadline,
            policy=_policy(terms.model, command.policy),
            tiers=state.tiers,
            stretch_goals=terms.stretch_goals,
            launched_at=now,
        ),
    )


def _policy(model: FundingModel, choice: PolicyChoice) -> Policy:
    offered = STRATEGIES[model]
    strategy = choice.payment_strategy or offered[0]
    if strategy not in offered:
        raise StrategyNotOffered(f"A campaign of the model {model} is paid by: {', '.join(offered)}.")
    return Policy(**choice.model_dump(exclude_none=True) | {"payment_strategy": strategy})


def cancel(state: Campaign, command: CancelCampaign, now: datetime) -> tuple[Event, ...]:
    """DOMAIN C10: a campaign that has closed is settled and can no longer be cancelled."""
    if state.status is Status.CANCELLED:
        return ()
    if state.status is Status.DRAFT:
        return (DraftDiscarded(campaign_id=state.campaign_id),)
    _check_status(state, Status.ACTIVE, "A draft or an active campaign can be cancelled.")
    return (CampaignCancelled(campaign_id=state.campaign_id, cancelled_at=now, reason=command.reason),)


def close(state: Campaign, now: datetime) -> tuple[Event, ...]:
    """DOMAIN C11: never before the deadline. Nothing to do if it was cancelled first or is closed already (C10)."""
    if state.status is not Status.ACTIVE or now < state.terms.deadline:
        return ()
    return (CampaignClosed(campaign_id=state.campaign_id, closed_at=now),)


def end(state: Campaign, outcome: Outcome) -> tuple[Event, ...]:
    """DOMAIN S7: the status follows the settlement, which acts only on a closed campaign."""
    if state.status is not Status.SETTLING:
        return ()
    return (CampaignEnded(campaign_id=state.campaign_id, outcome=outcome),)


def _check_status(state: Campaign, wanted: Status, rule: str) -> None:
    if state.status is not wanted:
        raise WrongStatus(f"The campaign is {state.status}. {rule}", campaign_status=state.status.value)


def _check_open(state: Campaign, now: datetime, rule: str) -> None:
    _check_status(state, Status.ACTIVE, rule)
    if now >= state.terms.deadline:
        raise WrongStatus(f"The deadline has passed. {rule}", deadline=state.terms.deadline.isoformat())


def _check_deadline(deadline: datetime, now: datetime, bounds: Bounds) -> None:
    earliest, latest = now + timedelta(seconds=bounds.seconds_min), now + timedelta(seconds=bounds.seconds_max)
    if not earliest <= deadline <= latest:
        raise DeadlineOutOfBounds(
            f"The deadline must lie between {bounds.seconds_min} seconds and {bounds.seconds_max} seconds from now.",
            earliest=earliest.isoformat(),
            latest=latest.isoformat(),
        )


def _check_currency(amount: Money, goal: Money) -> None:
    if amount.currency != goal.currency:
        raise WrongCurrency(f"The goal is in {goal.currency}, so everything in this campaign is.")


def _tier(state: Campaign, tier_id: TierId) -> RewardTier:
    if (tier := state.tier(tier_id)) is None:
        raise TierNotFound("The campaign has no tier with this id.")
    return tier
