"""Payouts after the main one, the reserve, and what a creator owes (DOMAIN Y10)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from contracts.campaign import PaymentStrategy
from contracts.ids import CampaignId, new_id
from contracts.payment import PaymentCaptured, PaymentRefunded, PayoutKind, PayoutSent
from contracts.pledge import PledgePlaced
from tests.integration.payment.platform import Platform, euros, until


async def captured(platform: Platform, amounts: Iterable[int]) -> list[PledgePlaced]:
    placed = [platform.placed(minor, strategy=PaymentStrategy.IMMEDIATE) for minor in amounts]
    await platform.tell(*placed)
    for one in placed:
        await platform.until_said(one.pledge_id, PaymentCaptured)
    return placed


async def refunded(platform: Platform, placed: PledgePlaced) -> None:
    await platform.tell(platform.cancelled(placed))
    await platform.until_said(placed.pledge_id, PaymentRefunded)


async def another(platform: Platform) -> Platform:
    """A second campaign of the same creator."""
    second = replace(platform, campaign_id=CampaignId(new_id()))
    await second.tell(second.launched())
    return second


async def rests(platform: Platform) -> None:
    """Nothing more is to be paid out for now."""

    async def does() -> bool:
        query = "SELECT state = 'resting' FROM payout WHERE campaign_id = $1"
        return bool(await platform.pool.fetchval(query, platform.campaign_id))

    await until(does)


class TestRefundsAroundThePayout:
    async def test_what_was_given_back_before_it_is_off_and_does_not_stop_it(self, platform: Platform) -> None:
        first, _ = await captured(platform, (4_000, 10_000))
        await refunded(platform, first)
        await platform.tell(platform.payout(14_000))  # as counted before the refund
        sent = await platform.until_said(platform.campaign_id, PayoutSent)
        assert (sent.captured, sent.refunded) == (euros(14_000), euros(4_000))
        assert sent.platform_fee == euros(500)
        assert sent.amount == euros(10_000 - 500 - 85 - 175)
        await platform.books_agree()

    async def test_with_nothing_left_it_waits_and_says_so(self, platform: Platform) -> None:
        (only,) = await captured(platform, (4_000,))
        await refunded(platform, only)
        await platform.tell(platform.payout(4_000))

        async def says() -> bool:
            query = "SELECT doubt FROM payout WHERE campaign_id = $1"
            return bool(await platform.pool.fetchval(query, platform.campaign_id) == "nothing_left")

        await until(says)
        assert await platform.sandbox.line(platform.campaign_id, "transferred") == (0, 0)

    async def test_a_debt_is_recovered_from_the_next_payout_of_another_campaign(self, platform: Platform) -> None:
        first, _ = await captured(platform, (4_000, 10_000))
        await platform.tell(platform.payout(14_000))
        await platform.until_said(platform.campaign_id, PayoutSent)
        await refunded(platform, first)
        second = await another(platform)
        await captured(second, (10_000,))
        await second.tell(second.payout(10_000))
        sent = await second.until_said(second.campaign_id, PayoutSent)
        assert sent.recovered == euros(4_000)
        assert sent.amount == euros(10_000 - 500 - 175 - 4_000)
        assert (await platform.balances())["creator_debts"] == -4_000
        assert (await second.balances())["creator_debts"] == 4_000
        assert await second.sandbox.line(second.campaign_id, "transferred") == (1, sent.amount.amount)
        await rests(platform)
        await rests(second)

    async def test_a_payout_that_is_recovered_whole_needs_no_transfer(self, platform: Platform) -> None:
        (only,) = await captured(platform, (10_000,))
        await platform.tell(platform.payout(10_000))
        await platform.until_said(platform.campaign_id, PayoutSent)
        await refunded(platform, only)
        second = await another(platform)
        await captured(second, (5_000,))
        await second.tell(second.payout(5_000))
        sent = await second.until_said(second.campaign_id, PayoutSent)
        left = 5_000 - 250 - 100
        assert (sent.amount, sent.recovered, sent.transfer_id) == (euros(0), euros(left), "")
        assert await second.sandbox.line(second.campaign_id, "transferred") == (0, 0)
        third = await another(platform)
        await captured(third, (10_000,))
        await third.tell(third.payout(10_000))
        assert (await third.until_said(third.campaign_id, PayoutSent)).recovered == euros(10_000 - left)

    async def test_two_payouts_at_once_recover_a_debt_once(self, platform: Platform) -> None:
        first, _ = await captured(platform, (4_000, 10_000))
        await platform.tell(platform.payout(14_000))
        await platform.until_said(platform.campaign_id, PayoutSent)
        await refunded(platform, first)
        others = [await another(platform), await another(platform)]
        for one in others:
            await captured(one, (10_000,))
        await platform.tell(*(one.payout(10_000) for one in others))
        sent = [await one.until_said(one.campaign_id, PayoutSent) for one in others]
        assert sorted(fact.recovered.amount for fact in sent if fact.recovered) == [0, 4_000]


class TestReserve:
    @pytest.fixture
    def more_settings(self) -> dict[str, Any]:
        return {"payout_reserve_bps": 1_000, "payout_reserve_days": 90}

    async def test_is_kept_back_and_paid_out_when_it_is_free(self, platform: Platform) -> None:
        await captured(platform, (10_000,))
        await platform.tell(platform.payout(10_000))
        sent = await platform.until_said(platform.campaign_id, PayoutSent)
        assert (sent.reserve, sent.amount) == (euros(1_000), euros(10_000 - 500 - 175 - 1_000))
        assert (await platform.balances())["reserve"] == -1_000
        await platform.pool.execute(
            "UPDATE payout SET reserve_until = reserve_until - interval '91 days', due_at = reserve_until"
            " - interval '91 days'"
        )

        async def paid() -> bool:
            return len(await platform.said(platform.campaign_id)) == 2

        await until(paid)
        _, later = await platform.said(platform.campaign_id)
        assert isinstance(later, PayoutSent)
        assert (later.kind, later.number) == (PayoutKind.RESERVE, 2)
        assert (later.released, later.amount) == (euros(1_000), euros(1_000))
        await rests(platform)
        assert "reserve" not in await platform.balances()
        assert await platform.sandbox.line(platform.campaign_id, "transferred") == (2, 10_000 - 500 - 175)
        await platform.books_agree()
