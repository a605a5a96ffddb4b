"""Which hold is current, and whether it is at risk, in whatever order payment's facts come in (DOMAIN Y3, Y4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts.ids import ChangeId
from contracts.payment import (
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentChangeAuthorized,
    PaymentFact,
    PaymentHoldRenewed,
    PaymentVoided,
)
from contracts.pledge import (
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChangeRequested,
    PledgeFact,
    PledgeHoldRenewed,
    PledgeVoided,
)
from pledge.domain import HELD, Pledge, Status, evolve
from pledge.domain_change import change as decide_change
from pledge.domain_change import wanted
from pledge.domain_hold import follow_hold
from pledge.domain_payment import follow_payment
from tests.unit.pledge.stories import CAMPAIGN, DEADLINE, NOON, PLEDGE, TICK, book, change, euros, pledge

SOON = NOON + timedelta(days=5)
CHANGE = ChangeId(change().change_id)


def said(kind: type[PaymentFact], **more: Any) -> Any:
    return kind(pledge_id=PLEDGE, campaign_id=CAMPAIGN, amount=euros(2500), **more)


def authorized(hold_id: str) -> PaymentFact:
    return PaymentAuthorized(**vars(said(PaymentAuthorized, hold_id=hold_id, capture_before=NOON)))


def renewed(previous: str, hold_id: str) -> Any:
    return said(PaymentHoldRenewed, previous_hold_id=previous, hold_id=hold_id, capture_before=SOON)


def at_risk(hold_id: str, *, lost: bool = False) -> Any:
    return said(PaymentAtRisk, hold_id=hold_id, reason="hold_lost" if lost else "do_not_honor", lost=lost)


def after(state: Pledge, events: Sequence[PledgeFact]) -> Pledge:
    for event in events:
        state = evolve(state, event)
    return state


def held(hold_id: str = "pi_1") -> Pledge:
    return pledge(PledgeAuthorized, hold_id=hold_id)


class TestRenewal:
    def test_takes_the_place_of_the_current_hold(self) -> None:
        [event] = follow_hold(held(), [authorized("pi_1"), renewed("pi_1", "pi_2")])
        assert isinstance(event, PledgeHoldRenewed)
        assert (event.previous_hold_id, event.hold_id, event.capture_before) == ("pi_1", "pi_2", SOON)
        state = evolve(held(), event)
        assert (state.hold_id, state.capture_before, state.status) == ("pi_2", SOON, Status.AUTHORIZED)

    def test_ends_the_risk(self) -> None:
        heard = [authorized("pi_1"), at_risk("pi_1", lost=True)]
        state = after(held(), follow_hold(held(), heard))
        assert (state.status, state.hold_lost) == (Status.AT_RISK, True)
        state = after(state, follow_hold(state, [*heard, renewed("pi_1", "pi_2")]))
        assert (state.status, state.hold_lost, state.hold_id) == (Status.AUTHORIZED, False, "pi_2")

    def test_that_has_been_overtaken_by_the_next_is_of_no_account(self) -> None:
        first, second = renewed("pi_1", "pi_2"), renewed("pi_2", "pi_3")
        state = after(held(), follow_hold(held(), [authorized("pi_1"), second]))
        assert state.hold_id == "pi_3"
        assert follow_hold(state, [authorized("pi_1"), first, second]) == ()

    def test_of_a_hold_that_a_change_has_replaced_is_of_no_account(self) -> None:
        changed = said(PaymentChangeAuthorized, change_id=CHANGE, hold_id="pi_c")
        stray = [renewed("pi_1", "pi_2"), renewed("pi_2", "pi_3")]
        assert follow_hold(held("pi_c"), [authorized("pi_1"), changed, *stray]) == ()

    def test_heard_of_before_the_authorization_says_that_there_is_a_hold(self) -> None:
        [event] = follow_hold(pledge(), [renewed("pi_1", "pi_2")])
        assert (type(event), event.subject) == (PledgeAuthorized, PLEDGE)
        assert follow_payment(evolve(pledge(), event), authorized("pi_1")) == ()

    def test_leaves_an_undecided_change_alone(self) -> None:
        waiting = _changing(held())
        state = after(waiting, follow_hold(waiting, [authorized("pi_1"), renewed("pi_1", "pi_2")]))
        assert (state.change, state.hold_id) == (waiting.change, "pi_2")


class TestRisk:
    def test_is_told_once_and_once_more_when_the_hold_is_lost(self) -> None:
        heard: list[PaymentFact] = [authorized("pi_1")]
        state, told = held(), []
        for fact in (at_risk("pi_1"), at_risk("pi_1"), at_risk("pi_1", lost=True), at_risk("pi_1", lost=True)):
            heard.append(fact)
            events = follow_hold(state, heard)
            told += [event.lost for event in events if isinstance(event, PledgeAtRisk)]
            state = after(state, events)
        assert (told, state.status) == ([False, True], Status.AT_RISK)

    def test_of_an_old_hold_is_none(self) -> None:
        heard = [authorized("pi_1"), at_risk("pi_1"), renewed("pi_1", "pi_2")]
        assert follow_hold(held("pi_2"), heard) == ()

    def test_of_a_hold_that_is_not_known_yet_waits_for_its_renewal(self) -> None:
        risk = at_risk("pi_2", lost=True)
        assert follow_hold(held(), [authorized("pi_1"), risk]) == ()
        events = follow_hold(held(), [authorized("pi_1"), renewed("pi_1", "pi_2"), risk])
        renewal, told = events
        assert isinstance(renewal, PledgeHoldRenewed)
        assert isinstance(told, PledgeAtRisk)

    @pytest.mark.parametrize("end", [PledgeCaptured, PledgeCaptureFailed, PledgeCancelled, PledgeVoided])
    def test_of_what_is_captured_or_over_says_nothing(self, end: type[PledgeFact]) -> None:
        state = pledge(PledgeAuthorized, end)
        assert follow_hold(state, [authorized("pi_1"), at_risk("pi_1"), renewed("pi_1", "pi_2")]) == ()

    def test_is_mended_by_another_card_for_the_same_amount_until_the_deadline(self) -> None:
        state = after(held(), follow_hold(held(), [authorized("pi_1"), at_risk("pi_1", lost=True)]))
        waiting = _changing(state, DEADLINE - TICK)
        assert (waiting.status, waiting.change is not None) == (Status.AT_RISK, True)
        taken = said(PaymentChangeAuthorized, change_id=CHANGE, hold_id="pi_c", capture_before=SOON)
        mended = after(waiting, follow_payment(waiting, taken))
        assert (mended.status, mended.hold_lost, mended.hold_id) == (Status.AUTHORIZED, False, "pi_c")
        late = [authorized("pi_1"), at_risk("pi_1", lost=True), taken]
        assert follow_hold(mended, late) == (), "the old hold is nobody's any more"


class TestEnd:
    def test_of_a_hold_that_was_renewed_ends_nothing_even_if_it_overtakes_the_renewal(self) -> None:
        spare = said(PaymentVoided, hold_id="pi_1", spare=True)
        assert follow_payment(held(), spare) == ()
        assert follow_payment(pledge(), spare) == ()

    def test_of_the_current_hold_that_overtakes_its_renewal_is_heard_with_it(self) -> None:
        end = said(PaymentVoided, hold_id="pi_2")
        assert follow_payment(held(), end) == ()
        events = follow_hold(held(), [authorized("pi_1"), renewed("pi_1", "pi_2"), end])
        assert [type(event) for event in events] == [PledgeHoldRenewed, PledgeVoided]


def _changing(state: Pledge, now: Any = NOON) -> Pledge:
    to = wanted(change(payment_method="pm_other"), state, now)
    events = decide_change(state, to, now, book=book(), tier=None, pool=None)
    assert [type(event) for event in events] == [PledgeChangeRequested]
    return after(state, events)


@dataclass
class Payment:
    """Payment's own side of the story: what it says of the hold, one fact after the other."""

    facts: list[PaymentFact] = field(default_factory=list)
    hold_id: str = "pi_1"
    risk: bool = False
    lost: bool = False

    def say(self, what: str) -> None:
        match what:
            case "renew":
                before, self.hold_id = self.hold_id, f"pi_{len(self.facts) + 2}"
                self.facts += [renewed(before, self.hold_id), said(PaymentVoided, hold_id=before, spare=True)]
                self.risk = self.lost = False
            case "change":
                self.hold_id = "pi_c"
                self.facts.append(said(PaymentChangeAuthorized, change_id=CHANGE, hold_id="pi_c"))
                self.risk = self.lost = False
            case _:
                self.risk, self.lost = True, self.lost or what == "lose"
                self.facts.append(at_risk(self.hold_id, lost=self.lost))

    def end(self, how: str) -> None:
        if how == "void":
            self.facts.append(said(PaymentVoided, hold_id=self.hold_id))
        elif how == "capture":
            self.facts.append(said(PaymentCaptured, hold_id=self.hold_id, provider_fee=euros(1)))


def hear(state: Pledge, payment: Payment, known: set[int], order: Sequence[int]) -> Pledge:
    """The pledge after these of payment's facts came in, each twice. `known`: those that had come in already."""
    for index in order:
        known.add(index)
        fact = payment.facts[index]
        heard = [payment.facts[one] for one in sorted(known)]
        for _ in range(2):
            by_itself = not isinstance(fact, PaymentHoldRenewed | PaymentAtRisk)
            state = after(state, follow_payment(state, fact) if by_itself else follow_hold(state, heard))
    return state


STEPS = st.lists(st.sampled_from(("renew", "risk", "lose")), max_size=5)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), steps=STEPS, later=STEPS, changes=st.booleans(), end=st.sampled_from(("", "void", "capture")))
def test_in_any_order_the_pledge_ends_as_payment_says(
    data: st.DataObject, steps: list[str], later: list[str], changes: bool, end: str
) -> None:
    """A change's hold is heard of before what payment does with it, since that waits for the pledge's word."""
    payment = Payment([authorized("pi_1")])
    for step in steps:
        payment.say(step)
    order = data.draw(st.permutations(range(len(payment.facts))))
    if changes:
        payment.say("change")
    since = len(payment.facts)
    for step in later:
        payment.say(step)
    payment.end(end)
    at_first = data.draw(st.integers(1, len(order)))
    known: set[int] = set()
    state = hear(pledge(), payment, known, order[:at_first])
    if changes:
        assume(state.status in HELD)  # else all that was heard of is a hold that payment has let go
        state = hear(_changing(state), payment, known, [since - 1])
    rest = [*order[at_first:], *range(since, len(payment.facts)), *range(since)]
    state = hear(state, payment, known, data.draw(st.permutations(rest)))
    ended = {"void": Status.VOIDED, "capture": Status.CAPTURED}.get(end)
    assert state.status is (ended or (Status.AT_RISK if payment.risk else Status.AUTHORIZED))
    if ended is None:
        assert (state.hold_id, state.hold_lost) == (payment.hold_id, payment.lost)
