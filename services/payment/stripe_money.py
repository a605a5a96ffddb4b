"""Amounts as Stripe counts them, which for a few currencies is not as ISO 4217 does.

https://docs.stripe.com/currencies#special-cases
"""

from typing import Final

from contracts.money import Money, decimals

# Where Stripe's number of decimals is not ISO's. MGA has fifths, which Stripe leaves out; ISK and UGX have lost
# their hundredths, which Stripe keeps for old integrations.
_DECIMALS: Final = {"ISK": 2, "UGX": 2, "MGA": 0}

# Stripe takes only multiples: whole krónur and shillings, and three-decimal amounts that card networks can clear.
_MULTIPLES: Final = {"ISK": 100, "UGX": 100, "BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10}


class UnsupportedAmountError(ValueError):
    """Stripe has no way to say this amount."""


def to_stripe(money: Money) -> tuple[int, str]:
    """An amount in Stripe's minor units, and its currency in Stripe's spelling.

    Raises:
        UnsupportedAmountError: It would have to be rounded, which nobody agreed to.
    """
    amount, rest = _scaled(money.amount, _shift(money.currency))
    if rest or amount % _MULTIPLES.get(money.currency, 1):
        msg = f"not an amount that can be charged in {money.currency}"
        raise UnsupportedAmountError(msg)
    return amount, money.currency.lower()


def from_stripe(amount: int, currency: str) -> Money:
    """What Stripe says as Money.

    Raises:
        UnsupportedAmountError: It has a fraction of our minor unit.
    """
    code = currency.upper()
    minor, rest = _scaled(amount, -_shift(code))
    if rest:
        msg = f"a fraction of a minor unit of {code}"
        raise UnsupportedAmountError(msg)
    return Money(amount=minor, currency=code)


def floored(amount: int, currency: str) -> Money:
    """What Stripe says, without a fraction of our minor unit: to be shown, never to be booked."""
    code = currency.upper()
    return Money(amount=_scaled(amount, -_shift(code))[0], currency=code)


def _shift(currency: str) -> int:
    """By how many digits Stripe's amounts are longer than ours."""
    ours = decimals(currency)
    return _DECIMALS.get(currency, ours) - ours


def _scaled(amount: int, digits: int) -> tuple[int, int]:
    return (int(amount * 10**digits), 0) if digits >= 0 else divmod(amount, 10**-digits)
