"""Texts and amounts as a person reads them: in their language as far as there is one, in their formats (DOMAIN N3)."""

from copy import copy
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime, format_skeleton
from babel.numbers import NumberPattern

from contracts.money import Money, decimals

FALLBACK: Final = "en"
_JOINERS: Final = frozenset("\u200c\u200d")  # Invisible, but letters of Persian and many emoji are made with them.


def one_line(text: str) -> str:
    """The text on one line, without control characters: what may stand in a header and in a paragraph."""
    return " ".join("".join(c if c.isprintable() or c in _JOINERS else " " for c in text).split())


def paragraphs(text: str) -> str:
    """Each line of the text as a paragraph, behind a blank line: a list stays a list."""
    return "\n\n".join(line for typed in text.splitlines() if (line := one_line(typed)))


@lru_cache(maxsize=256)
def locale_of(tag: str) -> Locale:
    """The closest locale that is known: of language and region, of the language, else English."""
    for candidate in (tag, tag.split("-", maxsplit=1)[0]):
        try:
            return Locale.parse(candidate, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse(FALLBACK)


@lru_cache(maxsize=256)
def in_language(locale: Locale, language: str) -> Locale:
    """The locale whose words fit a text in `language`, with the region's habits where they are known."""
    if locale.language == language:
        return locale
    return locale_of(f"{language}-{locale.territory}" if locale.territory else language)


@lru_cache(maxsize=1024)
def _pattern(locale: Locale, digits: int) -> NumberPattern:
    pattern: NumberPattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return pattern


def money(amount: Money, locale: Locale) -> str:
    """`€25.00`, `25,00 €`, `￥2,500`: with the decimals of ISO 4217, where CLDR would round some currencies (M1)."""
    digits = decimals(amount.currency)
    value = Decimal(amount.amount).scaleb(-digits)
    text: str = _pattern(locale, digits).apply(value, locale, currency=amount.currency, currency_digits=False)
    return text


def month(year_month: str, locale: Locale) -> str:
    """`2027-03` as `March 2027`."""
    return format_skeleton("yMMMM", date.fromisoformat(f"{year_month}-01"), locale=locale)


def moment(at: datetime, locale: Locale) -> str:
    """A time in UTC, which it says: where a person is, nobody knows."""
    return format_datetime(at.astimezone(UTC), "long", locale=locale)
