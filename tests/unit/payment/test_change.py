"""A change of a pledge as its payment sees it: a second hold, and one of the two in the end (DOMAIN P6, Y3, M5)."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import ChangeId
from contracts.payment import (
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentVoided,
)
from payment import domain, domain_fold
from payment.domain_events import ChangeEnded, Kind, StepEnded
from payment.gateway import Decided, Declined, NoEffect, Succeeded
from tests.unit.payment.lives import FIRST, HELD, PLEDGE, SECOND, WANTED, Life, euros


class TestChange:
    def test_takes_a_hold_of_its_own_while_the_old_one_stands(self) -> None:
        life = Life().held().change()
        assert (life.running, life.state.hold_id) == (Kind.AUTHORIZE, "pi_1")
        life.succeed()
        told = life.last()
        assert isinstance(told, PaymentChangeAuthorized)
        assert (told.change_id, told.hold_id, told.amount) == (FIRST, "pi_2", euros(WANTED))
        assert (life.state.hold_id, life.state.held, life.running) == ("pi_1", HELD, None)

    def test_that_the_pledge_takes_up_makes_its_hold_current_and_releases_the_old(self) -> None:
        life = Life().held().change().succeed().end(accepted=True)
        assert (life.state.hold_id, life.state.held, life.running) == ("pi_2", WANTED, Kind.VOID)
        life.succeed()
        told = life.last()
        assert isinstance(told, PaymentVoided)
        assert (told.hold_id, told.amount, life.state.ended) == ("pi_1", euros(HELD), False)
        assert life.holds == {"pi_2": WANTED}

    @pytest.mark.parametrize("outcome", [Declined("canceled"), Succeeded("pi_1")], ids=["gone", "still held"])
    def test_that_is_taken_up_while_its_old_hold_is_looked_at_is_not_touched_by_what_is_seen(
        self, outcome: Decided
    ) -> None:
        """Found by seed 458: the pledge was declined, and its good hold left to lapse."""
        life = Life().held().change().succeed().doubt()
        assert life.running is Kind.FOLLOW
        life.end(accepted=True).answer(outcome)
        assert (life.state.hold_id, life.state.held, life.state.ended) == ("pi_2", WANTED, False)
        assert (life.count(PaymentDeclined), life.count(PaymentAuthorized), life.running) == (0, 1, Kind.VOID)
        life.succeed().capture(WANTED).succeed()
        assert life.state.captured == WANTED

    def test_that_is_dropped_releases_its_own_hold_and_keeps_the_old(self) -> None:
        life = Life().held().change().succeed().end(accepted=False).succeed()
        assert life.holds == {"pi_1": HELD}
        assert (life.state.hold_id, life.state.held) == ("pi_1", HELD)

    def test_that_the_bank_declines_leaves_the_old_hold(self) -> None:
        life = Life().held().change().answer(Declined("insufficient_funds"))
        assert isinstance(life.last(), PaymentChangeDeclined)
        assert (life.running, life.holds, life.state.ended) == (None, {"pi_1": HELD}, False)

    def test_that_the_bank_wants_the_backer_for_waits_and_is_taken_when_they_pass(self) -> None:
        life = Life().held().change().ask_backer()
        told = next(event for event in life.events if isinstance(event, PaymentActionRequired))
        assert (told.change_id, life.running) == (FIRST, Kind.FOLLOW)
        assert isinstance(life.succeed().last(), PaymentChangeAuthorized)

    def test_that_the_backer_does_not_pass_leaves_the_old_hold(self) -> None:
        life = Life().held().change().ask_backer().bank_refuses()
        assert isinstance(life.last(), PaymentChangeDeclined)
        assert (life.running, life.holds) == (None, {"pi_1": HELD})

    def test_dropped_while_the_bank_waits_gives_up_what_waits(self) -> None:
        life = Life().held().change().ask_backer().end(accepted=False).skip()
        assert life.running is Kind.VOID
        assert (life.succeed().running, life.waiting, life.holds) == (None, {}, {"pi_1": HELD})

    def test_that_the_backer_passes_after_its_end_is_held_for_a_moment_and_released(self) -> None:
        life = Life().held().change().ask_backer().end(accepted=False).succeed()
        assert (life.booked, life.running) == ({"pi_1": HELD, "pi_2": WANTED}, Kind.VOID)
        assert isinstance(life.settle().last(), PaymentVoided)
        assert life.booked == life.holds == {"pi_1": HELD}

    def test_asked_for_twice_is_taken_once(self) -> None:
        life = Life().held().change().change().succeed().change()
        assert len(life.holds) == 2

    def test_heard_of_after_its_end_takes_nothing(self) -> None:
        life = Life().held().end(accepted=False).change()
        assert (life.running, life.holds) == (None, {"pi_1": HELD})

    def test_dropped_while_its_hold_is_under_way_releases_it_when_it_comes(self) -> None:
        life = Life().held().change().end(accepted=False)
        assert life.running is Kind.AUTHORIZE
        assert domain.unwanted(life.state)
        assert life.succeed().running is Kind.VOID
        assert life.succeed().holds == {"pi_1": HELD}

    def test_dropped_before_it_was_sent_is_not_sent(self) -> None:
        life = Life().held().change().end(accepted=False)
        life.record(domain.skip(life.state))
        assert life.last() == StepEnded(pledge_id=PLEDGE, reason="skipped")
        assert life.running is None

    def test_that_moved_no_money_takes_none(self) -> None:
        life = Life().held().end(accepted=True)
        assert (life.running, life.holds) == (None, {"pi_1": HELD})
        assert life.capture().running is Kind.CAPTURE

    @pytest.mark.parametrize("first", [Life.change, lambda life: life.end(accepted=True)])
    def test_told_anew_to_a_restored_database_has_its_hold_taken_again_and_made_current(
        self, first: Callable[[Life], Life]
    ) -> None:
        """Asked for and taken up, in either order, before its hold is known."""
        life = first(Life().held()).change().end(accepted=True).capture(WANTED)
        assert life.running is Kind.AUTHORIZE
        assert life.end(accepted=True).settle().captures == [WANTED]
        assert life.booked == life.holds == {}

    def test_told_anew_whose_first_hold_was_released_for_it_takes_that_for_no_refusal(self) -> None:
        life = Life().order().change().end(accepted=True).answer(Declined("canceled"))
        assert (life.running, life.count(PaymentDeclined)) == (Kind.AUTHORIZE, 0)
        assert life.settle().booked == life.holds == {"pi_1": WANTED}

    def test_told_anew_has_the_key_that_it_had_before(self) -> None:
        """Whatever has become of the changes before it, and of the pledge's own hold."""
        before = Life().held().change().decline().end(accepted=False).change(SECOND).succeed()
        told_anew = Life().order().change().end(accepted=False).change(SECOND).succeed()
        assert before.steps[-1] == told_anew.steps[-1] == (Kind.AUTHORIZE, 1, SECOND)

    def test_told_anew_are_taken_in_the_order_in_which_they_were_asked_for(self) -> None:
        life = Life().order().change(SECOND, HELD, 5).end(SECOND, accepted=True).change(version=3).end(accepted=True)
        assert life.succeed().steps[-1] == (Kind.AUTHORIZE, 1, FIRST)
        assert life.settle().booked == life.holds == {"pi_3": HELD}

    def test_told_anew_after_a_later_one_was_taken_up_is_history(self) -> None:
        life = Life().held().change(SECOND, HELD, 5).end(SECOND, accepted=True).settle()
        life.change(version=3).end(accepted=True)
        assert life.settle().booked == life.holds == {"pi_2": HELD}
        assert life.capture(HELD).settle().captures == [HELD]

    def test_told_anew_that_the_bank_wants_the_backer_for_waits_for_them(self) -> None:
        life = Life().held().change().end(accepted=True).ask_backer()
        assert life.running is Kind.FOLLOW
        assert life.settle().booked == life.holds == {"pi_2": WANTED}

    def test_proof_of_no_effect_is_followed_by_another_attempt(self) -> None:
        life = Life().held().change().answer(NoEffect("never came"))
        assert life.steps[-1] == (Kind.AUTHORIZE, 2, FIRST)

    def test_of_a_pledge_that_was_captured_is_declined(self) -> None:
        life = Life().held().capture().succeed().change()
        told = life.last()
        assert isinstance(told, PaymentChangeDeclined)
        assert (told.reason, life.captures) == ("no_hold", [HELD])


class TestRelease:
    def test_while_a_change_is_undecided_releases_both_holds(self) -> None:
        life = Life().held().change().succeed().release()
        while life.running:
            life.succeed()
        assert life.holds == {}
        assert life.end(accepted=False).running is None

    def test_leaves_open_which_of_the_two_was_current_and_calls_neither_spare(self) -> None:
        """The pledge may have taken the change up already: one of the two is its current hold, and ends it."""
        life = Life().held().change().succeed().release().succeed().succeed()
        assert [event.spare for event in life.events if isinstance(event, PaymentVoided)] == [False, False]

    def test_of_a_pledge_whose_change_is_heard_of_later_takes_nothing(self) -> None:
        life = Life().held().release().succeed().change()
        assert (life.running, life.holds) == (None, {})


class TestCapture:
    def test_waits_until_the_change_is_decided_and_takes_the_hold_that_is_current_then(self) -> None:
        life = Life().held().change().succeed().capture(WANTED)
        assert life.running is None
        life.end(accepted=True)
        while life.running:
            life.succeed()
        assert (life.captures, life.holds) == ([WANTED], {})

    def test_after_a_dropped_change_takes_the_old_hold(self) -> None:
        life = Life().held().change().capture().succeed()
        life.end(accepted=False)
        while life.running:
            life.succeed()
        assert (life.captures, life.holds) == ([HELD], {})


HAPPENINGS: dict[str, Callable[[Life], Life]] = {
    "order": Life.order,
    "change": Life.change,
    "other change": lambda life: life.change(SECOND, HELD - 1),
    "accept": lambda life: life.end(accepted=True) if holds(life, FIRST) else life,
    "drop": lambda life: life if accepted(life, FIRST) else life.end(accepted=False),
    "drop other": lambda life: life.end(SECOND, accepted=False),
    "capture": Life.capture,
    "release": Life.release,
    "succeed": Life.succeed,
    "decline": Life.decline,
    "wants backer": Life.ask_backer,
    "waits on": Life.still_waits,
    "no effect": lambda life: life.answer(NoEffect("never came")) if life.running is not Kind.FOLLOW else life,
    "not sent": Life.skip,
}


def holds(life: Life, change_id: ChangeId) -> bool:
    """The pledge service accepts only what it was told is held, and what it has not dropped."""
    told = any(isinstance(e, PaymentChangeAuthorized) and e.change_id == change_id for e in life.events)
    return told and not any(isinstance(e, ChangeEnded) and e.change_id == change_id for e in life.events)


def accepted(life: Life, change_id: ChangeId) -> bool:
    return any(isinstance(e, ChangeEnded) and e.change_id == change_id and e.accepted for e in life.events)


@given(st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=30))
def test_whatever_comes_one_hold_is_left_at_most_and_money_is_taken_once(happenings: list[str]) -> None:
    """DOMAIN M5, Y3: when all is decided, every hold but the current one is released, and what is held is known."""
    life = Life()
    for happening in happenings:
        HAPPENINGS[happening](life)
        assert len(life.captures) <= 1
    life.order()
    for change_id in (FIRST, SECOND):
        if not accepted(life, change_id):
            life.end(change_id, accepted=False)
    state = life.settle().state
    assert life.holds == ({state.hold_id: state.held} if state.held else {})
    assert life.waiting == {}
    assert life.booked == life.holds
    if state.release_wanted or life.captures:
        assert life.holds == {}
    assert domain.advance(state) == ()


@given(st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=30))
def test_the_stream_alone_gives_the_same_state(happenings: list[str]) -> None:
    life = Life()
    for happening in happenings:
        HAPPENINGS[happening](life)
    state = domain_fold.NOTHING
    for event in life.events:
        state = domain_fold.evolve(state, type(event).model_validate_json(event.model_dump_json()))
    assert state == life.state
