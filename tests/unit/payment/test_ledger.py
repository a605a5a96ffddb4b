"""Every fact about money is a balanced posting (DOMAIN M3)."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.event import Event
from contracts.ids import CampaignId, PersonId, PledgeId, new_id
from contracts.money import Money
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
    PayoutSent,
)
from payment.ledger import Account, lines_of

AMOUNTS = st.integers(min_value=1, max_value=10**12)
CAMPAIGN = CampaignId(new_id())


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


def fact(kind: type[Event], minor: int, **more: object) -> Any:
    return kind.model_validate(
        {"pledge_id": PledgeId(new_id()), "campaign_id": CAMPAIGN, "amount": euros(minor), "hold_id": "pi_1", **more}
    )


def captured(minor: int, fee: int) -> Any:
    return fact(PaymentCaptured, minor, provider_fee=euros(fee))


def sent(captured_minor: int, platform: int, provider: int) -> PayoutSent:
    return PayoutSent(
        campaign_id=CAMPAIGN,
        creator_id=PersonId(new_id()),
        amount=euros(captured_minor - platform - provider),
        captured=euros(captured_minor),
        platform_fee=euros(platform),
        provider_fee=euros(provider),
        transfer_id="tr_1",
    )


def balances(*booked: tuple[Event, int]) -> dict[Account, int]:
    total: Counter[Account] = Counter()
    for event, held in booked:
        for account, amount in lines_of(event, held):
            total[account] += amount
    return {account: amount for account, amount in total.items() if amount}


@given(AMOUNTS, AMOUNTS, st.integers(min_value=0, max_value=10**6))
def test_every_posting_sums_to_zero(held: int, amount: int, fee: int) -> None:
    events = (
        fact(PaymentAuthorized, amount),
        captured(amount, fee),
        fact(PaymentVoided, amount),
        fact(PaymentCaptureFailed, amount, reason="insufficient_funds"),
        fact(PaymentRefunded, amount),
        sent(amount, fee, fee),
    )
    for event in events:
        for before in (0, held):
            assert sum(minor for _, minor in lines_of(event, before)) == 0


def test_a_hold_comes_and_goes_without_a_trace() -> None:
    assert balances((fact(PaymentAuthorized, 5000), 0), (fact(PaymentVoided, 5000), 5000)) == {}


def test_a_partial_capture_releases_the_rest() -> None:
    assert balances((fact(PaymentAuthorized, 5000), 0), (captured(4000, 85), 5000)) == {
        Account.PROVIDER_RECEIVABLE: 3915,
        Account.PROVIDER_FEES: 85,
        Account.CAMPAIGN_PAYABLE: -4000,
    }


def test_a_charge_is_a_hold_and_its_capture_at_once() -> None:
    lines = lines_of(captured(4000, 0), held=0)
    assert [minor for account, minor in lines if account is Account.HOLDS] == [4000, -4000]


def test_after_the_payout_nothing_is_owed_to_the_campaign() -> None:
    after = balances(
        (captured(10_000, 175), 0),
        (captured(2_000, 55), 0),
        (fact(PaymentRefunded, 2_000), 0),
        (sent(10_000, 500, 230), 0),
    )
    owed = (Account.CAMPAIGN_PAYABLE, Account.REFUNDS, Account.PAYOUTS)
    assert sum(after[account] for account in owed) == 0
    assert after[Account.PLATFORM_FEES] == -500
    assert after[Account.PROVIDER_RECEIVABLE] == 500
    assert Account.PROVIDER_FEES not in after


def test_a_decline_moves_nothing() -> None:
    assert lines_of(fact(PaymentDeclined, 5000, reason="lost_card"), held=0) == ()
