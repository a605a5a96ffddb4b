"""What a bank asks of a backer, and what becomes of captured money (DOMAIN P5, M4, Y8, Y9)."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from contracts.ids import ChangeId, PersonId
from contracts.payment import (
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentFact,
    PaymentRefunded,
)
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeChangeRequested,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeFact,
    PledgePartlyRefunded,
    PledgeRefunded,
    PledgeVoided,
)
from pledge.domain import Pledge, Status, evolve
from pledge.domain_decisions import expire
from pledge.domain_options import NONE, Options, risk_in_words
from pledge.domain_payment import follow_disputes, follow_payment
from tests.unit.pledge.stories import CAMPAIGN, DEADLINE, LEASE_SECONDS, NOON, PLEDGE, euros, pledge

CREATOR = PersonId(pledge().pledge_id)
CHANGE, OTHER = ChangeId(PLEDGE), ChangeId(CAMPAIGN)
ASKED = {"change_id": CHANGE, "new_amount": euros(4000), "payment_method": "pm_1", "lease_until": DEADLINE}


def said(kind: type[PaymentFact], minor: int = 2500, **more: Any) -> Any:
    return kind(pledge_id=PLEDGE, campaign_id=CAMPAIGN, amount=euros(minor), **more)


def after(state: Pledge, *facts: PaymentFact) -> Pledge:
    for fact in facts:
        for event in follow_payment(state, fact):
            state = evolve(state, event)
    return state


def kinds(events: tuple[PledgeFact, ...]) -> list[type[Any]]:
    return [type(event) for event in events]


class TestActionRequired:
    ACTION = said(PaymentActionRequired, hold_id="pi_1")

    def test_the_bank_wants_the_backer_of_a_pledge_that_is_pending_and_it_is_said_once(self) -> None:
        state = after(pledge(), self.ACTION)
        assert state.status is Status.ACTION_REQUIRED
        assert follow_payment(state, self.ACTION) == ()

    @pytest.mark.parametrize("kind", [PledgeAuthorized, PledgeCaptured, PledgeDeclined, PledgeCancelled, PledgeVoided])
    def test_overtaken_by_the_decision_it_says_nothing(self, kind: type[PledgeFact]) -> None:
        assert follow_payment(pledge(kind), self.ACTION) == ()

    def test_it_is_decided_or_runs_out_like_any_other_pledge(self) -> None:
        state = after(pledge(), self.ACTION)
        held = after(state, said(PaymentAuthorized, hold_id="pi_1"))
        assert held.status is Status.AUTHORIZED
        end = NOON + timedelta(seconds=LEASE_SECONDS)
        assert (kinds(expire(state, end)), expire(held, end)) == ([PledgeDeclined], ())

    def test_for_a_change_the_pledge_stands_and_the_change_waits(self) -> None:
        held = pledge(PledgeAuthorized)
        waiting = evolve(held, PledgeChangeRequested(**held.about, **ASKED))
        action = said(PaymentActionRequired, hold_id="pi_2", change_id=CHANGE)
        [event] = follow_payment(waiting, action)
        assert isinstance(event, PledgeActionRequired)
        asked = evolve(waiting, event)
        assert (event.change_id, asked.status) == (CHANGE, Status.AUTHORIZED)
        assert asked.change is not None
        assert asked.change.waits_for_backer
        assert follow_payment(asked, action) == ()
        for other in (said(PaymentActionRequired, hold_id="pi_2", change_id=OTHER), self.ACTION):
            assert follow_payment(waiting, other) == ()
        assert follow_payment(held, action) == ()


class TestRefund:
    def test_a_part_leaves_it_captured_and_the_whole_ends_it(self) -> None:
        part, rest = (
            said(PaymentRefunded, 500, hold_id="pi_1", refunded=euros(500)),
            said(PaymentRefunded, 2000, hold_id="pi_1", refunded=euros(2500)),
        )
        [event] = follow_payment(pledge(PledgeCaptured), part)
        assert event == PledgePartlyRefunded(**pledge().about, refunded=euros(500))
        state = evolve(pledge(PledgeCaptured), event)
        assert (state.status, state.refunded_minor, follow_payment(state, part)) == (Status.CAPTURED, 500, ())
        assert kinds(follow_payment(state, rest)) == [PledgeRefunded]
        assert after(state, rest, part).refunded_minor == 2500

    def test_in_any_order_and_doubled_it_ends_the_same(self) -> None:
        facts = [said(PaymentRefunded, 500, hold_id="pi_1", refunded=euros(total)) for total in (500, 1000, 1500)]
        captured = said(PaymentCaptured, hold_id="pi_1", provider_fee=euros(1))
        ends = {
            (state.status, state.refunded_minor)
            for order in permutations([captured, *facts])
            for state in [after(pledge(PledgeAuthorized), *order, *order)]
        }
        assert ends == {(Status.CAPTURED, 1500)}

    def test_heard_of_before_the_capture_it_says_that_there_was_one(self) -> None:
        part = said(PaymentRefunded, 500, hold_id="pi_1", refunded=euros(500))
        assert kinds(follow_payment(pledge(PledgeAuthorized), part)) == [PledgeCaptured, PledgePartlyRefunded]

    def test_of_a_cancelled_pledge_only_the_whole_counts(self) -> None:
        cancelled = pledge(PledgeCaptured, PledgeCancelled)
        assert follow_payment(cancelled, said(PaymentRefunded, 500, hold_id="pi_1", refunded=euros(500))) == ()
        whole = said(PaymentRefunded, 2000, hold_id="pi_1", refunded=euros(2500))
        assert kinds(follow_payment(cancelled, whole)) == [PledgeRefunded]

    def test_without_a_total_only_its_own_amount_is_known(self) -> None:
        assert kinds(follow_payment(pledge(PledgeCaptured), said(PaymentRefunded, 2499, hold_id="pi_1"))) == [
            PledgePartlyRefunded
        ]


OPENED = said(PaymentDisputeOpened, dispute_id="dp_1", reason="fraudulent", fee=euros(15))
CLOSED = said(PaymentDisputeClosed, dispute_id="dp_1", won=True, fee_returned=euros(15))
AGAIN = said(PaymentDisputeOpened, dispute_id="dp_2", reason="general", fee=euros(15))


def disputed(state: Pledge, *heard: PaymentFact) -> tuple[PledgeFact, ...]:
    return follow_disputes(state, heard, CREATOR)


class TestDisputes:
    def test_each_is_told_of_when_it_opens_and_when_it_closes_once_and_the_status_stays(self) -> None:
        captured = pledge(PledgeCaptured)
        [opened] = disputed(captured, OPENED)
        assert opened == PledgeDisputeOpened(
            **captured.about, creator_id=CREATOR, dispute_id="dp_1", disputed=euros(2500), reason="fraudulent"
        )
        state = evolve(captured, opened)
        assert disputed(state, OPENED) == ()
        [closed] = disputed(state, OPENED, CLOSED)
        assert isinstance(closed, PledgeDisputeClosed)
        assert (closed.won, closed.disputed, closed.creator_id) == (True, euros(2500), CREATOR)
        over = evolve(state, closed)
        assert (over.status, disputed(over, OPENED, CLOSED)) == (Status.CAPTURED, ())
        assert kinds(disputed(over, OPENED, CLOSED, AGAIN)) == [PledgeDisputeOpened]

    def test_a_closing_that_overtakes_its_opening_waits_for_it(self) -> None:
        captured = pledge(PledgeCaptured)
        assert disputed(captured, CLOSED) == ()
        expected: list[type[Any]] = [PledgeDisputeOpened, PledgeDisputeClosed]
        assert kinds(disputed(captured, OPENED, CLOSED)) == expected

    def test_one_that_overtakes_the_capture_says_that_there_was_one(self) -> None:
        assert kinds(disputed(pledge(PledgeAuthorized), OPENED)) == [PledgeCaptured, PledgeDisputeOpened]

    @pytest.mark.parametrize("life", [(PledgeCaptured, PledgeRefunded), (PledgeCaptured, PledgeCancelled)])
    def test_also_of_what_is_over(self, life: tuple[type[PledgeFact], ...]) -> None:
        state = pledge(*life)
        [event] = disputed(state, OPENED)
        assert evolve(state, event).status is state.status


class TestWords:
    def test_a_backer_is_told_what_happened_and_until_when_another_card_helps(self) -> None:
        told = risk_in_words(Options(change_until=DEADLINE), lost=True, hard=False)
        assert told.startswith(
            "The hold on your card is gone. You are not charged, and we try again as far as your bank lets us."
        )
        assert "another card until 2027-03-31T12:00:00Z" in told
        assert "Your bank did not let us renew" in risk_in_words(NONE, lost=False, hard=False)
        assert "another card" not in risk_in_words(NONE, lost=False, hard=False)

    @pytest.mark.parametrize("lost", [True, False])
    def test_who_needs_another_card_is_not_told_that_this_one_is_tried_again(self, *, lost: bool) -> None:
        told = risk_in_words(Options(change_until=DEADLINE), lost=lost, hard=True)
        assert "we do not try this card again" in told
        assert "another card until 2027-03-31T12:00:00Z" in told
