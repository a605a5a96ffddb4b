"""A change of a pledge as its payment sees it: a second hold, and one of the two in the end (DOMAIN P6, Y3, M5)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PledgeId, new_id
from contracts.money import Money
from contracts.payment import PaymentChangeAuthorized, PaymentChangeDeclined, PaymentVoided
from payment import domain, domain_state
from payment.domain_events import ChangeEnded, ChangeOrdered, Kind, PaymentOrdered, StepEnded, StepStarted
from payment.domain_state import Payment
from payment.gateway import ActionRequired, Decided, Declined, NoEffect, Succeeded

PLEDGE = PledgeId(new_id())
HELD = 5000
WANTED = 7000
FIRST, SECOND = ChangeId(new_id()), ChangeId(new_id())


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


@dataclass
class Life:
    """A payment's stream beside what the provider has of it: live holds by id, and captures."""

    events: list[Event] = field(default_factory=list)
    state: Payment = domain_state.NOTHING
    holds: dict[str, int] = field(default_factory=dict)
    captures: list[int] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def record(self, events: Iterable[Event]) -> "Life":
        for event in events:
            self.events.append(event)
            self.state = domain_state.evolve(self.state, event)
        while following := domain.advance(self.state):
            self.record(following)
        return self

    def order(self) -> "Life":
        ordered = PaymentOrdered(
            pledge_id=PLEDGE,
            campaign_id=CampaignId(new_id()),
            amount=euros(HELD),
            payment_method="pm_old",
            strategy=PaymentStrategy.HOLD,
        )
        return self.record(domain.order(self.state, ordered))

    def change(self, change_id: ChangeId = FIRST, minor: int = WANTED) -> "Life":
        wish = ChangeOrdered(pledge_id=PLEDGE, change_id=change_id, amount=euros(minor), payment_method="pm_new")
        return self.record(domain.order_change(self.state, wish))

    def end(self, change_id: ChangeId = FIRST, *, accepted: bool) -> "Life":
        ended = ChangeEnded(pledge_id=PLEDGE, change_id=change_id, accepted=accepted)
        return self.record(domain.end_change(self.state, ended))

    def capture(self, minor: int = HELD) -> "Life":
        return self.record(domain.want_capture(self.state, PLEDGE, euros(minor)))

    def release(self) -> "Life":
        return self.record(domain.want_release(self.state, PLEDGE, "backer"))

    def answer(self, outcome: Decided) -> "Life":
        return self.record(domain.conclude(self.state, outcome))

    def succeed(self) -> "Life":
        """The provider does what is asked, and knows of nothing that it has not done."""
        step = self.state.running
        if step is None:
            return self
        started = [event for event in self.events if isinstance(event, StepStarted)][-1]
        about = domain.counterpart(self.state, started)
        reference = about
        match step.kind:
            case Kind.AUTHORIZE:
                assert about == ("pm_old" if step.change_id is None else "pm_new")
                reference = f"pi_{next(self.numbers)}"
                self.holds[reference] = step.amount.amount
            case Kind.VOID:
                assert self.holds.pop(about) == step.amount.amount
            case Kind.CAPTURE:
                assert step.amount.amount <= self.holds.pop(about)
                self.captures.append(step.amount.amount)
            case _:
                pass
        return self.answer(Succeeded(reference, fee=euros(1)))

    def held(self) -> "Life":
        return self.order().succeed()

    @property
    def running(self) -> Kind | None:
        return self.state.running.kind if self.state.running else None

    def last(self) -> Event:
        return self.events[-1]


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

    def test_that_is_dropped_releases_its_own_hold_and_keeps_the_old(self) -> None:
        life = Life().held().change().succeed().end(accepted=False).succeed()
        assert life.holds == {"pi_1": HELD}
        assert (life.state.hold_id, life.state.held) == ("pi_1", HELD)

    @pytest.mark.parametrize("outcome", [Declined("insufficient_funds"), ActionRequired("pi_9")])
    def test_that_the_bank_declines_leaves_the_old_hold(self, outcome: Decided) -> None:
        life = Life().held().change().answer(outcome)
        assert isinstance(life.last(), PaymentChangeDeclined)
        assert (life.running, life.holds, life.state.ended) == (None, {"pi_1": HELD}, False)

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

    def test_that_moved_no_money_is_none_of_its_business(self) -> None:
        life = Life().held()
        before = life.state
        assert life.end(accepted=True).state == before

    def test_proof_of_no_effect_is_followed_by_another_attempt(self) -> None:
        life = Life().held().change().answer(NoEffect("never came"))
        assert life.state.running is not None
        assert (life.state.running.attempt, life.state.running.change_id) == (3, FIRST)

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
    "decline": lambda life: life.answer(Declined("card_declined")) if life.running is Kind.AUTHORIZE else life,
    "no effect": lambda life: life.answer(NoEffect("never came")),
    "not sent": lambda life: life.record(domain.skip(life.state)) if domain.unwanted(life.state) else life,
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
    while life.running:
        life.succeed()
    state = life.state
    assert life.holds == ({state.hold_id: state.held} if state.held else {})
    if state.release_wanted or life.captures:
        assert life.holds == {}
    assert domain.advance(state) == ()


@given(st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=30))
def test_the_stream_alone_gives_the_same_state(happenings: list[str]) -> None:
    life = Life()
    for happening in happenings:
        HAPPENINGS[happening](life)
    state = domain_state.NOTHING
    for event in life.events:
        state = domain_state.evolve(state, type(event).model_validate_json(event.model_dump_json()))
    assert state == life.state
