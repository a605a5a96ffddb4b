"""A pledge's payment, decided without any I/O: given wishes and facts, when the next comes, then what follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.campaign import PaymentStrategy
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
)
from payment import domain, domain_fold
from payment.domain import ABOVE_HOLD, ATTEMPTS_MAX, NO_HOLD
from payment.domain_events import Kind, StepEnded, StepStarted, StepStopped
from payment.gateway import Decided, Declined, Mismatch, NoEffect, Succeeded
from tests.unit.payment.lives import HELD, PLEDGE, Life, euros


class TestOrder:
    def test_a_hold_is_authorized_and_an_immediate_one_charged(self) -> None:
        assert Life().order().running is Kind.AUTHORIZE
        assert Life().order(PaymentStrategy.IMMEDIATE).running is Kind.CHARGE

    def test_twice_is_once(self) -> None:
        assert Life().order().order().count(StepStarted) == 1

    def test_declined_ends_it(self) -> None:
        life = Life().order().answer(Declined("insufficient_funds"))
        assert isinstance(life.last(), PaymentDeclined)
        assert life.running is None


class TestToldAnew:
    """An order to a restored database, which has heard of the release before."""

    def test_what_was_taken_is_looked_for_and_given_back(self) -> None:
        life = Life().release().order(PaymentStrategy.IMMEDIATE, told_anew=True)
        assert life.running is Kind.CHARGE  # which is looked for, never sent: `simulation/test_one_effect.py`
        assert life.settle().refunds == [HELD]

    def test_what_was_held_is_looked_for_and_let_go(self) -> None:
        life = Life().release().order(told_anew=True).settle()
        assert (life.holds, life.running) == ({}, None)

    def test_what_was_never_sent_is_not_wanted(self) -> None:
        assert Life().release().order(told_anew=True).answer(NoEffect("not there")).running is None

    def test_otherwise_nothing_is_asked_of_the_provider(self) -> None:
        assert Life().release().order().steps == []


class TestCapture:
    def test_waits_for_the_hold(self) -> None:
        life = Life().capture().order()
        assert life.running is Kind.AUTHORIZE
        assert life.succeed().running is Kind.CAPTURE

    def test_of_a_declined_order_fails(self) -> None:
        life = Life().order().answer(Declined("lost_card", hard=True)).capture()
        failed = life.last()
        assert isinstance(failed, PaymentCaptureFailed)
        assert failed.reason == NO_HOLD

    def test_of_more_than_is_held_stops_for_a_person(self) -> None:
        life = Life().order().succeed().capture(HELD + 1)
        assert life.last() == StepStopped(pledge_id=PLEDGE, reason=ABOVE_HOLD)
        assert life.release().running is None

    def test_of_less_takes_that(self) -> None:
        life = Life().order().succeed().capture(HELD - 1).succeed()
        assert (life.state.captured, life.state.held) == (HELD - 1, 0)

    def test_a_new_attempt_follows_only_on_proof_of_no_effect(self) -> None:
        life = Life().order().succeed().capture().answer(NoEffect("still held"))
        assert life.state.running is not None
        assert (life.state.running.kind, life.state.running.attempt) == (Kind.CAPTURE, 2)

    def test_attempts_are_limited(self) -> None:
        life = Life().order().succeed().capture()
        for _ in range(ATTEMPTS_MAX):
            life.answer(NoEffect("still held"))
        assert life.last() == StepStopped(pledge_id=PLEDGE, reason="too_many_attempts")


class TestRelease:
    def test_before_the_order_nothing_ever_starts(self) -> None:
        assert Life().release().order().count(StepStarted) == 0

    def test_voids_a_hold_and_refunds_a_charge(self) -> None:
        assert Life().order().succeed().release().running is Kind.VOID
        assert Life().order(PaymentStrategy.IMMEDIATE).succeed().release().running is Kind.REFUND

    def test_waits_for_what_is_under_way_and_then_undoes_it(self) -> None:
        assert Life().order().release().succeed().running is Kind.VOID
        assert Life().order().succeed().capture().release().succeed().running is Kind.REFUND

    def test_a_step_that_was_not_sent_is_skipped(self) -> None:
        life = Life().order().release()
        assert domain.unwanted(life.state)
        life.record(domain.skip(life.state))
        assert life.last() == StepEnded(pledge_id=PLEDGE, reason="skipped")
        assert life.running is None

    def test_wins_over_a_capture_that_comes_later(self) -> None:
        assert Life().order().succeed().release().capture().succeed().state.captured == 0

    @pytest.mark.parametrize("outcome", [Declined("charge_disputed"), Mismatch("another amount")])
    def test_one_that_the_provider_refuses_stops_for_a_person(self, outcome: Decided) -> None:
        life = Life().order().succeed().release().answer(outcome)
        assert life.state.stopped
        assert life.running is None


WISHES = ("order", "capture", "release")
OUTCOMES = (
    Succeeded("pi_1", fee=euros(100)),
    Declined("insufficient_funds"),
    Declined("lost_card", hard=True),
    NoEffect("still held"),
    Mismatch("another amount"),
)
STRATEGIES = st.sampled_from((PaymentStrategy.HOLD, PaymentStrategy.IMMEDIATE))


def wish(life: Life, what: str, strategy: PaymentStrategy) -> None:
    match what:
        case "order":
            life.order(strategy)
        case "capture":
            life.capture()
        case "release":
            life.release()
        case _:
            raise AssertionError(what)


@given(STRATEGIES, st.lists(st.sampled_from((*WISHES, *OUTCOMES)), max_size=30))
def test_whatever_comes_money_is_bounded_and_taken_once(
    strategy: PaymentStrategy, happenings: list[str | Decided]
) -> None:
    """DOMAIN M5: refunded ≤ captured ≤ held, one step at a time, no attempt twice."""
    life = Life()
    for happening in happenings:
        if isinstance(happening, str):
            wish(life, happening, strategy)
        else:
            life.answer(happening)
        p = life.state
        assert 0 <= p.refunded <= p.captured <= p.authorized <= HELD
        assert p.held + p.captured <= HELD
        assert len(life.steps) == len(set(life.steps))
        assert all(life.count(kind) <= 1 for kind in FACTS)


FACTS = (PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentVoided, PaymentRefunded)


@given(STRATEGIES, st.data(), st.sampled_from((("order", "capture"), ("order", "release"))))
def test_any_order_and_doubling_of_wishes_ends_the_same(
    strategy: PaymentStrategy, data: st.DataObject, wishes: tuple[str, ...]
) -> None:
    """The provider answers at any moment between the wishes; in the end all of the money is where it belongs."""
    life = Life()
    for what in data.draw(st.permutations(wishes * 2)):
        wish(life, what, strategy)
        if data.draw(st.booleans()):
            life.succeed()
    while life.running:
        life.succeed()
    p = life.state
    kept = HELD if "capture" in wishes else 0
    assert (p.held, p.captured - p.refunded, p.stopped) == (0, kept, False)
    assert domain.advance(p) == ()


@given(STRATEGIES, st.lists(st.sampled_from((*WISHES, *OUTCOMES)), max_size=30))
def test_the_stream_alone_gives_the_same_state(strategy: PaymentStrategy, happenings: list[str | Decided]) -> None:
    life = Life()
    for happening in happenings:
        if isinstance(happening, str):
            wish(life, happening, strategy)
        else:
            life.answer(happening)
    state = domain_fold.NOTHING
    for event in life.events:
        state = domain_fold.evolve(state, type(event).model_validate_json(event.model_dump_json()))
    assert state == life.state
