"""Money is whole minor units of a known currency, and nothing else (DOMAIN M1, M2)."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.money import AMOUNT_MINOR_MAX, CURRENCIES, CurrencyMismatchError, Money, decimals, zero

SHIPPED = Path(__file__).with_name("currencies_shipped.txt")
SUM_MAX = AMOUNT_MINOR_MAX * 10**6

unhurried = settings(deadline=None)  # A pause of a busy machine is no failure.
amounts = st.integers(min_value=-SUM_MAX // 4, max_value=SUM_MAX // 4)
currencies = st.sampled_from(sorted(CURRENCIES))


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


class TestAmount:
    @pytest.mark.parametrize("amount", [1.0, 1.5, "100", True, None, float("nan"), 10**18 + 1, -(10**18) - 1])
    def test_anything_but_an_integer_in_bounds_is_refused(self, amount: object) -> None:
        with pytest.raises(ValidationError):
            Money.model_validate({"amount": amount, "currency": "EUR"})

    @pytest.mark.parametrize("amount", [b"1.5", b"1.0", b"1e2", b'"100"', b"true", b"null"])
    def test_json_numbers_with_a_point_or_exponent_are_refused(self, amount: bytes) -> None:
        with pytest.raises(ValidationError):
            Money.model_validate_json(b'{"amount":' + amount + b',"currency":"EUR"}')

    @pytest.mark.parametrize("amount", [-SUM_MAX, -1, 0, 1, AMOUNT_MINOR_MAX, SUM_MAX])
    def test_integers_up_to_the_bounds_are_kept_exactly(self, amount: int) -> None:
        assert Money.model_validate_json(euros(amount).model_dump_json()).amount == amount

    def test_the_bounds_fit_a_bigint(self) -> None:
        assert SUM_MAX < 2**63

    def test_a_sum_beyond_the_bounds_is_refused_instead_of_stored(self) -> None:
        with pytest.raises(ValidationError):
            euros(SUM_MAX) + euros(1)


class TestCurrency:
    @pytest.mark.parametrize("code", ["eur", "EU", "EURO", "XXX", "XAU", "", "E\u0421R", 978])
    def test_an_unknown_code_is_refused(self, code: object) -> None:
        with pytest.raises(ValidationError):
            Money.model_validate({"amount": 1, "currency": code})

    @pytest.mark.parametrize(
        ("money", "shown"),
        [
            (Money(amount=2500, currency="EUR"), "25.00 EUR"),
            (Money(amount=2500, currency="JPY"), "2500 JPY"),
            (Money(amount=2500, currency="KWD"), "2.500 KWD"),
            (Money(amount=-5, currency="EUR"), "-0.05 EUR"),
            (Money(amount=0, currency="KWD"), "0.000 KWD"),
            (Money(amount=10**18, currency="EUR"), "10000000000000000.00 EUR"),
        ],
    )
    def test_it_is_shown_with_the_decimals_of_its_currency(self, money: Money, shown: str) -> None:
        assert str(money) == shown

    def test_a_currency_once_shipped_stays_readable_with_its_decimals(self) -> None:
        """Stored events name it for ever, also when a country gives it up."""
        shipped = dict(line.split() for line in SHIPPED.read_text(encoding="utf-8").splitlines())
        assert {code: str(decimals(code)) for code in shipped if code in CURRENCIES} == shipped


class TestSums:
    @unhurried
    @given(a=amounts, b=amounts, currency=currencies)
    def test_adding_and_taking_away_are_those_of_integers(self, a: int, b: int, currency: str) -> None:
        one, other = Money(amount=a, currency=currency), Money(amount=b, currency=currency)
        assert one + other == Money(amount=a + b, currency=currency)
        assert (one + other) - other == one
        assert one + zero(currency) == one
        assert (one < other, one <= other) == (a < b, a <= b)

    def test_currencies_do_not_mix(self) -> None:
        yen = Money(amount=1, currency="JPY")
        for mixed in (
            lambda: euros(1) + yen,
            lambda: euros(1) - yen,
            lambda: euros(1) < yen,
            lambda: euros(1) <= yen,
        ):
            with pytest.raises(CurrencyMismatchError, match="EUR and JPY do not mix"):
                mixed()

    def test_equal_amounts_of_two_currencies_are_not_equal(self) -> None:
        assert euros(1) != Money(amount=1, currency="USD")

    def test_it_cannot_be_changed(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            euros(1).amount = 2  # type: ignore[misc]  # the point of the test
