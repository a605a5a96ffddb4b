"""The campaign's rules: given what has happened, when asked, then these facts or this refusal."""

from datetime import timedelta
from typing import Any

import pytest

from campaign.domain import (
    Campaign,
    CampaignDrafted,
    CampaignEnded,
    DraftChanged,
    DraftDiscarded,
    DraftTierAdded,
    DraftTierRemoved,
    Status,
    evolve,
)
from campaign.domain_commands import (
    CancelCampaign,
    ChangeDraft,
    DiscardDraft,
    DraftCampaign,
    LaunchCampaign,
    PolicyChoice,
    RaiseLimit,
    RemoveTier,
)
from campaign.domain_decisions import (
    TIERS_MAX,
    CampaignNotFound,
    DeadlineOutOfBounds,
    GoalMissing,
    LimitLowered,
    NotYourCampaign,
    StrategyNotOffered,
    StretchGoalTooLow,
    TierNotFound,
    TierWithoutLimit,
    TooManyTiers,
    WrongCurrency,
    WrongStatus,
    add_tier,
    cancel,
    change,
    close,
    discard,
    draft,
    end,
    launch,
    owned,
    raise_limit,
    remove_tier,
)
from contracts.campaign import (
    CampaignCancelled,
    CampaignClosed,
    CampaignLaunched,
    FundingModel,
    PaymentStrategy,
    RewardTierAdded,
    StretchGoal,
    TierLimitRaised,
)
from contracts.ids import TierId, new_id
from contracts.money import Money
from contracts.settlement import Outcome
from tests.unit.campaign import drafts
from tests.unit.campaign.drafts import BOUNDS, CAMPAIGN_ID, CREATOR, DEADLINE, NOW, STRANGER, eur, terms, tier

SECOND = timedelta(seconds=1)
DISCARD = DiscardDraft(CAMPAIGN_ID, CREATOR)
LAUNCH = LaunchCampaign(CAMPAIGN_ID, CREATOR, BOUNDS)
CANCEL = CancelCampaign(CAMPAIGN_ID, CREATOR, "no parts")
CANCELLED = drafts.folded(
    drafts.drafted(),
    drafts.launched(drafts.drafted()),
    CampaignCancelled(campaign_id=CAMPAIGN_ID, cancelled_at=NOW),
)


def ended(outcome: Outcome) -> Campaign:
    return evolve(drafts.closed(), CampaignEnded(campaign_id=CAMPAIGN_ID, outcome=outcome))


ENDED = [ended(outcome) for outcome in Outcome]


def change_to(**changes: Any) -> ChangeDraft:
    return ChangeDraft(CAMPAIGN_ID, CREATOR, changes, BOUNDS)


class TestDraft:
    def test_is_recorded_with_its_terms(self) -> None:
        expected = CampaignDrafted(campaign_id=CAMPAIGN_ID, creator_id=CREATOR, terms=terms())
        assert draft(DraftCampaign(CAMPAIGN_ID, CREATOR, terms(), BOUNDS), NOW) == (expected,)

    @pytest.mark.parametrize("ahead", [timedelta(seconds=3_600), timedelta(days=60)])
    def test_the_bounds_of_the_deadline_are_within(self, ahead: timedelta) -> None:
        command = DraftCampaign(CAMPAIGN_ID, CREATOR, terms(deadline=NOW + ahead), BOUNDS)
        assert len(draft(command, NOW)) == 1

    @pytest.mark.parametrize("ahead", [timedelta(days=-1), timedelta(seconds=3_599), timedelta(days=60, seconds=1)])
    def test_a_deadline_past_too_near_or_too_far_is_refused_and_told_the_bounds(self, ahead: timedelta) -> None:
        command = DraftCampaign(CAMPAIGN_ID, CREATOR, terms(deadline=NOW + ahead), BOUNDS)
        with pytest.raises(DeadlineOutOfBounds) as refused:
            draft(command, NOW)
        assert refused.value.facts == {
            "earliest": "2027-03-01T13:00:00+00:00",
            "latest": "2027-04-30T12:00:00+00:00",
        }

    def test_only_what_is_named_changes(self) -> None:
        [changed] = change(drafts.draft(), change_to(title="Two lamps"), NOW)
        assert changed == DraftChanged(campaign_id=CAMPAIGN_ID, terms=terms(title="Two lamps"))

    def test_changing_to_what_it_is_changes_nothing(self) -> None:
        assert change(drafts.draft(), change_to(title="A lamp"), NOW) == ()

    def test_an_old_draft_keeps_its_deadline_while_its_title_changes(self) -> None:
        assert len(change(drafts.draft(), change_to(title="Late"), DEADLINE + SECOND)) == 1

    def test_a_changed_deadline_is_checked(self) -> None:
        with pytest.raises(DeadlineOutOfBounds):
            change(drafts.draft(), change_to(deadline=NOW), NOW)

    def test_can_be_thrown_away_and_stays_so(self) -> None:
        [discarded] = discard(drafts.draft(), DISCARD, NOW)
        assert discarded == DraftDiscarded(campaign_id=CAMPAIGN_ID)
        gone = evolve(drafts.draft(), discarded)
        assert (gone.status, discard(gone, DISCARD, NOW)) == (Status.CANCELLED, ())


class TestOwner:
    def test_nobody_else_learns_of_a_draft(self) -> None:
        with pytest.raises(CampaignNotFound) as foreign:
            owned(drafts.draft(), STRANGER)
        with pytest.raises(CampaignNotFound) as unknown:
            owned(None, STRANGER)
        assert foreign.value.detail == unknown.value.detail

    def test_a_stranger_may_not_change_what_everybody_sees(self) -> None:
        with pytest.raises(NotYourCampaign):
            owned(drafts.active(), STRANGER)

    def test_the_creator_may(self) -> None:
        assert owned(drafts.active(), CREATOR) == drafts.active()


class TestTiers:
    def test_in_a_draft_stay_private(self) -> None:
        [added] = add_tier(drafts.draft(), drafts.add_tier(), NOW)
        assert isinstance(added, DraftTierAdded)
        assert (added.tier.pool_id, added.tier.limit) == (None, None)

    def test_in_an_active_campaign_are_announced(self) -> None:
        command = drafts.add_tier(limit=5)
        [added] = add_tier(drafts.active(), command, NOW)
        assert isinstance(added, RewardTierAdded)
        assert (added.tier.pool_id, added.tier.limit) == (command.new_pool_id, 5)

    def test_can_share_the_pool_of_another(self) -> None:
        red = tier(limit=5)
        [added] = add_tier(drafts.draft(red), drafts.add_tier(pool_of=red.tier_id), NOW)
        assert isinstance(added, DraftTierAdded)
        assert (added.tier.pool_id, added.tier.limit) == (red.pool_id, 5)

    def test_cannot_share_what_is_unlimited(self) -> None:
        free = tier()
        with pytest.raises(TierWithoutLimit):
            add_tier(drafts.draft(free), drafts.add_tier(pool_of=free.tier_id), NOW)

    def test_cannot_share_with_a_tier_that_is_not_there(self) -> None:
        with pytest.raises(TierNotFound):
            add_tier(drafts.draft(), drafts.add_tier(pool_of=TierId(new_id())), NOW)

    def test_have_the_currency_of_the_goal(self) -> None:
        with pytest.raises(WrongCurrency, match="EUR"):
            add_tier(drafts.draft(), drafts.add_tier(minimum=Money(amount=5, currency="USD")), NOW)

    def test_are_limited_in_number(self) -> None:
        with pytest.raises(TooManyTiers, match=str(TIERS_MAX)):
            add_tier(drafts.draft(*(tier() for _ in range(TIERS_MAX))), drafts.add_tier(), NOW)

    @pytest.mark.parametrize("state", [drafts.closed(), CANCELLED, *ENDED])
    def test_cannot_be_added_once_it_is_over(self, state: Campaign) -> None:
        with pytest.raises(WrongStatus, match=state.status):
            add_tier(state, drafts.add_tier(), NOW)

    def test_cannot_be_added_after_the_deadline_although_not_closed_yet(self) -> None:
        assert len(add_tier(drafts.active(), drafts.add_tier(), DEADLINE - SECOND)) == 1
        with pytest.raises(WrongStatus, match="deadline"):
            add_tier(drafts.active(), drafts.add_tier(), DEADLINE)

    def test_can_be_removed_from_a_draft_only(self) -> None:
        one = tier()
        command = RemoveTier(CAMPAIGN_ID, CREATOR, one.tier_id)
        [removed] = remove_tier(drafts.draft(one), command, NOW)
        assert removed == DraftTierRemoved(campaign_id=CAMPAIGN_ID, tier_id=one.tier_id)
        assert evolve(drafts.draft(one), removed).tiers == ()
        with pytest.raises(WrongStatus):
            remove_tier(drafts.active(one), command, NOW)
        with pytest.raises(TierNotFound):
            remove_tier(drafts.draft(), command, NOW)


class TestLimit:
    def test_is_raised_for_all_tiers_of_the_pool(self) -> None:
        red = tier(limit=5)
        blue = tier(limit=5, pool_id=red.pool_id)
        other = tier(limit=5)
        state = drafts.active(red, blue, other)
        [raised] = raise_limit(state, RaiseLimit(CAMPAIGN_ID, CREATOR, blue.tier_id, 9), NOW)
        assert red.pool_id is not None
        assert raised == TierLimitRaised(campaign_id=CAMPAIGN_ID, pool_id=red.pool_id, limit=9)
        assert [one.limit for one in evolve(state, raised).tiers] == [9, 9, 5]

    def test_raised_to_what_it_is_is_done_already(self) -> None:
        one = tier(limit=5)
        assert raise_limit(drafts.active(one), RaiseLimit(CAMPAIGN_ID, CREATOR, one.tier_id, 5), NOW) == ()

    def test_is_never_lowered(self) -> None:
        one = tier(limit=5)
        with pytest.raises(LimitLowered) as refused:
            raise_limit(drafts.active(one), RaiseLimit(CAMPAIGN_ID, CREATOR, one.tier_id, 4), NOW)
        assert refused.value.facts == {"limit": 5}

    def test_of_an_unlimited_tier_is_refused(self) -> None:
        one = tier()
        with pytest.raises(TierWithoutLimit):
            raise_limit(drafts.active(one), RaiseLimit(CAMPAIGN_ID, CREATOR, one.tier_id, 4), NOW)

    @pytest.mark.parametrize("when", ["draft", "closed", "after the deadline"])
    def test_is_raised_only_while_active(self, when: str) -> None:
        one = tier(limit=5)
        state = {"draft": drafts.draft(one), "closed": drafts.closed()}.get(when, drafts.active(one))
        now = DEADLINE if when == "after the deadline" else NOW
        with pytest.raises(WrongStatus):
            raise_limit(state, RaiseLimit(CAMPAIGN_ID, CREATOR, one.tier_id, 9), now)


class TestLaunch:
    def test_announces_everything_that_is_frozen(self) -> None:
        one = tier(limit=5)
        stretch = StretchGoal(title="A shade", amount=eur(20_000))
        [said] = launch(drafts.draft(one, stretch_goals=(stretch,)), LAUNCH, NOW)
        assert isinstance(said, CampaignLaunched)
        assert (said.creator_id, said.title, said.goal, said.deadline) == (CREATOR, "A lamp", eur(10_000), DEADLINE)
        assert (said.tiers, said.stretch_goals, said.launched_at) == ((one,), (stretch,), NOW)
        assert said.policy.model_dump() == {
            "version": 1,
            "cancellation_cutoff_seconds": 48 * 3_600,
            "payment_strategy": PaymentStrategy.HOLD,
            "fix_payment_seconds": 7 * 86_400,
            "refund_window_seconds": 14 * 86_400,
            "platform_fee_bps": 500,
            "lowest_collectable_bps": 10_000,
        }

    def test_keep_it_all_charges_at_once(self) -> None:
        [said] = launch(drafts.draft(model=FundingModel.KEEP_IT_ALL), LAUNCH, NOW)
        assert isinstance(said, CampaignLaunched)
        assert said.policy.payment_strategy is PaymentStrategy.IMMEDIATE

    def test_the_creator_chooses_the_rest_of_the_policy(self) -> None:
        choice = PolicyChoice(cancellation_cutoff_seconds=0, fix_payment_seconds=60)
        [said] = launch(drafts.draft(), LaunchCampaign(CAMPAIGN_ID, CREATOR, BOUNDS, choice), NOW)
        assert isinstance(said, CampaignLaunched)
        assert (said.policy.cancellation_cutoff_seconds, said.policy.fix_payment_seconds) == (0, 60)
        assert said.policy.platform_fee_bps == 500

    @pytest.mark.parametrize(
        ("model", "strategy"),
        [
            (FundingModel.ALL_OR_NOTHING, PaymentStrategy.IMMEDIATE),
            (FundingModel.ALL_OR_NOTHING, PaymentStrategy.SAVED_CARD),
            (FundingModel.KEEP_IT_ALL, PaymentStrategy.HOLD),
        ],
    )
    def test_a_strategy_that_the_model_does_not_have_is_refused(
        self, model: FundingModel, strategy: PaymentStrategy
    ) -> None:
        command = LaunchCampaign(CAMPAIGN_ID, CREATOR, BOUNDS, PolicyChoice(payment_strategy=strategy))
        with pytest.raises(StrategyNotOffered):
            launch(drafts.draft(model=model), command, NOW)

    def test_needs_a_goal(self) -> None:
        with pytest.raises(GoalMissing):
            launch(drafts.draft(goal=eur(0)), LAUNCH, NOW)

    def test_checks_the_deadline_anew(self) -> None:
        with pytest.raises(DeadlineOutOfBounds):
            launch(drafts.draft(), LAUNCH, DEADLINE - timedelta(seconds=3_599))

    def test_refuses_a_tier_or_stretch_goal_of_another_currency(self) -> None:
        dollars = Money(amount=20_000, currency="USD")
        with pytest.raises(WrongCurrency):
            launch(drafts.draft(tier(minimum=dollars)), LAUNCH, NOW)
        with pytest.raises(WrongCurrency):
            launch(drafts.draft(stretch_goals=(StretchGoal(title="More", amount=dollars),)), LAUNCH, NOW)

    def test_stretch_goals_lie_above_the_goal(self) -> None:
        with pytest.raises(StretchGoalTooLow, match=r"100\.00 EUR"):
            launch(drafts.draft(stretch_goals=(StretchGoal(title="More", amount=eur(10_000)),)), LAUNCH, NOW)

    @pytest.mark.parametrize("state", [drafts.active(), drafts.closed(), CANCELLED, *ENDED])
    def test_happens_once(self, state: Campaign) -> None:
        with pytest.raises(WrongStatus, match=state.status):
            launch(state, LAUNCH, NOW)

    @pytest.mark.parametrize("state", [drafts.active(), drafts.closed(), CANCELLED, *ENDED])
    def test_freezes_the_terms(self, state: Campaign) -> None:
        with pytest.raises(WrongStatus, match="frozen"):
            change(state, change_to(goal=eur(1)), NOW)
        if state is not CANCELLED:
            with pytest.raises(WrongStatus):
                discard(state, DISCARD, NOW)


class TestCloseAndCancel:
    def test_closes_at_the_deadline_and_never_before(self) -> None:
        state = drafts.active()
        assert close(state, DEADLINE - timedelta(microseconds=1)) == ()
        assert close(state, DEADLINE) == (CampaignClosed(campaign_id=CAMPAIGN_ID, closed_at=DEADLINE),)

    @pytest.mark.parametrize("state", [drafts.draft(), drafts.closed(), CANCELLED, *ENDED])
    def test_only_an_active_campaign_closes(self, state: Campaign) -> None:
        assert close(state, DEADLINE + SECOND) == ()

    def test_an_active_campaign_is_cancelled_with_the_reason(self) -> None:
        expected = CampaignCancelled(campaign_id=CAMPAIGN_ID, cancelled_at=NOW, reason="no parts")
        assert cancel(drafts.active(), CANCEL, NOW) == (expected,)

    def test_cancelling_a_draft_throws_it_away(self) -> None:
        assert cancel(drafts.draft(), CANCEL, NOW) == (DraftDiscarded(campaign_id=CAMPAIGN_ID),)

    def test_cancelled_is_cancelled(self) -> None:
        assert cancel(CANCELLED, CANCEL, NOW) == ()

    @pytest.mark.parametrize("state", [drafts.closed(), *ENDED])
    def test_a_closed_campaign_cannot_be_cancelled(self, state: Campaign) -> None:
        with pytest.raises(WrongStatus, match=state.status):
            cancel(state, CANCEL, DEADLINE)


class TestEnd:
    @pytest.mark.parametrize("outcome", Outcome)
    def test_the_status_follows_the_settlement(self, outcome: Outcome) -> None:
        [said] = end(drafts.closed(), outcome)
        assert evolve(drafts.closed(), said).status == outcome.value

    @pytest.mark.parametrize("state", [drafts.draft(), drafts.active(), CANCELLED, *ENDED])
    def test_only_what_settles_can_end(self, state: Campaign) -> None:
        assert end(state, Outcome.FUNDED) == ()
