"""A statement's lines add up, and read right in every currency (DOMAIN Y10)."""

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.ids import CampaignId, PersonId, new_id
from contracts.money import Money
from contracts.payment import PayoutSent
from payment import statement
from payment.ledger import Account
from payment.statement import KINDS, Line, LineKind

DAY = date(2027, 3, 1)


def money(minor: int, currency: str = "EUR") -> Money:
    return Money(amount=minor, currency=currency)


def sent(**changed: Any) -> PayoutSent:
    about: dict[str, Any] = {
        "campaign_id": CampaignId(new_id()),
        "creator_id": PersonId(new_id()),
        "amount": money(8_000),
        "captured": money(10_000),
        "platform_fee": money(500),
        "provider_fee": money(175),
        "transfer_id": "tr_1",
    }
    return PayoutSent(**(about | changed))


def test_a_debit_takes_from_the_creator_but_for_fees_and_the_reserve() -> None:
    signs = {account: statement.line_of(DAY, account, money(100), 1, None).amount.amount for account in KINDS}
    assert signs == {
        Account.CAMPAIGN_PAYABLE: -100,
        Account.PROVIDER_FEES: -100,
        Account.REFUNDS: -100,
        Account.DISPUTES: -100,
        Account.PLATFORM_FEES: 100,
        Account.RESERVE: 100,
        Account.CREATOR_DEBTS: -100,
        Account.PAYOUTS: -100,
    }


def test_a_payout_is_the_sum_of_its_parts_and_what_is_zero_is_left_out() -> None:
    fact = sent(refunded=money(1_000), disputed=money(0), reserve=money(325), amount=money(8_000))
    assert statement.parts(fact) == [
        (LineKind.CAPTURE, money(10_000)),
        (LineKind.PROVIDER_FEE, money(-175)),
        (LineKind.REFUND, money(-1_000)),
        (LineKind.PLATFORM_FEE, money(-500)),
        (LineKind.RESERVE, money(-325)),
    ]
    assert sum(amount.amount for _, amount in statement.parts(fact)) == fact.amount.amount


def test_a_later_payout_has_the_released_reserve_and_the_dispute_that_was_won() -> None:
    fact = sent(
        captured=money(0), platform_fee=money(0), provider_fee=money(0), released=money(325), disputed=money(-2_000)
    )
    assert statement.parts(fact) == [(LineKind.DISPUTE, money(2_000)), (LineKind.RESERVE, money(325))]


LINES = st.builds(
    Line,
    day=st.dates(),
    kind=st.sampled_from(LineKind),
    amount=st.integers(-(10**12), 10**12).map(money),
    count=st.integers(1, 1_000),
    pledge_id=st.none() | st.uuids(),
)


@settings(deadline=None)  # a busy machine is no bug
@given(st.lists(LINES, min_size=1))
def test_lines_totals_and_csv_all_sum_to_the_balance(lines: list[Line]) -> None:
    balance = statement.balance(lines)
    assert balance
    assert sum(one.amount.amount for one in statement.totals(lines)) == balance.amount
    assert sum(one.count for one in statement.totals(lines)) == sum(one.count for one in lines)
    rows = list(csv.DictReader(io.StringIO("".join(statement.as_csv(lines)))))
    assert sum(int(row["amount_minor"]) for row in rows) == balance.amount
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal(balance.amount) / 100


def test_nothing_booked_has_no_balance() -> None:
    assert statement.balance([]) is None
    assert statement.totals([]) == []


def test_amounts_have_the_decimals_of_their_currency() -> None:
    pledge_id = UUID("0190f2c4-0000-7000-8000-000000000000")
    lines = [
        Line(DAY, LineKind.CAPTURE, money(250_000), 3),
        Line(DAY, LineKind.REFUND, money(-5), 1, pledge_id),
        Line(DAY, LineKind.CAPTURE, money(2_500, "JPY")),
        Line(DAY, LineKind.REFUND, money(-12_340, "KWD")),
        Line(DAY, LineKind.PAYOUT, money(0, "KWD")),
    ]
    assert "".join(statement.as_csv(lines)).splitlines() == [
        "date,kind,pledge_id,count,amount,currency,amount_minor",
        "2027-03-01,capture,,3,2500.00,EUR,250000",
        f"2027-03-01,refund,{pledge_id},1,-0.05,EUR,-5",
        "2027-03-01,capture,,1,2500,JPY,2500",
        "2027-03-01,refund,,1,-12.340,KWD,-12340",
        "2027-03-01,payout,,1,0.000,KWD,0",
    ]
