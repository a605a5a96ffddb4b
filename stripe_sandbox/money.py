"""Which amounts and currencies Stripe takes, and what it charges for a payment.

Amounts are integers in minor units. https://docs.stripe.com/currencies
"""

from stripe_sandbox.errors import StripeError

AMOUNT_MAX = 99_999_999  # Stripe: eight digits, whatever the currency.

NO_DECIMALS = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905 - as below
)
THREE_DECIMALS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})

# Stripe's documented minimum charges; a currency that is not named here takes any amount from 1 on.
_MINIMUM = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50,
    "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50,
    "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip

CURRENCIES = frozenset(
    """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf
    clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr
    ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur
    mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr
    sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof
    xpf yer zar zmw
    """.split()  # noqa: SIM905 - a list literal of 135 words would not be read
)


def decimals(currency: str) -> int:
    """How many places the minor unit is behind the major one."""
    return 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def check_currency(currency: str) -> str:
    """The currency in lower case, as Stripe stores it."""
    lowered = currency.lower()
    if lowered not in CURRENCIES:
        raise StripeError(
            f"Invalid currency: {lowered}. Stripe currently supports these currencies: {', '.join(sorted(CURRENCIES))}",
            param="currency",
        )
    return lowered


def check_charge_amount(amount: int, currency: str) -> int:
    """The amount, when it lies within what Stripe charges in that currency."""
    minimum = _MINIMUM.get(currency, 1)
    if amount < minimum:
        raise StripeError(
            f"Amount must be at least {minimum} {currency} in minor units", code="amount_too_small", param="amount"
        )
    if amount > AMOUNT_MAX:
        raise StripeError(
            f"Amount must be no more than {AMOUNT_MAX} {currency} in minor units",
            code="amount_too_large",
            param="amount",
        )
    if currency in THREE_DECIMALS and amount % 10:
        raise StripeError(
            f"Amounts in {currency} must end in 0: networks clear two decimals",
            code="parameter_invalid_integer",
            param="amount",
        )
    return amount


def fee_minor(amount: int, *, basis_points: int, fixed_minor: int) -> int:
    """The provider's fee for a captured amount: a share, rounded half up, plus a fixed part; at most all of it."""
    return min(amount, (amount * basis_points + 5_000) // 10_000 + fixed_minor)
