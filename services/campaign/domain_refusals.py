"""Why something is refused, in words for whoever asked, and the checks that several decisions share."""

from datetime import datetime, timedelta

from campaign.domain import Campaign, Status
from campaign.domain_commands import Bounds
from contracts.money import Money
from eventing.refusal import Refusal


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


class TierFrozen(Refusal):
    """DOMAIN C5: backers chose a tier by what it says."""

    code = "tier-frozen"
    title = "Only the limit of this tier can be raised now"


class UpdateNotFound(Refusal):
    code = "update-not-found"
    title = "There is no such update"
    status = 404


class TooManyUpdates(Refusal):
    code = "too-many-updates"
    title = "The campaign has as many updates as it can"


class ChangedMeanwhile(Refusal):
    """RFC 9110, 13.1.1: the `If-Match` of a change names another state than the present one."""

    code = "changed-meanwhile"
    title = "This has been changed since you read it"
    status = 412


def check_status(state: Campaign, wanted: Status, rule: str) -> None:
    if state.status is not wanted:
        raise WrongStatus(f"The campaign is {state.status}. {rule}", campaign_status=state.status.value)


def check_open(state: Campaign, now: datetime, rule: str) -> None:
    check_status(state, Status.ACTIVE, rule)
    if now >= state.terms.deadline:
        raise WrongStatus(f"The deadline has passed. {rule}", deadline=state.terms.deadline.isoformat())


def check_deadline(deadline: datetime, now: datetime, bounds: Bounds) -> None:
    earliest, latest = now + timedelta(seconds=bounds.seconds_min), now + timedelta(seconds=bounds.seconds_max)
    if not earliest <= deadline <= latest:
        raise DeadlineOutOfBounds(
            f"The deadline must lie between {bounds.seconds_min} seconds and {bounds.seconds_max} seconds from now.",
            earliest=earliest.isoformat(),
            latest=latest.isoformat(),
        )


def check_currency(amount: Money, goal: Money) -> None:
    if amount.currency != goal.currency:
        raise WrongCurrency(f"The goal is in {goal.currency}, so everything in this campaign is.")


def check_expected(expected: frozenset[str] | None, tag: str) -> None:
    """Decided last, when everything else would have been done (RFC 9110, 13.2.1). None: whatever it is now."""
    if expected is not None and tag not in expected:
        raise ChangedMeanwhile("Read it again, and send the change with the ETag that comes with it.")
