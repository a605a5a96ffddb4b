"""The campaign's rules: given what has happened, when asked, then these facts or this refusal."""

from dataclasses import replace
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
    ChangeTier,
    DiscardDraft,
    DraftCampaign,
    LaunchCampaign,
    PolicyChoice,
    PostUpdate,
    RemoveTier,
)
from campaign.domain_decisions import cancel, change, close, discard, draft, draft_tag, end, launch, owned
from campaign.domain_refusals import (
    CampaignNotFound,
    ChangedMeanwhile,
    DeadlineOutOfBounds,
    GoalMissing,
    LimitLowered,
    NotYourCampaign,
    StrategyNotOffered,
    StretchGoalTooLow,
    TierFrozen,
    TierNotFound,
    TierWithoutLimit,
    TooManyTiers,
    TooManyUpdates,
    WrongCurrency,
    WrongStatus,
)
from campaign.domain_tiers import TIERS_MAX, add_tier, change_tier, remove_tier, tier_tag
from campaign.domain_updates import UPDATES_MAX, post_update
from contracts.campaign import (
    CampaignCancelled,
    CampaignClosed,
    CampaignLaunched,
    FundingModel,
    PaymentStrategy,
    RewardTier,
    RewardTierAdded,
    StretchGoal,
    TierLimitRaised,
    UpdateKind,
)
from contracts.ids import PoolId, TierId, UpdateId, new_id
from contracts.money import Money
from contracts.settlement import Outcome
from tests.unit.campaign import drafts
from tests.unit.campaign.drafts import BOUNDS, CAMPAIGN_ID, CREATOR, DEADLINE, NOW, STRANGER, eur, terms, tier

SECOND = timedelta(seconds=1)
NEW_POOL = PoolId(new_id())
DISCARD = DiscardDraft(CAMPAIGN_ID, CREATOR)
LAUNCH = LaunchCampaign(CAMPAIGN_ID, CREATOR, BOUNDS)
UPDATE = PostUpdate(CAMPAIGN_ID, CREATOR, UpdateId(new_id()), UpdateKind.GENERAL, "News", "It goes on.")
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


def change_of(one: RewardTier, expected: frozenset[str] | None = None, **changes: Any) -> ChangeTier:
    return ChangeTier(CAMPAIGN_ID, CREATOR, one.tier_id, NEW_POOL, changes, expected)


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

    def test_a_change_to_what_was_read_is_recorded_and_one_to_something_older_is_not(self) -> None:
        read = drafts.draft()
        [first] = change(read, replace(change_to(title="Mine"), expected=frozenset({draft_tag(read)})), NOW)
        second = replace(change_to(title="Theirs"), expected=frozenset({draft_tag(read)}))
        with pytest.raises(ChangedMeanwhile):
            change(evolve(read, first), second, NOW)

    def test_a_new_tier_is_a_change_of_the_draft_that_was_read(self) -> None:
        assert draft_tag(drafts.draft()) != draft_tag(drafts.draft(tier()))

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
        [raised] = change_tier(state, change_of(blue, limit=9), NOW)
        assert red.pool_id is not None
        assert raised == TierLimitRaised(campaign_id=CAMPAIGN_ID, pool_id=red.pool_id, limit=9)
        assert [one.limit for one in evolve(state, raised).tiers] == [9, 9, 5]

    def test_raised_to_what_it_is_is_done_already(self) -> None:
        one = tier(limit=5)
        assert change_tier(drafts.active(one), change_of(one, limit=5), NOW) == ()

    def test_is_never_lowered(self) -> None:
        one = tier(limit=5)
        with pytest.raises(LimitLowered) as refused:
            change_tier(drafts.active(one), change_of(one, limit=4), NOW)
        assert refused.value.facts == {"limit": 5}

    def test_of_an_unlimited_tier_is_refused(self) -> None:
        one = tier()
        with pytest.raises(TierWithoutLimit):
            change_tier(drafts.active(one), change_of(one, limit=4), NOW)

    @pytest.mark.parametrize("when", ["closed", "after the deadline"])
    def test_is_raised_only_while_active(self, when: str) -> None:
        one = tier(limit=5)
        state = {"closed": drafts.closed()}.get(when, drafts.active(one))
        now = DEADLINE if when == "after the deadline" else NOW
        with pytest.raises(WrongStatus):
            change_tier(state, change_of(one, limit=9), now)


class TestChangeOfATier:
    def test_in_a_draft_changes_everything_that_is_named(self) -> None:
        one = tier(limit=5)
        wanted: dict[str, Any] = {"title": "Two lamps", "minimum": eur(4_000), "estimated_delivery": "2028-01"}
        state = drafts.draft(one)
        [changed] = change_tier(state, change_of(one, **wanted, limit=3), NOW)
        assert evolve(state, changed).tiers == (one.model_copy(update=wanted | {"limit": 3}),)

    def test_in_a_draft_a_limit_holds_for_all_tiers_of_the_pool(self) -> None:
        red = tier(limit=5)
        state = drafts.draft(red, tier(limit=5, pool_id=red.pool_id), tier(limit=5))
        [changed] = change_tier(state, change_of(red, limit=2), NOW)
        assert [one.limit for one in evolve(state, changed).tiers] == [2, 2, 5]

    def test_in_a_draft_can_leave_its_pool_and_become_unlimited(self) -> None:
        red = tier(limit=5)
        state = drafts.draft(red, tier(limit=5, pool_id=red.pool_id))
        [changed] = change_tier(state, change_of(red, limit=None), NOW)
        assert [(one.pool_id, one.limit) for one in evolve(state, changed).tiers] == [(None, None), (red.pool_id, 5)]

    def test_in_a_draft_can_become_limited_and_can_share_another_pool(self) -> None:
        free, red = tier(), tier(limit=5)
        state = drafts.draft(free, red)
        [limited] = change_tier(state, change_of(free, limit=9), NOW)
        first, _ = evolve(state, limited).tiers
        assert (first.pool_id, first.limit) == (NEW_POOL, 9)
        [shared] = change_tier(state, change_of(free, pool_of=red.tier_id), NOW)
        assert [(one.pool_id, one.limit) for one in evolve(state, shared).tiers] == [(red.pool_id, 5)] * 2

    def test_in_a_draft_keeps_the_currency_of_the_goal(self) -> None:
        one = tier()
        with pytest.raises(WrongCurrency):
            change_tier(drafts.draft(one), change_of(one, minimum=Money(amount=5, currency="USD")), NOW)

    def test_to_what_it_is_changes_nothing(self) -> None:
        one = tier(limit=5)
        assert change_tier(drafts.draft(one), change_of(one, title=one.title, limit=5), NOW) == ()
        assert change_tier(drafts.active(one), change_of(one, title=one.title, limit=5), NOW) == ()

    @pytest.mark.parametrize(
        "changes", [{"title": "Two"}, {"minimum": eur(1)}, {"estimated_delivery": "2028-01"}, {"pool_of": CAMPAIGN_ID}]
    )
    def test_while_active_is_refused_and_says_what_is_frozen(self, changes: dict[str, Any]) -> None:
        one = tier(limit=5)
        with pytest.raises(TierFrozen) as refused:
            change_tier(drafts.active(one), change_of(one, **changes, limit=9), NOW)
        assert refused.value.facts == {"frozen": list(changes)}

    def test_to_unlimited_is_not_raising(self) -> None:
        one = tier(limit=5)
        with pytest.raises(LimitLowered):
            change_tier(drafts.active(one), change_of(one, limit=None), NOW)

    @pytest.mark.parametrize("state", [drafts.draft, drafts.active])
    def test_to_something_older_than_it_is_is_refused(self, state: Any) -> None:
        one = tier(limit=5)
        read = frozenset({tier_tag(one)})
        assert len(change_tier(state(one), change_of(one, read, limit=9), NOW)) == 1
        changed = one.model_copy(update={"limit": 8})
        with pytest.raises(ChangedMeanwhile):
            change_tier(state(changed), change_of(one, read, limit=9), NOW)

    def test_a_rule_that_says_no_is_named_before_a_change_meanwhile(self) -> None:
        one = tier(limit=5)
        with pytest.raises(LimitLowered):
            change_tier(drafts.active(one), change_of(one, frozenset(), limit=4), NOW)


class TestUpdates:
    def test_are_counted_and_carry_what_was_said(self) -> None:
        one = tier()
        command = PostUpdate(
            CAMPAIGN_ID, CREATOR, UpdateId(new_id()), UpdateKind.SHIPPING, "Off", "On its way.", one.tier_id
        )
        posted = post_update(drafts.active(one), command, 6, NOW)
        assert (posted.number, posted.kind, posted.tier_id, posted.posted_at) == (7, "shipping", one.tier_id, NOW)
        assert (posted.title, posted.text) == ("Off", "On its way.")

    @pytest.mark.parametrize("state", [drafts.active(), drafts.closed(), CANCELLED, *ENDED])
    def test_can_be_posted_from_the_launch_on_whatever_became_of_it(self, state: Campaign) -> None:
        assert post_update(state, UPDATE, 0, NOW).number == 1

    def test_need_readers(self) -> None:
        for state in (drafts.draft(), evolve(drafts.draft(), DraftDiscarded(campaign_id=CAMPAIGN_ID))):
            with pytest.raises(WrongStatus):
                post_update(state, UPDATE, 0, NOW)

    def test_are_for_a_tier_that_there_is(self) -> None:
        with pytest.raises(TierNotFound):
            post_update(drafts.active(tier()), replace(UPDATE, tier_id=TierId(new_id())), 0, NOW)

    def test_are_limited_in_number(self) -> None:
        assert post_update(drafts.active(), UPDATE, UPDATES_MAX - 1, NOW).number == UPDATES_MAX
        with pytest.raises(TooManyUpdates):
            post_update(drafts.active(), UPDATE, UPDATES_MAX, NOW)


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
