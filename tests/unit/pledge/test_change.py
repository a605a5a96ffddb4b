"""Changing a pledge: what is allowed until when, and what becomes of a change (DOMAIN P6): pure decisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from contracts.campaign import FundingModel
from contracts.ids import ChangeId, TierId, new_id
from contracts.money import Money
from contracts.payment import PaymentChangeAuthorized, PaymentChangeDeclined, PaymentFact, PaymentVoided
from contracts.pledge import (
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeChangeDropped,
    PledgeChangeRequested,
    PledgeDeclined,
    PledgeFact,
    PledgeVoided,
)
from eventing.refusal import Refusal
from pledge.domain import Pledge, Status, counted, evolve
from pledge.domain_book import Book, BookState, Pool, Tier, cancel_all
from pledge.domain_change import CHANGES_MAX, ChangePledge, check_seen, wanted
from pledge.domain_change import change as decide
from pledge.domain_decisions import cancel, cancel_with_campaign, expire
from pledge.domain_options import options
from pledge.domain_payment import follow_payment
from pledge.domain_refusals import (
    AmountFixed,
    BelowMinimum,
    CampaignNotOpen,
    ChangeUndecided,
    CutoffPassed,
    DeadlinePassed,
    PaymentUndecided,
    PledgeChangedMeanwhile,
    PledgeEnded,
    SoldOut,
    TooManyChanges,
    UnknownTier,
    WrongCurrency,
)
from tests.unit.pledge.stories import (
    CAMPAIGN,
    CUTOFF,
    DEADLINE,
    LEASE_SECONDS,
    NOON,
    OTHER_CAMPAIGN,
    PLEDGE,
    POOL,
    TICK,
    TIER,
    book,
    change,
    euros,
    pledge,
)

KEEP = FundingModel.KEEP_IT_ALL
GOLD = Tier(TIER, CAMPAIGN, 2500, POOL)
HELD = pledge(PledgeAuthorized)
RAISED = change(amount=euros(3000))
LEASE_END = NOON + timedelta(seconds=LEASE_SECONDS)


def decided(
    state: Pledge,
    command: ChangePledge,
    now: datetime = NOON,
    *,
    within: Book | None = None,
    tier: Tier | None = None,
    pool: Pool | None = None,
) -> Sequence[PledgeFact]:
    return decide(state, wanted(command, state, now), now, book=within or book(), tier=tier, pool=pool)


def after(state: Pledge, events: Sequence[PledgeFact]) -> Pledge:
    for event in events:
        state = evolve(state, event)
    return state


def changing(state: Pledge = HELD, command: ChangePledge = RAISED) -> Pledge:
    """A pledge whose change is undecided."""
    return after(state, decided(state, command, tier=GOLD))


def on_tier(state: Pledge, tier_id: TierId = TIER) -> Pledge:
    return replace(state, tier_id=tier_id)


def taken(state: Pledge, hold_id: str = "pi_2") -> PaymentFact:
    assert state.change is not None
    return PaymentChangeAuthorized(
        pledge_id=PLEDGE,
        campaign_id=CAMPAIGN,
        amount=state.change.amount,
        change_id=state.change.change_id,
        hold_id=hold_id,
        capture_before=DEADLINE,
    )


def refused(state: Pledge) -> PaymentFact:
    assert state.change is not None
    change_id = state.change.change_id
    amount = state.change.amount
    return PaymentChangeDeclined(
        pledge_id=PLEDGE, campaign_id=CAMPAIGN, amount=amount, change_id=change_id, reason="insufficient_funds"
    )


class TestAsking:
    def test_for_another_amount_waits_for_a_new_hold_and_leaves_the_pledge_as_it_is(self) -> None:
        [event] = decided(HELD, RAISED)
        assert isinstance(event, PledgeChangeRequested)
        assert (event.amount, event.new_amount, event.payment_method) == (euros(2500), euros(3000), "pm_card_visa")
        assert event.lease_until == LEASE_END
        assert changing().status is Status.AUTHORIZED
        assert changing().amount == euros(2500)

    def test_for_another_card_needs_a_hold_on_it(self) -> None:
        [event] = decided(HELD, change(payment_method="pm_other"))
        assert isinstance(event, PledgeChangeRequested)
        assert (event.new_amount, event.payment_method) == (euros(2500), "pm_other")

    def test_for_another_tier_alone_is_done_at_once_under_the_same_hold(self) -> None:
        [event] = decided(HELD, change(tier_id=TIER), tier=GOLD, pool=Pool(POOL, CAMPAIGN, 1))
        assert isinstance(event, PledgeChanged)
        assert (event.tier_id, event.previous_tier_id, event.hold_id) == (TIER, None, "pi_1")

    def test_of_a_pledge_at_risk_always_needs_a_hold_because_it_has_lost_its_own(self) -> None:
        at_risk = replace(HELD, status=Status.AT_RISK)
        waiting = after(at_risk, decided(at_risk, change(tier_id=TIER), tier=GOLD))
        assert waiting.change is not None
        assert after(waiting, follow_payment(waiting, taken(waiting))).status is Status.AUTHORIZED

    @pytest.mark.parametrize(
        "command", [change(amount=euros(2500)), change(tier_id=None), change(payment_method="pm_card_visa"), change()]
    )
    def test_for_what_is_so_already_is_done(self, command: ChangePledge) -> None:
        assert decided(HELD, command) == ()

    def test_a_field_that_is_left_out_stays_and_null_means_no_reward(self) -> None:
        rewarded = on_tier(HELD)
        assert wanted(RAISED, rewarded, NOON).tier_id == TIER
        assert wanted(change(tier_id=None), rewarded, NOON).tier_id is None

    @pytest.mark.parametrize(
        ("state", "command", "given", "refusal"),
        [
            (pledge(PledgeCancelled), RAISED, {}, PledgeEnded),
            (pledge(PledgeDeclined), RAISED, {}, PledgeEnded),
            (pledge(), RAISED, {}, PaymentUndecided),
            (pledge(PledgeAuthorized, PledgeCaptureFailed), RAISED, {}, PaymentUndecided),
            (changing(), change(amount=euros(4000)), {}, ChangeUndecided),
            (HELD, RAISED, {"within": cancel_all(book())}, CampaignNotOpen),
            (HELD, RAISED, {"now": DEADLINE}, DeadlinePassed),
            (HELD, RAISED, {"within": replace(book(), state=BookState.CLOSED)}, DeadlinePassed),
            (HELD, change(amount=Money(amount=3000, currency="USD")), {}, WrongCurrency),
            (HELD, change(tier_id=TIER), {}, UnknownTier),
            (HELD, change(tier_id=TIER), {"tier": replace(GOLD, campaign_id=OTHER_CAMPAIGN)}, UnknownTier),
            (HELD, change(tier_id=TIER, amount=euros(2499)), {"tier": GOLD}, BelowMinimum),
            (on_tier(HELD), change(amount=euros(2499)), {"tier": GOLD}, BelowMinimum),
            (HELD, change(tier_id=TIER), {"tier": GOLD, "pool": Pool(POOL, CAMPAIGN, 3, 3)}, SoldOut),
            (replace(HELD, changes=CHANGES_MAX), RAISED, {}, TooManyChanges),
            (pledge(PledgeCaptured), RAISED, {"within": book(KEEP)}, AmountFixed),
            (pledge(PledgeAuthorized, PledgeCaptured), RAISED, {}, AmountFixed),
            (pledge(PledgeCaptured), change(payment_method="pm_other"), {"within": book(KEEP)}, AmountFixed),
        ],
    )
    def test_is_refused_in_words_that_help(
        self, state: Pledge, command: ChangePledge, given: dict[str, Any], refusal: type[Refusal]
    ) -> None:
        with pytest.raises(refusal) as told:
            decided(state, command, **given)
        assert len(told.value.detail) > 20

    def test_in_keep_it_all_the_tier_can_be_changed_and_the_charge_stays(self) -> None:
        charged = pledge(PledgeCaptured)
        [event] = decided(charged, change(tier_id=TIER), DEADLINE - TICK, within=book(KEEP), tier=GOLD)
        assert isinstance(event, PledgeChanged)
        assert event.hold_id is None
        assert after(charged, [event]).status is Status.CAPTURED

    def test_a_charge_after_a_hold_stays_a_charge_when_the_tier_changes(self) -> None:
        charged = pledge(PledgeAuthorized, PledgeCaptured)
        assert after(charged, decided(charged, change(tier_id=TIER), tier=GOLD)).status is Status.CAPTURED

    def test_about_another_version_than_there_is_is_refused(self) -> None:
        check_seen(3, change())
        check_seen(3, change(versions=frozenset("23")))
        with pytest.raises(PledgeChangedMeanwhile):
            check_seen(3, change(versions=frozenset("2")))


class TestCutoff:
    @pytest.mark.parametrize(
        ("state", "command"),
        [
            (HELD, change(amount=euros(2400))),
            (on_tier(HELD), change(tier_id=None)),
            (on_tier(HELD, TierId(new_id())), change(tier_id=TIER)),
        ],
        ids=["lowering", "leaving", "switching"],
    )
    def test_ends_what_gives_something_up(self, state: Pledge, command: ChangePledge) -> None:
        assert decided(state, command, CUTOFF - TICK, tier=GOLD)
        with pytest.raises(CutoffPassed) as told:
            decided(state, command, CUTOFF, tier=GOLD)
        assert told.value.facts["cutoff"] == "2027-03-29T12:00:00Z"

    @pytest.mark.parametrize("command", [RAISED, change(tier_id=TIER), change(payment_method="pm_other")])
    def test_leaves_the_rest_until_the_deadline(self, command: ChangePledge) -> None:
        assert decided(HELD, command, DEADLINE - TICK, tier=GOLD)

    def test_is_unknown_to_keep_it_all(self) -> None:
        state = on_tier(pledge(PledgeCaptured))
        assert decided(state, change(tier_id=None), DEADLINE - TICK, within=book(KEEP))


class TestDeciding:
    def test_with_its_hold_the_pledge_is_what_was_wanted(self) -> None:
        state = changing(command=change(amount=euros(3000), tier_id=TIER, payment_method="pm_other"))
        [event] = follow_payment(state, taken(state))
        assert isinstance(event, PledgeChanged)
        assert (event.amount, event.tier_id, event.previous_amount) == (euros(3000), TIER, euros(2500))
        done = after(state, [event])
        assert (done.hold_id, done.capture_before, done.payment_method) == ("pi_2", DEADLINE, "pm_other")
        assert done.change is None

    def test_declined_leaves_the_pledge_as_it_was(self) -> None:
        state = changing()
        [event] = follow_payment(state, refused(state))
        assert isinstance(event, PledgeChangeDropped)
        assert event.reason == "insufficient_funds"
        assert after(state, [event]) == replace(HELD, changes=1)

    def test_a_hold_for_a_change_that_is_over_changes_nothing(self) -> None:
        state = changing()
        late = taken(state)
        for gone in (after(state, follow_payment(state, refused(state))), after(state, follow_payment(state, late))):
            assert follow_payment(gone, late) == ()
        assert state.change is not None
        other = replace(state, change=replace(state.change, change_id=ChangeId(new_id())))
        assert follow_payment(other, late) == ()

    def test_only_the_end_of_the_hold_that_is_current_now_ends_the_pledge(self) -> None:
        state = changing()
        state = after(state, follow_payment(state, taken(state)))
        about = {"pledge_id": PLEDGE, "campaign_id": CAMPAIGN, "amount": euros(2500)}
        assert follow_payment(state, PaymentVoided(**about, hold_id="pi_1")) == ()
        assert follow_payment(state, PaymentVoided(**about, hold_id="pi_2"))

    def test_the_lease_ends_it_and_the_pledge_stands(self) -> None:
        state = changing()
        assert expire(state, LEASE_END - TICK) == ()
        [event] = expire(state, LEASE_END)
        assert isinstance(event, PledgeChangeDropped)
        assert (event.reason, after(state, [event]).status) == ("lease_expired", Status.AUTHORIZED)

    @pytest.mark.parametrize(
        "end", [lambda state: cancel(state, book(), NOON), lambda state: cancel_with_campaign(state, NOON)]
    )
    def test_a_cancellation_wins_and_drops_it_first(self, end: Callable[[Pledge], Sequence[PledgeFact]]) -> None:
        dropped, cancelled = end(changing())
        assert isinstance(dropped, PledgeChangeDropped)
        assert (dropped.reason, type(cancelled)) == ("cancelled", PledgeCancelled)

    def test_the_end_of_the_payment_drops_it_first(self) -> None:
        about = {"pledge_id": PLEDGE, "campaign_id": CAMPAIGN, "amount": euros(2500)}
        dropped, voided = follow_payment(changing(), PaymentVoided(**about, hold_id="pi_1"))
        assert isinstance(dropped, PledgeChangeDropped)
        assert (dropped.reason, type(voided)) == ("payment_ended", PledgeVoided)

    def test_the_book_waits_for_it_and_counts_what_the_pledge_is_now(self) -> None:
        live = counted(book(), None, HELD)
        state = changing()
        waiting = counted(live, HELD, state)
        assert (waiting.undecided, waiting.live, waiting.live_minor) == (1, 1, 2500)
        done = counted(waiting, state, after(state, follow_payment(state, taken(state))))
        assert (done.undecided, done.live, done.live_minor) == (0, 1, 3000)


class TestOptions:
    @pytest.mark.parametrize(
        ("status", "now", "expected"),
        [
            (Status.AUTHORIZED, NOON, (DEADLINE, CUTOFF, CUTOFF)),
            (Status.AUTHORIZED, CUTOFF, (DEADLINE, None, None)),
            (Status.AUTHORIZED, DEADLINE, (None, None, None)),
            (Status.PENDING, NOON, (None, None, CUTOFF)),
            (Status.CANCELLED, NOON, (None, None, None)),
        ],
    )
    def test_say_what_is_possible_until_when(self, status: Status, now: datetime, expected: tuple[Any, ...]) -> None:
        may = options(status, NOON, changing=False, book=book(), now=now)
        assert (may.change_until, may.lower_until, may.cancel_until) == expected

    def test_of_a_pledge_whose_change_is_undecided_leave_the_cancellation(self) -> None:
        may = options(Status.AUTHORIZED, NOON, changing=True, book=book(), now=NOON)
        assert (may.change_until, may.lower_until, may.cancel_until) == (None, None, CUTOFF)

    def test_of_keep_it_all_name_the_refund_window(self) -> None:
        kept = book(KEEP, refund_window_seconds=60)
        may = options(Status.CAPTURED, NOON, changing=False, book=kept, now=NOON)
        assert (may.change_until, may.lower_until) == (DEADLINE, DEADLINE)
        assert may.cancel_until == NOON + timedelta(seconds=60)

    @pytest.mark.parametrize("now", [NOON, CUTOFF - TICK, CUTOFF, DEADLINE - TICK, DEADLINE])
    @pytest.mark.parametrize("model", FundingModel)
    def test_agree_with_the_decisions(self, model: FundingModel, now: datetime) -> None:
        state = HELD if model is FundingModel.ALL_OR_NOTHING else pledge(PledgeCaptured)
        state, within = on_tier(state), book(model)
        may = options(state.status, state.placed_at, changing=False, book=within, now=now)
        asks: tuple[tuple[datetime | None, Callable[[], Sequence[PledgeFact]]], ...] = (
            (may.lower_until, lambda: decided(state, change(tier_id=None), now, within=within)),
            (may.cancel_until, lambda: cancel(state, within, now)),
        )
        for until, ask in asks:
            if until:
                assert ask()
            else:
                with pytest.raises(Refusal):
                    ask()
