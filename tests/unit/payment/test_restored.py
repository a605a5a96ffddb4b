"""What a restored database is told anew: the provider may have done it before, and more since (DOMAIN Y2)."""

from contracts.ids import ChangeId
from contracts.payment import PaymentCaptured, PaymentDeclined
from payment import domain, domain_restored
from payment.domain_events import CaptureOrdered, ChangeOrdered, Kind, StepEnded, StepStopped
from payment.gateway import Declined, NoEffect, Succeeded
from tests.unit.payment.lives import FIRST, HELD, PLEDGE, WANTED, Life, euros


def capture(life: Life, minor: int) -> Life:
    ordered = CaptureOrdered(pledge_id=PLEDGE, amount=euros(minor), may_be_forgotten=True)
    return life.record(domain.want_capture(life.state, ordered))


def change(life: Life, change_id: ChangeId = FIRST, minor: int = WANTED) -> Life:
    ordered = ChangeOrdered(
        pledge_id=PLEDGE, change_id=change_id, amount=euros(minor), payment_method="pm_new", version=3, told_anew=True
    )
    return life.record(domain.order_change(life.state, ordered))


def looks(life: Life) -> bool:
    """Whether the step that runs would be looked for and not sent."""
    assert life.state.running is not None
    return domain_restored.may_be_there(life.state, life.state.running)


def captured(hold_id: str, minor: int) -> Succeeded:
    return Succeeded(hold_id, fee=euros(50), captured=euros(minor))


class TestCapture:
    def test_is_looked_for_and_then_sent(self) -> None:
        life = capture(Life().order(told_anew=True).succeed(), HELD)
        assert (life.running, looks(life)) == (Kind.CAPTURE, True)
        life.answer(NoEffect("not there"))
        assert (life.steps[-1], looks(life)) == ((Kind.CAPTURE, 2, None), False)
        assert life.succeed().captures == [HELD]

    def test_that_is_found_is_recorded_and_never_made_again(self) -> None:
        life = capture(Life().order(told_anew=True).succeed(), HELD).answer(captured("pi_1", HELD))
        told = life.last()
        assert isinstance(told, PaymentCaptured)
        assert (told.amount, told.provider_fee, told.hold_id) == (euros(HELD), euros(50), "pi_1")
        assert (life.state.captured, life.running) == (HELD, None)

    def test_is_found_with_the_hold_that_it_was_taken_from(self) -> None:
        life = capture(Life(), HELD).order(told_anew=True).answer(captured("pi_1", HELD))
        assert (life.state.captured, life.count(PaymentCaptured), life.running) == (HELD, 1, None)

    def test_from_the_hold_of_a_forgotten_change_lets_go_of_the_first_one(self) -> None:
        life = capture(Life().order().succeed(), WANTED).answer(captured("pi_of_change", WANTED))
        assert (life.running, life.state.captured) == (Kind.VOID, WANTED)
        life.succeed()
        assert life.holds == {}
        change(life).end(accepted=True)
        assert looks(life)
        life.answer(captured("pi_of_change", WANTED))
        assert isinstance(life.last(), StepEnded)
        assert (life.count(PaymentCaptured), life.running) == (1, None)

    def test_from_yet_another_hold_is_for_a_person(self) -> None:
        life = change(capture(Life().order().succeed(), HELD).answer(captured("pi_1", HELD)))
        life.answer(captured("pi_of_change", WANTED))
        assert life.last() == StepStopped(pledge_id=PLEDGE, reason="captured_twice")

    def test_of_more_than_is_held_waits_for_the_change_that_raised_it(self) -> None:
        life = capture(Life().order().succeed(), WANTED)
        assert looks(life)
        assert life.answer(NoEffect("not there")).running is None
        change(life).end(accepted=True).settle()
        assert (life.captures, life.holds) == ([WANTED], {})

    def test_of_a_change_whose_backer_was_at_the_bank_ends_the_change(self) -> None:
        life = Life().order().succeed().change().ask_backer()
        assert life.state.running is not None
        life.answer(captured(life.state.running.hold_id, WANTED))
        assert (life.running, life.state.captured) == (Kind.VOID, WANTED)
        life.succeed()
        assert (life.running, life.holds) == (None, {})


class TestChange:
    def test_that_was_dropped_is_looked_for_and_let_go(self) -> None:
        """Heard of its end first. Otherwise it is under way already, and is not skipped (`handlers_steps.py`)."""
        life = change(Life().order(told_anew=True).end(accepted=False))
        assert (life.running, looks(life)) == (Kind.AUTHORIZE, False)  # the pledge's own, which has the customer
        life.succeed()
        assert (life.steps[-1], looks(life)) == ((Kind.AUTHORIZE, 1, FIRST), True)
        assert life.settle().holds == {"pi_1": HELD}

    def test_that_is_dropped_while_it_is_asked_for_may_be_there(self) -> None:
        life = change(Life().order().succeed())
        assert not looks(life)
        assert looks(life.end(accepted=False))

    def test_of_a_pledge_that_is_released_is_looked_for_and_let_go(self) -> None:
        life = change(Life().order(told_anew=True).succeed().release())
        assert life.running is Kind.VOID
        assert (life.succeed().running, looks(life)) == (Kind.AUTHORIZE, True)
        assert life.settle().holds == {}

    def test_that_is_not_there_is_not_asked_for_again(self) -> None:
        life = change(Life().order().succeed().end(accepted=False)).answer(NoEffect("not there"))
        assert (life.running, life.holds) == (None, {"pi_1": HELD})

    def test_that_was_declined_is_over(self) -> None:
        life = change(Life().order().succeed().end(accepted=False)).answer(Declined("lost_card", hard=True))
        assert (life.running, life.count(PaymentDeclined)) == (None, 0)

    def test_that_was_dropped_and_is_not_told_anew_takes_nothing(self) -> None:
        assert Life().order().succeed().end(accepted=False).change().running is None
