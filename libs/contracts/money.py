"""Money is an integer of minor units with a currency (DOMAIN M1). No float ever touches it."""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

AMOUNT_MINOR_MAX = 10**12  # DOMAIN H4: larger amounts stop at the door; sums of these still fit a bigint.

# ISO 4217, active codes. The number of decimals is 2 unless the code stands in _DECIMALS.
_CODES = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL
MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR
RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD
TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
_ZERO = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_DECIMALS = dict.fromkeys(_ZERO.split(), 0) | dict.fromkeys(_THREE.split(), 3)


class CurrencyMismatchError(ValueError):
    """Amounts of two currencies were added or compared (DOMAIN M2)."""


def decimals(currency: str) -> int:
    """Digits after the decimal point of an ISO 4217 currency: 0, 2 or 3."""
    return _DECIMALS.get(currency, 2)


def _known(code: str) -> str:
    if code not in CURRENCIES:
        msg = "is not an ISO 4217 currency code"
        raise ValueError(msg)
    return code


Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["EUR"]), AfterValidator(_known)]


class Money(BaseModel):
    """An amount in minor units (2500 EUR is 25 euros, 2500 JPY is 2500 yen) and its ISO 4217 currency."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    amount: int = Field(
        ge=-AMOUNT_MINOR_MAX * 10**6,
        le=AMOUNT_MINOR_MAX * 10**6,
        description="Minor units of the currency",
        examples=[2500],
    )
    currency: Currency

    def __add__(self, other: Self) -> "Money":
        return Money(amount=self.amount + self._same(other).amount, currency=self.currency)

    def __sub__(self, other: Self) -> "Money":
        return Money(amount=self.amount - self._same(other).amount, currency=self.currency)

    def __lt__(self, other: Self) -> bool:
        return self.amount < self._same(other).amount

    def __le__(self, other: Self) -> bool:
        return self.amount <= self._same(other).amount

    def __str__(self) -> str:
        """For people: `25.00 EUR`, `2500 JPY`, `2.500 KWD`."""
        return f"{Decimal(self.amount).scaleb(-decimals(self.currency))} {self.currency}"

    def _same(self, other: Self) -> Self:
        if other.currency != self.currency:
            msg = f"{self.currency} and {other.currency} do not mix"
            raise CurrencyMismatchError(msg)
        return other


def zero(currency: str) -> Money:
    return Money(amount=0, currency=currency)
