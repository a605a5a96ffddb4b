"""What may be done with a campaign, from its draft to its end (DOMAIN C1 to C4, C10, C11)."""

from datetime import datetime
from hashlib import sha256
from typing import Final

from campaign.domain import Campaign, CampaignDrafted, CampaignEnded, DraftChanged, DraftDiscarded, Status
from campaign.domain_commands import (
    CancelCampaign,
    ChangeDraft,
    DiscardDraft,
    DraftCampaign,
    LaunchCampaign,
    PolicyChoice,
)
from campaign.domain_refusals import (
    CampaignNotFound,
    GoalMissing,
    NotYourCampaign,
    StrategyNotOffered,
    StretchGoalTooLow,
    check_currency,
    check_deadline,
    check_expected,
    check_status,
)
from contracts.campaign import (
    CampaignCancelled,
    CampaignClosed,
    CampaignLaunched,
    FundingModel,
    PaymentStrategy,
    Policy,
)
from contracts.event import Event
from contracts.ids import PersonId
from contracts.settlement import Outcome

# How each model can be paid; the first is the default (DOMAIN Y3).
STRATEGIES: Final = {
    FundingModel.ALL_OR_NOTHING: (PaymentStrategy.HOLD,),
    FundingModel.KEEP_IT_ALL: (PaymentStrategy.IMMEDIATE,),
}


def not_found() -> CampaignNotFound:
    """What somebody hears of a campaign that there is not, and of a draft that is not theirs: the same."""
    return CampaignNotFound("Nothing is known under this id. Check it; a draft is shown to its creator only.")


def owned(state: Campaign | None, person_id: PersonId) -> Campaign:
    """The campaign, if it is this person's. Nobody else learns that a draft exists (DOMAIN H2)."""
    if state is None or (state.launched_at is None and state.creator_id != person_id):
        raise not_found()
    if state.creator_id != person_id:
        raise NotYourCampaign("Only its creator may do this. What everybody may see is on its page.")
    return state


def draft(command: DraftCampaign, now: datetime) -> tuple[Event, ...]:
    check_deadline(command.terms.deadline, now, command.bounds)
    return (CampaignDrafted(campaign_id=command.campaign_id, creator_id=command.person_id, terms=command.terms),)


def change(state: Campaign, command: ChangeDraft, now: datetime) -> tuple[Event, ...]:
    check_status(state, Status.DRAFT, "Goal, model, currency, deadline and story are frozen at launch.")
    terms = state.terms.model_copy(update=command.changes)
    if terms.deadline != state.terms.deadline:
        check_deadline(terms.deadline, now, command.bounds)
    check_expected(command.expected, draft_tag(state))
    return () if terms == state.terms else (DraftChanged(campaign_id=state.campaign_id, terms=terms),)


def draft_tag(state: Campaign) -> str:
    """Names a draft's state by what it says, 16 hex characters: the same again after a change and its opposite."""
    said = (state.terms, *state.tiers)
    return sha256("\n".join(part.model_dump_json() for part in said).encode()).hexdigest()[:16]


def discard(state: Campaign, _command: DiscardDraft, _now: datetime) -> tuple[Event, ...]:
    if state.status is Status.CANCELLED and state.launched_at is None:
        return ()
    check_status(state, Status.DRAFT, "Only a draft can be thrown away; an active campaign is cancelled.")
    return (DraftDiscarded(campaign_id=state.campaign_id),)


def launch(state: Campaign, command: LaunchCampaign, now: datetime) -> tuple[Event, ...]:
    """DOMAIN C3, C4: checks everything that is frozen from now on."""
    check_status(state, Status.DRAFT, "Only a draft can be launched.")
    terms = state.terms
    if terms.goal.amount <= 0:
        raise GoalMissing("The goal must be above zero.")
    check_deadline(terms.deadline, now, command.bounds)
    for amount in (*(tier.minimum for tier in state.tiers), *(s.amount for s in terms.stretch_goals)):
        check_currency(amount, terms.goal)
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
    check_status(state, Status.ACTIVE, "A draft or an active campaign can be cancelled.")
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
