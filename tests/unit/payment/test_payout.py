"""When payouts of a campaign go out and what they are made of (DOMAIN Y10)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from contracts.ids import CampaignId, PersonId, new_id
from contracts.money import Money
from contracts.payment import PayoutKind, PayoutSent
from payment import domain_payout
from payment.domain import ATTEMPTS_MAX
from payment.domain_payout import (
    Campaign,
    Payout,
    Terms,
    Totals,
    Wanted,
    available,
    doubt,
    evolve,
    platform_fee,
    recover,
    release,
    start,
)
from payment.domain_payout_events import PayoutAttemptEnded, PayoutStarted, PayoutStopped
from payment.gateway import Decided, Declined, Mismatch, NoEffect, Succeeded

CREATOR = PersonId(new_id())
WANTED = Wanted(CampaignId(new_id()), CREATOR, 10_001, 500, "EUR")
CAMPAIGN = Campaign(CREATOR, 500)
BOOKS = Totals(captured=10_001, provider_fees=175)
UNTIL = datetime(2027, 6, 1, tzinfo=UTC)
NO_RESERVE = Terms(0, UNTIL)
TENTH = Terms(1_000, UNTIL)


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


def started(payout: Payout | None = None, books: Totals = BOOKS, terms: Terms = NO_RESERVE) -> Payout:
    (event,) = start(payout or Payout(), WANTED, books, terms)
    return evolve(payout, event)


def sent(payout: Payout | None = None, books: Totals = BOOKS, terms: Terms = NO_RESERVE) -> tuple[PayoutSent, Payout]:
    running = started(payout, books, terms)
    (fact,) = domain_payout.conclude(running, Succeeded("tr_1"))
    assert isinstance(fact, PayoutSent)
    return fact, evolve(running, fact)


def after(books: Totals, fact: PayoutSent) -> Totals:
    """What the ledger says once a payout is booked."""
    assert fact.reserve
    return replace(
        books,
        paid=books.paid + fact.amount.amount,
        platform_fees=books.platform_fees + fact.platform_fee.amount,
        reserve=books.reserve + fact.reserve.amount,
    )


class TestMainPayout:
    def test_is_captured_less_both_fees_and_the_fraction_is_the_creators(self) -> None:
        assert platform_fee(WANTED, Payout(), BOOKS) == 500  # 500.05
        assert available(WANTED, Payout(), BOOKS) == 10_001 - 500 - 175

    def test_of_three_decimals_is_an_amount_that_banks_clear_and_its_lines_add_up(self) -> None:
        wanted = replace(WANTED, captured=12_340, currency="KWD")
        (event,) = start(Payout(), wanted, Totals(captured=12_340, provider_fees=217), NO_RESERVE)
        assert isinstance(event, PayoutStarted)
        assert event.amount.amount == 11_500  # 12 340 - 617 - 217 = 11 506
        assert event.platform_fee.amount == 617 + 6

    def test_refunds_and_disputes_lower_it_and_refunds_lower_the_platforms_fee(self) -> None:
        books = replace(BOOKS, refunded=2_001, disputed=1_500)
        assert doubt(WANTED, CAMPAIGN, Payout(), books) is None
        fact, _ = sent(books=books)
        assert (fact.kind, fact.number) == (PayoutKind.MAIN, 1)
        assert (fact.captured, fact.refunded, fact.disputed) == (euros(10_001), euros(2_001), euros(1_500))
        assert fact.platform_fee == euros(400)
        assert fact.amount == euros(10_001 - 2_001 - 1_500 - 400 - 175)

    @pytest.mark.parametrize(
        ("wanted", "campaign", "books", "expected"),
        [
            (WANTED, CAMPAIGN, BOOKS, None),
            (WANTED, None, BOOKS, "campaign_unknown"),
            (WANTED, replace(CAMPAIGN, creator_id=PersonId(new_id())), BOOKS, "terms_differ"),
            (WANTED, replace(CAMPAIGN, platform_fee_bps=0), BOOKS, "terms_differ"),
            (WANTED, CAMPAIGN, replace(BOOKS, captured=10_000), "captured_differs"),
            (WANTED, CAMPAIGN, replace(BOOKS, captured=10_002), "captured_differs"),
            # cancelled with a refund before settlement counted, and after
            (WANTED, CAMPAIGN, replace(BOOKS, captured=12_001, refunded=2_000), None),
            (WANTED, CAMPAIGN, replace(BOOKS, captured=12_001, refunded=4_000), None),
            (WANTED, CAMPAIGN, replace(BOOKS, captured=12_001, refunded=1_999), "captured_differs"),
            # cancelled when its bank had taken it back already
            (WANTED, CAMPAIGN, replace(BOOKS, captured=12_001, refunded=500, disputed=1_500), None),
            (WANTED, CAMPAIGN, replace(BOOKS, captured=12_001, refunded=500, disputed=1_499), "captured_differs"),
            (WANTED, CAMPAIGN, replace(BOOKS, provider_fees=9_501), "nothing_left"),
            (WANTED, CAMPAIGN, replace(BOOKS, disputed=10_001), "nothing_left"),
        ],
    )
    def test_the_ledger_and_the_launch_must_agree(
        self, wanted: Wanted, campaign: Campaign | None, books: Totals, expected: str | None
    ) -> None:
        assert doubt(wanted, campaign, Payout(), books) == expected

    def test_starts_once(self) -> None:
        payout = started()
        assert payout.running is not None
        assert start(payout, WANTED, BOOKS, NO_RESERVE) == ()

    def test_is_sent_once(self) -> None:
        fact, done = sent()
        assert fact.amount == euros(9_326)
        assert doubt(WANTED, CAMPAIGN, done, after(BOOKS, fact)) == "nothing_left"
        assert domain_payout.conclude(done, Succeeded("tr_1")) == ()

    @pytest.mark.parametrize("outcome", [NoEffect("balance_insufficient"), Declined("balance_insufficient")])
    def test_a_refusal_is_proof_and_another_attempt_follows(self, outcome: Decided) -> None:
        (ended,) = domain_payout.conclude(started(), outcome)
        assert isinstance(ended, PayoutAttemptEnded)
        (again,) = start(evolve(started(), ended), WANTED, BOOKS, NO_RESERVE)
        assert isinstance(again, PayoutStarted)
        assert again.attempt == 2

    def test_an_answer_that_does_not_fit_stops_it(self) -> None:
        (stopped,) = domain_payout.conclude(started(), Mismatch("another amount"))
        assert isinstance(stopped, PayoutStopped)
        assert start(evolve(started(), stopped), WANTED, BOOKS, NO_RESERVE) == ()

    def test_attempts_are_limited(self) -> None:
        (stopped,) = start(Payout(attempts=ATTEMPTS_MAX, tried=ATTEMPTS_MAX), WANTED, BOOKS, NO_RESERVE)
        assert isinstance(stopped, PayoutStopped)


class TestReserve:
    def test_is_a_part_of_the_captures_kept_back_from_the_main_payout(self) -> None:
        fact, _ = sent(terms=TENTH)
        assert fact.reserve == euros(1_000)
        assert fact.amount == euros(9_326 - 1_000)

    def test_is_never_more_than_there_is(self) -> None:
        fact, _ = sent(books=replace(BOOKS, disputed=9_000), terms=TENTH)
        assert (fact.reserve, fact.amount) == (euros(326), euros(0))

    def test_is_paid_out_later_less_what_disputes_took_meanwhile(self) -> None:
        fact, payout = sent(terms=TENTH)
        books = replace(after(BOOKS, fact), disputed=400)
        assert doubt(WANTED, CAMPAIGN, payout, books) == "nothing_left"
        assert books.debt == 0  # the reserve stands in for it
        (released,) = release(WANTED, books)
        assert released.amount == euros(1_000)
        later, _ = sent(evolve(payout, released), replace(books, reserve=0), TENTH)
        assert (later.kind, later.number) == (PayoutKind.RESERVE, 2)
        assert (later.released, later.disputed, later.reserve) == (euros(1_000), euros(400), euros(0))
        assert later.amount == euros(600)
        assert release(WANTED, replace(books, reserve=0)) == ()


class TestLaterPayout:
    def test_a_dispute_that_was_won_is_paid_out_and_says_what_it_is_made_of(self) -> None:
        books = replace(BOOKS, disputed=2_000)
        fact, payout = sent(books=books)
        won = replace(after(books, fact), disputed=0)
        assert doubt(WANTED, CAMPAIGN, payout, won) is None
        later, _ = sent(payout, won)
        assert (later.kind, later.number, later.captured) == (PayoutKind.LATER, 2, euros(0))
        assert (later.disputed, later.platform_fee, later.amount) == (euros(-2_000), euros(0), euros(2_000))

    def test_a_refund_after_the_main_payout_gives_none_of_the_platforms_fee_back(self) -> None:
        fact, payout = sent()
        books = replace(after(BOOKS, fact), refunded=5_000)
        assert platform_fee(WANTED, payout, books) == 0
        assert books.debt == 5_000


class TestDebts:
    def test_are_taken_from_the_next_payout_as_far_as_it_goes(self) -> None:
        one, other = sorted((new_id(), new_id()))
        events = recover(Payout(), WANTED, BOOKS, {other: 9_000, one: 500, new_id(): 0})
        assert [(e.debtor_id, e.amount.amount, e.number) for e in events] == [(one, 500, 1), (other, 8_826, 2)]

    def test_a_payout_says_what_was_recovered_from_it(self) -> None:
        (event,) = recover(Payout(), WANTED, BOOKS, {new_id(): 500})
        fact, _ = sent(evolve(None, event), replace(BOOKS, recovered=500))
        assert (fact.recovered, fact.amount) == (euros(500), euros(9_326 - 500))

    def test_what_others_paid_for_it_is_its_creators_again_when_the_dispute_is_won(self) -> None:
        fact, payout = sent()
        disputed = replace(after(BOOKS, fact), disputed=700, recovered=-700)
        assert disputed.debt == 0
        later, _ = sent(payout, replace(disputed, disputed=0))
        assert (later.recovered, later.amount) == (euros(-700), euros(700))
