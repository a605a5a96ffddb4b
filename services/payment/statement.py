"""A campaign's statement (DOMAIN Y10): the ledger in the creator's words. Its lines add up to the payouts.

| kind | line | sign |
| --- | --- | --- |
| capture | what was taken from backers, by day (UTC) | + |
| provider_fee | the card processor's fee for that, by day | - |
| refund | given back, each; by day where they are very many | - |
| dispute | taken back by a backer's bank with the processor's fee, each; returned when it was won | - / + |
| platform_fee | the platform's, at each payout | - |
| reserve | kept back at the main payout; released later | - / + |
| recovered | paid for another campaign of the creator; paid by another | - / + |
| payout | sent to the creator | - |

All lines sum to the balance: what is still to be paid out, or owed when it is negative.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from contracts.money import Money
from contracts.payment import PayoutSent
from payment.ledger import Account

HEADINGS: Final = ("date", "kind", "pledge_id", "count", "amount", "currency", "amount_minor")


class LineKind(StrEnum):
    CAPTURE = "capture"
    PROVIDER_FEE = "provider_fee"
    REFUND = "refund"
    DISPUTE = "dispute"
    PLATFORM_FEE = "platform_fee"
    RESERVE = "reserve"
    RECOVERED = "recovered"
    PAYOUT = "payout"


# What an entry of an account is to the creator: a debit takes, but for the two accounts that a credit takes for.
KINDS: Final = {
    Account.CAMPAIGN_PAYABLE: (LineKind.CAPTURE, -1),
    Account.PROVIDER_FEES: (LineKind.PROVIDER_FEE, -1),
    Account.REFUNDS: (LineKind.REFUND, -1),
    Account.DISPUTES: (LineKind.DISPUTE, -1),
    Account.PLATFORM_FEES: (LineKind.PLATFORM_FEE, 1),
    Account.RESERVE: (LineKind.RESERVE, 1),
    Account.CREATOR_DEBTS: (LineKind.RECOVERED, -1),
    Account.PAYOUTS: (LineKind.PAYOUT, -1),
}


@dataclass(frozen=True)
class Line:
    """Of one day, or of one movement of that day."""

    day: date
    kind: LineKind
    amount: Money  # positive: for the creator
    count: int = 1
    pledge_id: UUID | None = None


def line_of(day: date, account: Account, entry: Money, count: int, pledge_id: UUID | None) -> Line:
    """`entry`: what was booked on the account; a debit is positive."""
    kind, sign = KINDS[account]
    return Line(day, kind, Money(amount=sign * entry.amount, currency=entry.currency), count, pledge_id)


def totals(lines: Iterable[Line]) -> list[Line]:
    """One line a kind and currency, in the order of the kinds; of the last day of that kind."""
    sums: dict[tuple[LineKind, str], Line] = {}
    for line in lines:
        key = line.kind, line.amount.currency
        before = sums.get(key)
        if before is None:
            sums[key] = Line(line.day, line.kind, line.amount, line.count)
        else:
            day = max(before.day, line.day)
            sums[key] = Line(day, line.kind, before.amount + line.amount, before.count + line.count)
    order = list(LineKind)
    return sorted(sums.values(), key=lambda line: (line.amount.currency, order.index(line.kind)))


def balance(lines: Sequence[Line]) -> Money | None:
    """None: nothing was booked yet."""
    if not lines:
        return None
    return sum((line.amount for line in lines[1:]), lines[0].amount)


def parts(fact: PayoutSent) -> list[tuple[LineKind, Money]]:
    """What a payout is made of, signed; what is zero is left out. They sum to its amount."""
    signed = (
        (LineKind.CAPTURE, fact.captured, 1),
        (LineKind.PROVIDER_FEE, fact.provider_fee, -1),
        (LineKind.REFUND, fact.refunded, -1),
        (LineKind.DISPUTE, fact.disputed, -1),
        (LineKind.PLATFORM_FEE, fact.platform_fee, -1),
        (LineKind.RESERVE, fact.reserve, -1),
        (LineKind.RESERVE, fact.released, 1),
        (LineKind.RECOVERED, fact.recovered, -1),
    )
    return [
        (kind, Money(amount=sign * money.amount, currency=money.currency))
        for kind, money, sign in signed
        if money and money.amount
    ]


def as_csv(lines: Iterable[Line]) -> Iterator[str]:
    """RFC 4180. `amount` has the decimals of its currency: 25.00 EUR, 2500 JPY, 2.500 KWD."""
    yield _row(HEADINGS)
    for line in lines:
        text, currency = str(line.amount).split(" ")
        yield _row((line.day, line.kind, line.pledge_id or "", line.count, text, currency, line.amount.amount))


def _row(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
