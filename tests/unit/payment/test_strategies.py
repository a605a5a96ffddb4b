"""How a pledge's money is secured (DOMAIN Y3, Y4): holds that are renewed or lost, saved cards, 3-D Secure, refunds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.campaign import PaymentStrategy
from contracts.ids import new_id
from contracts.payment import (
    PaymentActionRequired,
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentDeclined,
    PaymentHoldRenewed,
    PaymentRefunded,
    PaymentVoided,
)
from payment import domain, domain_fold, domain_renewal, domain_state
from payment.domain_events import ActionEnded, Kind, RefundFailed, RenewalFailed
from payment.domain_renewal import JITTER, LATEST, MARGIN
from payment.gateway import Declined, NoEffect
from tests.unit.payment.lives import FIRST, HELD, PLEDGE, Life, euros

NOW = datetime(2027, 3, 1, tzinfo=UTC)
VISA_OFF_SESSION = timedelta(days=4, hours=18)


class TestAuthentication:
    def test_waits_for_the_backer_and_then_holds(self) -> None:
        life = Life().order().ask_backer()
        assert life.count(PaymentActionRequired) == 1
        assert life.running is Kind.FOLLOW
        told = life.succeed().last()
        assert isinstance(told, PaymentAuthorized)
        assert (life.state.held, life.state.awaited) == (HELD, None)

    def test_that_fails_declines(self) -> None:
        life = Life().order().ask_backer().bank_refuses()
        assert isinstance(life.last(), PaymentDeclined)
        assert life.running is None

    def test_that_is_not_waited_for_any_more_is_given_up(self) -> None:
        life = Life().order().ask_backer().release()
        assert domain.unwanted(life.state)
        assert life.skip().running is Kind.VOID
        life.succeed()
        assert isinstance(life.last(), ActionEnded)
        assert (life.waiting, life.running, life.count(PaymentVoided)) == ({}, None, 0)

    def test_of_a_charge_that_was_passed_just_before_it_was_given_up_is_refunded(self) -> None:
        life = Life().order(PaymentStrategy.IMMEDIATE).ask_backer().release().skip()
        assert life.running is Kind.VOID
        life.answer(NoEffect("it was charged meanwhile"))
        assert (life.running, domain.unwanted(life.state)) == (Kind.FOLLOW, False)
        life.settle()
        assert (life.captures, life.refunds) == ([HELD], [HELD])

    def test_that_is_still_waited_for_after_a_void_without_effect_is_given_up_again(self) -> None:
        life = Life().order().ask_backer().release().skip()
        life.answer(NoEffect("still held"))
        assert life.running is Kind.FOLLOW
        assert life.still_waits().running is Kind.VOID
        assert life.settle().waiting == {}

    @pytest.mark.parametrize("strategy", list(PaymentStrategy))
    def test_works_for_every_strategy(self, strategy: PaymentStrategy) -> None:
        life = Life().order(strategy).ask_backer().succeed()
        assert life.count(PaymentCaptured if strategy is PaymentStrategy.IMMEDIATE else PaymentAuthorized) == 1


class TestSavedCard:
    def test_holds_nothing_and_is_charged_at_the_end(self) -> None:
        life = Life().held(PaymentStrategy.SAVED_CARD)
        assert (life.state.held, life.holds, life.saved) == (0, {}, {"seti_1"})
        life.capture()
        assert life.running is Kind.CHARGE
        assert life.state.running is not None
        assert life.state.running.hold_id == "seti_1"  # off session: not the first charge of a pledge
        assert (life.settle().captures, life.state.captured) == ([HELD], HELD)

    def test_that_is_released_is_forgotten(self) -> None:
        life = Life().held(PaymentStrategy.SAVED_CARD).release().settle()
        assert (life.saved, life.count(PaymentVoided)) == (set(), 1)

    def test_whose_charge_is_declined_is_a_failed_capture(self) -> None:
        life = Life().held(PaymentStrategy.SAVED_CARD).capture().decline("insufficient_funds")
        failed = life.last()
        assert isinstance(failed, PaymentCaptureFailed)
        assert failed.reason == "insufficient_funds"

    def test_whose_owner_is_wanted_at_the_end_is_a_failed_capture(self) -> None:
        life = Life().held(PaymentStrategy.SAVED_CARD).capture().decline("authentication_required")
        assert isinstance(life.last(), PaymentCaptureFailed)

    def test_is_changed_by_saving_the_other_one(self) -> None:
        life = Life().held(PaymentStrategy.SAVED_CARD).change()
        assert life.running is Kind.SAVE
        life.succeed().end(accepted=True).settle()
        assert (life.saved, life.state.hold_id, life.state.minor) == ({"seti_2"}, "seti_2", 7000)


class TestRenewal:
    def test_takes_the_new_hold_before_the_old_is_released(self) -> None:
        life = Life().held().renew()
        assert (life.running, life.holds) == (Kind.AUTHORIZE, {"pi_1": HELD})
        life.succeed()
        renewed = life.events[-2]
        assert isinstance(renewed, PaymentHoldRenewed)
        assert (renewed.previous_hold_id, renewed.hold_id) == ("pi_1", "pi_2")
        assert life.running is Kind.VOID
        assert life.succeed().holds == {"pi_2": HELD}

    def test_uses_the_card_that_the_provider_keeps(self) -> None:
        life = Life().held().renew()
        assert domain.card_of(life.state, life.last()) == "pm_kept"  # type: ignore[arg-type]  # the step that started

    def test_that_fails_puts_the_pledge_at_risk_and_keeps_the_old_hold(self) -> None:
        life = Life().held().renew().decline("insufficient_funds")
        told = life.last()
        assert isinstance(told, PaymentAtRisk)
        assert (told.hold_id, told.lost, life.holds, life.running) == ("pi_1", False, {"pi_1": HELD}, None)

    def test_that_fails_again_is_not_told_again(self) -> None:
        life = Life().held().renew().decline().renew().decline()
        assert (life.count(PaymentAtRisk), life.count(RenewalFailed)) == (1, 1)

    @pytest.mark.parametrize("code", ["lost_card", "authentication_required"])
    def test_that_fails_for_good_later_is_told_once_more(self, code: str) -> None:
        life = Life().held().renew().decline().renew().decline(code, hard=code == "lost_card")
        told = life.last()
        assert isinstance(told, PaymentAtRisk)
        assert (told.hard, told.lost, life.holds) == (True, False, {"pi_1": HELD})
        assert (life.count(PaymentAtRisk), life.state.card_refused, life.renew().running) == (2, True, None)

    def test_of_a_lost_hold_that_fails_for_good_is_told_and_loses_it_once(self) -> None:
        life = Life().held().lapse().doubt().succeed().decline("lost_card", hard=True)
        told = life.last()
        assert isinstance(told, PaymentAtRisk)
        assert (told.hard, told.lost, life.state.lost) == (True, False, True)  # its end is booked already

    def test_recovers(self) -> None:
        life = Life().held().renew().decline().renew().settle()
        assert (life.holds, life.state.at_risk) == ({"pi_2": HELD}, False)

    @pytest.mark.parametrize("code", ["lost_card", "authentication_required"])
    def test_is_not_tried_again_with_a_card_that_must_not_be_asked(self, code: str) -> None:
        life = Life().held().renew().decline(code, hard=code == "lost_card").renew()
        assert (life.running, life.state.card_refused) == (None, True)

    def test_of_a_hold_that_was_lost_seeks_another(self) -> None:
        life = Life().held().lapse().doubt()
        assert life.running is Kind.FOLLOW
        life.succeed()
        told = life.events[-2]
        assert isinstance(told, PaymentAtRisk)
        assert (told.lost, life.state.held, life.running) == (True, 0, Kind.AUTHORIZE)
        assert life.settle().holds == {"pi_2": HELD}
        assert life.count(PaymentVoided) == 0  # a hold that is lost is not given back as well

    def test_that_somebody_doubts_for_nothing_changes_nothing(self) -> None:
        life = Life().held().doubt().settle()
        assert (life.holds, life.state.at_risk, life.state.doubted) == ({"pi_1": HELD}, False, False)

    def test_about_another_hold_is_out_of_date(self) -> None:
        life = Life().held()
        assert domain.want_renewal(life.state, PLEDGE, "pi_0") == ()
        assert domain.doubt(life.state, PLEDGE, "pi_0") == ()

    def test_goes_before_a_capture_that_was_not_sent(self) -> None:
        life = Life().held().capture().renew()
        assert domain.unwanted(life.state)
        life.skip()
        assert life.running is Kind.AUTHORIZE
        assert (life.settle().captures, life.holds) == ([HELD], {})

    def test_waits_while_a_change_is_undecided(self) -> None:
        life = Life().held().change().succeed().renew()
        assert life.running is None
        assert life.end(accepted=False).succeed().running is Kind.AUTHORIZE

    def test_is_done_by_a_change_of_the_card(self) -> None:
        life = Life().held().renew().decline("lost_card", hard=True).change(minor=HELD).succeed()
        life.end(accepted=True).settle()
        assert (life.holds, life.state.at_risk, life.state.card_refused) == ({"pi_2": HELD}, False, False)

    def test_of_a_captured_or_released_pledge_is_not_wanted(self) -> None:
        assert domain.want_renewal(Life().held().capture().settle().state, PLEDGE, "pi_1") == ()
        assert domain.want_renewal(Life().held().release().settle().state, PLEDGE, "pi_1") == ()


class TestCaptureOfALostHold:
    def test_found_out_by_the_capture_charges_the_card_once(self) -> None:
        life = Life().held().lapse().capture().settle()
        assert (life.captures, life.state.captured, life.holds) == ([HELD], HELD, {})
        assert life.count(PaymentAtRisk) == 1

    def test_that_is_declined_is_a_failed_capture(self) -> None:
        life = Life().held().lapse().capture().succeed()
        assert life.running is Kind.CHARGE
        assert isinstance(life.decline().last(), PaymentCaptureFailed)

    def test_of_more_than_was_pledged_stops_for_a_person(self) -> None:
        life = Life().held().lapse().doubt().succeed().capture(HELD + 1).decline()
        assert (life.captures, life.state.stopped) == ([], True)

    def test_with_a_card_that_must_not_be_asked_fails_at_once(self) -> None:
        life = Life().held().renew().decline("lost_card", hard=True).lapse().doubt().settle().capture()
        assert isinstance(life.last(), PaymentCaptureFailed)
        assert life.captures == []

    def test_released_says_so_though_nothing_was_left_to_give_back(self) -> None:
        life = Life().held().renew().decline("lost_card", hard=True).lapse().doubt().settle().release()
        assert (life.count(PaymentVoided), life.running, life.state.ended) == (1, None, True)


class TestRefund:
    def test_of_parts_adds_up(self) -> None:
        life = Life().held().capture().settle().refund(1000).settle().refund(500).settle()
        given = [event for event in life.events if isinstance(event, PaymentRefunded)]
        assert [(event.amount, event.refunded) for event in given] == [
            (euros(1000), euros(1000)),
            (euros(500), euros(1500)),
        ]
        assert domain.refundable(life.state) == HELD - 1500

    def test_asked_for_twice_is_made_once(self) -> None:
        one = uuid4()
        life = Life().held().capture().settle().refund(1000, one).refund(1000, one).settle().refund(1000, one)
        assert life.settle().refunds == [1000]

    def test_of_more_than_is_left_fails_and_moves_nothing(self) -> None:
        life = Life().held().capture().settle().refund(HELD).refund(1).settle()
        assert (life.refunds, life.count(RefundFailed), life.state.stopped) == ([HELD], 1, False)

    def test_that_the_provider_refuses_stops_nothing_else(self) -> None:
        life = Life().held().capture().settle().refund(1000).answer(Declined("charge_disputed"))
        assert life.count(RefundFailed) == 1
        assert life.refund(500).settle().refunds == [500]

    def test_before_the_release_is_not_given_twice(self) -> None:
        life = Life().held().capture().settle().refund(1000).release().settle()
        assert (sum(life.refunds), life.running) == (HELD, None)


class TestSchedule:
    @pytest.mark.parametrize("window", [VISA_OFF_SESSION, timedelta(days=7)])
    def test_every_hold_is_renewed_well_before_it_lapses_and_never_later_than_five_days(
        self, window: timedelta
    ) -> None:
        for _ in range(200):
            due = domain_renewal.first_due(new_id(), NOW, NOW + window, extended=False)
            assert NOW + timedelta(days=2) < due <= min(NOW + LATEST, NOW + window - MARGIN)

    def test_an_extended_hold_is_kept_as_long_as_the_provider_lets_us(self) -> None:
        due = domain_renewal.first_due(new_id(), NOW, NOW + timedelta(days=30), extended=True)
        assert NOW + timedelta(days=29) - JITTER <= due <= NOW + timedelta(days=29)

    def test_holds_taken_together_are_spread_over_hours(self) -> None:
        dues = {domain_renewal.first_due(new_id(), NOW, NOW + VISA_OFF_SESSION, extended=False) for _ in range(2_000)}
        hours = [int((due - min(dues)).total_seconds() // 3600) for due in dues]
        assert max(hours.count(hour) for hour in range(12)) < len(hours) / 6

    def test_a_hold_shorter_than_the_margin_is_not_renewed_in_a_loop(self) -> None:
        due = domain_renewal.first_due(new_id(), NOW, NOW + timedelta(hours=2), extended=False)
        assert NOW + timedelta(minutes=30) <= due <= NOW + timedelta(hours=1)

    def test_where_the_old_hold_is_in_the_way_the_next_try_is_after_it_lapsed(self) -> None:
        lapses = NOW + timedelta(hours=20)
        assert domain_renewal.next_try(NOW, lapses, 1, "insufficient_funds") > lapses
        assert domain_renewal.next_try(NOW, lapses, 1, "processing_error") == NOW + timedelta(hours=1)
        assert domain_renewal.next_try(NOW, NOW, 9, "processing_error") == NOW + timedelta(days=1)


HAPPENINGS: dict[str, Callable[[Life], Life]] = {
    "capture": Life.capture,
    "release": Life.release,
    "renew": Life.renew,
    "doubt": Life.doubt,
    "lapse": Life.lapse,
    "change": Life.change,
    "drop": lambda life: life.end(accepted=False),
    "accept": lambda life: life.end(accepted=True) if _held_for_change(life) else life,
    "refund": lambda life: life.refund(1000),
    "succeed": Life.succeed,
    "decline": Life.decline,
    "decline for good": lambda life: life.decline("lost_card", hard=True),
    "want backer": Life.ask_backer,
    "refuse backer": Life.bank_refuses,
    "skip": Life.skip,
}


def _held_for_change(life: Life) -> bool:
    change = life.state.changes.get(FIRST)
    return change is not None and change.stage is domain_state.Stage.HELD


@given(st.sampled_from(list(PaymentStrategy)), st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=40))
def test_whatever_comes_the_books_of_the_provider_are_ours(strategy: PaymentStrategy, happenings: list[str]) -> None:
    """DOMAIN M5, Y3, Y4: charged once, refunded at most that; no hold lives that is not the current one."""
    life = Life().order(strategy)
    for happening in happenings:
        HAPPENINGS[happening](life)
        p = life.state
        assert len(life.captures) <= 1
        assert sum(life.refunds) == p.refunded <= p.captured == sum(life.captures)
        assert len(life.holds) <= 2  # one, and another outside of a swap never
        assert len(life.steps) == len(set(life.steps))
    life.end(accepted=False).settle()
    p = life.state
    assert life.holds.keys() <= {p.hold_id}
    assert life.waiting == {}
    if p.release_wanted:
        assert (life.holds, life.saved, p.captured) == ({}, life.saved if p.captured else set(), p.refunded)
    assert domain.advance(p) == ()


@given(st.sampled_from(list(PaymentStrategy)), st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=40))
def test_the_stream_alone_gives_the_same_state(strategy: PaymentStrategy, happenings: list[str]) -> None:
    life = Life().order(strategy)
    for happening in happenings:
        HAPPENINGS[happening](life)
    state = domain_fold.NOTHING
    for event in life.events:
        state = domain_fold.evolve(state, type(event).model_validate_json(event.model_dump_json()))
    assert state == life.state
