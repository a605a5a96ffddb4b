"""Disputes: booked once when they open and once when they close, in any order (DOMAIN Y9)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from contracts.campaign import PaymentStrategy
from contracts.ids import CampaignId, new_id
from contracts.payment import (
    PaymentCaptured,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentRefunded,
    PayoutKind,
    PayoutSent,
)
from contracts.pledge import PledgePlaced
from eventing.tokens import Role
from payment.look_ups import DisputeLookUp
from payment.stripe_gateway import StripeProvider
from tests.contract.stripe_sandbox_server import API_KEY
from tests.integration.house import names
from tests.integration.payment.platform import Platform, Sandbox, euros, until
from tests.integration.served import Served

FEE = 1_500  # the sandbox's, for a dispute


@pytest.fixture
async def look_up(platform: Platform, sandbox: Sandbox) -> AsyncIterator[DisputeLookUp]:
    provider = StripeProvider(API_KEY, sandbox.address, timeout_seconds=5)
    yield DisputeLookUp(platform.commit, provider)
    await provider.close()


async def charged(platform: Platform, minor: int = 5_000) -> PledgePlaced:
    pledge = platform.placed(minor, strategy=PaymentStrategy.IMMEDIATE)
    await platform.tell(pledge)
    await platform.until_said(pledge.pledge_id, PaymentCaptured)
    return pledge


async def disputed(platform: Platform, pledge: PledgePlaced, **more: Any) -> str:
    payment_id = (await platform.until_said(pledge.pledge_id, PaymentCaptured)).hold_id
    body = {"payment_intent": payment_id, "reason": "fraudulent", **more}
    answer = await platform.sandbox.raw.post("/sandbox/dispute", json=body)
    return str(answer.raise_for_status().json()["id"])


async def decided(platform: Platform, dispute_id: str, outcome: str, *, fee_returned: bool = False) -> None:
    body = {"outcome": outcome, "fee_returned": fee_returned}
    (await platform.sandbox.raw.post(f"/sandbox/dispute/{dispute_id}", json=body)).raise_for_status()


async def payouts(platform: Platform, count: int) -> list[PayoutSent]:
    async def there() -> bool:
        return len(await platform.said(platform.campaign_id)) >= count

    await until(there)
    return [fact for fact in await platform.said(platform.campaign_id) if isinstance(fact, PayoutSent)]


async def agree(platform: Platform) -> None:
    """What the ledger says was taken back is what the sandbox says."""
    lines = [
        (await platform.sandbox.line(platform.campaign_id, name))[1]
        for name in ("disputed", "dispute_fees", "reinstated")
    ]
    ours = await platform.balances()
    assert ours.get("disputes", 0) == lines[0] + lines[1] - lines[2]
    assert sum(ours.values()) == ours.get("creator_debts", 0)  # its other side is in another campaign's books


class TestBooking:
    async def test_opens_once_and_is_lost_once(self, platform: Platform, look_up: DisputeLookUp) -> None:
        pledge = await charged(platform)
        dispute_id = await disputed(platform, pledge)
        assert await look_up(dispute_id)
        assert await look_up(dispute_id)
        opened = await platform.until_said(pledge.pledge_id, PaymentDisputeOpened)
        assert (opened.amount, opened.fee, opened.reason) == (euros(5_000), euros(FEE), "fraudulent")
        await agree(platform)
        await decided(platform, dispute_id, "lost")
        assert await look_up(dispute_id)
        assert await look_up(dispute_id)
        closed = await platform.until_said(pledge.pledge_id, PaymentDisputeClosed)
        assert (closed.won, closed.fee_returned) == (False, euros(0))
        assert (await platform.balances())["disputes"] == 5_000 + FEE
        await agree(platform)

    @pytest.mark.parametrize("fee_returned", [False, True])
    async def test_that_is_heard_of_first_when_it_was_won_opens_and_closes(
        self, platform: Platform, look_up: DisputeLookUp, *, fee_returned: bool
    ) -> None:
        pledge = await charged(platform)
        dispute_id = await disputed(platform, pledge, amount=2_000)
        await decided(platform, dispute_id, "won", fee_returned=fee_returned)
        assert await look_up(dispute_id)
        assert names(await platform.said(pledge.pledge_id))[-2:] == ["PaymentDisputeOpened", "PaymentDisputeClosed"]
        assert (await platform.balances()).get("disputes", 0) == (0 if fee_returned else FEE)
        await agree(platform)

    async def test_an_inquiry_takes_nothing_and_is_left_alone(self, platform: Platform, look_up: DisputeLookUp) -> None:
        pledge = await charged(platform)
        assert await look_up(await disputed(platform, pledge, inquiry=True))
        assert names(await platform.said(pledge.pledge_id))[-1] == "PaymentCaptured"
        assert await platform.pool.fetchval("SELECT count(*) FROM dispute") == 0


class TestWithRefunds:
    async def test_what_the_bank_took_is_not_given_back_twice(
        self, platform: Platform, service: Served, look_up: DisputeLookUp
    ) -> None:
        pledge = await charged(platform)
        await look_up(await disputed(platform, pledge))
        headers = {**service.bearer(platform.creator_id, Role.CREATOR), "Idempotency-Key": "k"}
        answer = await service.http.post(
            f"/pledges/{pledge.pledge_id}/refunds", json={"reason": "other"}, headers=headers
        )
        assert (answer.status_code, answer.json()["title"]) == (409, "The backer's bank has taken the money back")

    async def test_a_cancelled_pledge_is_refunded_once_the_dispute_is_won(
        self, platform: Platform, look_up: DisputeLookUp
    ) -> None:
        pledge = await charged(platform)
        dispute_id = await disputed(platform, pledge)
        await look_up(dispute_id)
        await platform.tell(platform.cancelled(pledge))
        assert names(await platform.said(pledge.pledge_id))[-1] == "PaymentDisputeOpened"
        await platform.until_quiet()
        await decided(platform, dispute_id, "won")
        await look_up(dispute_id)
        assert (await platform.until_said(pledge.pledge_id, PaymentRefunded)).amount == euros(5_000)
        await agree(platform)

    async def test_a_pledge_that_was_refunded_in_part_is_disputed_for_the_rest(
        self, platform: Platform, service: Served, look_up: DisputeLookUp
    ) -> None:
        pledge = await charged(platform)
        headers = {**service.bearer(platform.creator_id, Role.CREATOR), "Idempotency-Key": "k"}
        body = {"reason": "other", "amount": {"amount": 2_000, "currency": "EUR"}}
        await service.http.post(f"/pledges/{pledge.pledge_id}/refunds", json=body, headers=headers)
        await platform.until_said(pledge.pledge_id, PaymentRefunded)
        dispute_id = await disputed(platform, pledge)
        await look_up(dispute_id)
        assert (await platform.until_said(pledge.pledge_id, PaymentDisputeOpened)).amount == euros(3_000)
        await agree(platform)


class TestWithPayouts:
    async def test_an_open_one_is_off_the_main_payout_and_paid_out_later_when_it_is_won(
        self, platform: Platform, look_up: DisputeLookUp
    ) -> None:
        pledge, _ = await charged(platform), await charged(platform, 20_000)
        dispute_id = await disputed(platform, pledge)
        await look_up(dispute_id)
        await platform.tell(platform.payout(25_000))
        (main,) = await payouts(platform, 1)
        assert main.disputed == euros(5_000 + FEE)
        assert main.amount == euros(25_000 - 1_250 - 100 - 325 - 5_000 - FEE)
        await decided(platform, dispute_id, "won")
        await look_up(dispute_id)
        _, later = await payouts(platform, 2)
        assert (later.kind, later.number, later.amount) == (PayoutKind.LATER, 2, euros(5_000))
        assert later.disputed == euros(-5_000)
        await agree(platform)

    async def test_lost_after_the_payout_is_recovered_from_the_creators_next(
        self, platform: Platform, look_up: DisputeLookUp
    ) -> None:
        pledge = await charged(platform)
        await platform.tell(platform.payout(5_000))
        await payouts(platform, 1)
        dispute_id = await disputed(platform, pledge)
        await decided(platform, dispute_id, "lost")
        await look_up(dispute_id)
        second = replace(platform, campaign_id=CampaignId(new_id()))
        await second.tell(second.launched())
        await charged(second, 20_000)
        await second.tell(second.payout(20_000))
        (sent,) = await payouts(second, 1)
        assert sent.recovered == euros(5_000 + FEE)
        await agree(platform)


class TestApi:
    async def test_the_creator_and_operators_see_them_newest_first(
        self, platform: Platform, service: Served, look_up: DisputeLookUp
    ) -> None:
        ids = []
        for outcome in ("won", "lost", ""):
            dispute_id = await disputed(platform, await charged(platform))
            if outcome:
                await decided(platform, dispute_id, outcome, fee_returned=outcome == "won")
            await look_up(dispute_id)
            ids.append(dispute_id)
        creator = service.bearer(platform.creator_id, Role.CREATOR)
        address = f"/campaigns/{platform.campaign_id}/disputes"
        page = (await service.http.get(address, headers=creator)).json()
        assert [(one["dispute_id"], one["status"]) for one in page["items"]] == list(
            zip(reversed(ids), ("open", "lost", "won"), strict=True)
        )
        assert [one["fee"]["amount"] for one in page["items"]] == [FEE, FEE, 0]
        first = (await service.http.get(f"{address}?limit=2", headers=creator)).json()
        rest = (await service.http.get(first["links"]["next"], headers=creator)).json()
        assert first["items"] + rest["items"] == page["items"]
        assert rest["links"]["next"] is None
        operator = service.bearer(new_id(), Role.OPERATOR)
        assert (await service.http.get(address, headers=operator)).json() == page
        stranger = service.bearer(new_id(), Role.CREATOR)
        assert (await service.http.get(address, headers=stranger)).status_code == 404
        assert (await service.http.get(f"{address}?cursor=eA", headers=creator)).status_code == 422
