"""What is wrong with a movement, told by its posting (DOMAIN Y6)."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from contracts.ids import new_id
from payment.cli_cases import matched
from payment.domain_match import Booked, Difference, of_movement, of_posting
from payment.gateway import Movement, MovementKind
from payment.match import Matched

MOVEMENT = Movement(
    movement_id="txn_1",
    kind=MovementKind.CHARGE,
    type="charge",
    amount=5000,
    fee=100,
    currency="EUR",
    source="ch_1",
    payment="pi_1",
    campaign_id=new_id(),
    pledge_id=new_id(),
    created=datetime(2027, 3, 1, tzinfo=UTC),
)
BOOKED = Booked(new_id(), "payment.PaymentCaptured.v1", new_id(), new_id(), 4900, "EUR")


class TestMovement:
    def test_one_that_is_booked_as_it_moved_agrees(self) -> None:
        assert of_movement(MOVEMENT, BOOKED, "txn_1") is None

    def test_one_of_our_own_bank_is_not_judged(self) -> None:
        assert of_movement(replace(MOVEMENT, kind=MovementKind.OWN), None, None) is None

    @pytest.mark.parametrize("kind", sorted(set(MovementKind) - {MovementKind.OWN}))
    def test_any_other_that_is_not_booked_differs(self, kind: MovementKind) -> None:
        difference = of_movement(replace(MOVEMENT, kind=kind), None, None)
        assert difference is not None
        assert (difference.about, difference.campaign_id) == ("txn_1", MOVEMENT.campaign_id)

    @pytest.mark.parametrize("booked", [replace(BOOKED, amount=5000), replace(BOOKED, currency="USD")])
    def test_another_amount_or_currency_differs(self, booked: Booked) -> None:
        assert of_movement(MOVEMENT, booked, "txn_1") is not None

    def test_one_with_a_fraction_of_a_minor_unit_differs_however_it_is_booked(self) -> None:
        for booked in (BOOKED, None):
            difference = of_movement(replace(MOVEMENT, inexact=True), booked, "txn_1")
            assert difference is not None
            assert "fraction of a minor unit" in difference.what

    def test_a_second_one_of_the_same_posting_differs(self) -> None:
        assert of_movement(MOVEMENT, BOOKED, "txn_0") is not None


def test_a_posting_that_moved_nothing_is_named_with_its_pledge() -> None:
    difference = of_posting(BOOKED)
    assert (difference.about, difference.pledge_id) == (str(BOOKED.posting_id), BOOKED.pledge_id)
    assert "4900 EUR" in difference.what


class TestCommandLine:
    def test_a_day_that_agrees_says_so(self) -> None:
        assert matched(Matched(date(2027, 3, 1), 2, 2)).endswith(
            "2 movements, 2 postings, 0 differences. All of it agrees."
        )

    def test_each_difference_is_a_row(self) -> None:
        text = matched(Matched(date(2027, 3, 1), 1, 0, [Difference("txn_1", "it is not in the ledger", None, None)]))
        assert text.splitlines()[-1] == "txn_1  -         it is not in the ledger"
