"""When a campaign's payout goes out and how much it is (DOMAIN Y10)."""

from dataclasses import replace

import pytest

from contracts.ids import CampaignId, PersonId, new_id
from contracts.payment import PayoutSent
from payment import domain_payout
from payment.domain import ATTEMPTS_MAX
from payment.domain_payout import (
    Books,
    Campaign,
    Payout,
    PayoutAttemptEnded,
    PayoutStarted,
    PayoutStopped,
    Wanted,
    doubt,
    evolve,
    platform_fee,
    share,
    start,
)
from payment.gateway import Decided, Declined, Mismatch, NoEffect, Succeeded

CREATOR = PersonId(new_id())
WANTED = Wanted(CampaignId(new_id()), CREATOR, 10_001, 500, "EUR")
CAMPAIGN = Campaign(CREATOR, 500)
BOOKS = Books(captured=10_001, provider_fees=175)


def test_is_captured_less_both_fees_and_the_fraction_is_the_creators() -> None:
    assert platform_fee(WANTED) == 500  # 500.05
    assert share(WANTED, BOOKS) == 10_001 - 500 - 175


def test_of_three_decimals_is_an_amount_that_banks_clear_and_its_lines_add_up() -> None:
    wanted = replace(WANTED, captured=12_340, currency="KWD")
    (event,) = start(Payout(), wanted, Books(captured=12_340, provider_fees=217))
    assert isinstance(event, PayoutStarted)
    assert (event.amount.amount, event.provider_fee.amount) == (11_500, 217)  # 12 340 - 617 - 217 = 11 506
    assert event.platform_fee.amount == 617 + 6


@pytest.mark.parametrize(
    ("wanted", "campaign", "books", "expected"),
    [
        (WANTED, CAMPAIGN, BOOKS, None),
        (WANTED, None, BOOKS, "campaign_unknown"),
        (WANTED, replace(CAMPAIGN, creator_id=PersonId(new_id())), BOOKS, "terms_differ"),
        (WANTED, replace(CAMPAIGN, platform_fee_bps=0), BOOKS, "terms_differ"),
        (WANTED, CAMPAIGN, replace(BOOKS, captured=10_000), "captured_differs"),
        (WANTED, CAMPAIGN, replace(BOOKS, provider_fees=9_501), "nothing_left"),
    ],
)
def test_the_ledger_and_the_launch_must_agree(
    wanted: Wanted, campaign: Campaign | None, books: Books, expected: str | None
) -> None:
    assert doubt(wanted, campaign, books) == expected


def started() -> Payout:
    (event,) = start(Payout(), WANTED, BOOKS)
    return evolve(None, event)


def test_starts_once() -> None:
    payout = started()
    assert payout.running is not None
    assert start(payout, WANTED, BOOKS) == ()


def test_is_sent_once() -> None:
    (sent,) = domain_payout.conclude(started(), Succeeded("tr_1"))
    assert isinstance(sent, PayoutSent)
    assert sent.amount.amount == 9_326
    done = evolve(started(), sent)
    assert start(done, WANTED, BOOKS) == ()
    assert domain_payout.conclude(done, Succeeded("tr_1")) == ()


@pytest.mark.parametrize("outcome", [NoEffect("balance_insufficient"), Declined("balance_insufficient")])
def test_a_refusal_is_proof_and_another_attempt_follows(outcome: Decided) -> None:
    (ended,) = domain_payout.conclude(started(), outcome)
    assert isinstance(ended, PayoutAttemptEnded)
    (again,) = start(evolve(started(), ended), WANTED, BOOKS)
    assert isinstance(again, PayoutStarted)
    assert again.attempt == 2


def test_an_answer_that_does_not_fit_stops_it() -> None:
    (stopped,) = domain_payout.conclude(started(), Mismatch("another amount"))
    assert isinstance(stopped, PayoutStopped)
    assert start(evolve(started(), stopped), WANTED, BOOKS) == ()


def test_attempts_are_limited() -> None:
    (stopped,) = start(Payout(attempts=ATTEMPTS_MAX), WANTED, BOOKS)
    assert isinstance(stopped, PayoutStopped)
