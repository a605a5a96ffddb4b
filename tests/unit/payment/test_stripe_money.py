"""Stripe's way of counting minor units is not always ISO's (DOMAIN M1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import CURRENCIES, Money
from payment.stripe_money import UnsupportedAmountError, floored, from_stripe, to_stripe


@pytest.mark.parametrize(
    ("currency", "ours", "stripes"),
    [
        ("EUR", 2500, 2500),
        ("JPY", 2500, 2500),
        ("KWD", 2500, 2500),
        ("ISK", 25, 2500),  # Stripe still counts hundredths
        ("UGX", 25, 2500),
        ("MGA", 2500, 25),  # Stripe does not count fifths
    ],
)
def test_amounts_by_currency(currency: str, ours: int, stripes: int) -> None:
    assert to_stripe(Money(amount=ours, currency=currency)) == (stripes, currency.lower())
    assert from_stripe(stripes, currency.lower()) == Money(amount=ours, currency=currency)


@pytest.mark.parametrize(("currency", "amount"), [("KWD", 2505), ("TND", 1), ("MGA", 2501)])
def test_what_stripe_cannot_say_is_refused_and_not_rounded(currency: str, amount: int) -> None:
    with pytest.raises(UnsupportedAmountError):
        to_stripe(Money(amount=amount, currency=currency))


def test_a_fraction_of_our_minor_unit_is_refused() -> None:
    with pytest.raises(UnsupportedAmountError):
        from_stripe(2550, "isk")


@pytest.mark.parametrize(
    ("stripes", "currency", "ours"), [(2550, "isk", 25), (-2550, "isk", -26), (2500, "isk", 25), (2550, "eur", 2550)]
)
def test_a_fraction_may_be_left_out_where_it_is_only_shown(stripes: int, currency: str, ours: int) -> None:
    assert floored(stripes, currency) == Money(amount=ours, currency=currency.upper())


@given(st.integers(min_value=0, max_value=10**12), st.sampled_from(sorted(CURRENCIES)))
def test_there_and_back_is_the_same(amount: int, currency: str) -> None:
    money = Money(amount=amount * 100, currency=currency)
    assert from_stripe(*to_stripe(money)) == money
