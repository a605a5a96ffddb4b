"""What our Stripe adapter reads of refunds, disputes and reversals, checked against Stripe's published description."""

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.money import Money
from deploy.local.plain_http import NO_TLS
from payment.gateway import LookupFailedError, NoEffect, Request, Succeeded
from payment.gateway_found import DisputeStatus, RefundStatus, SeenDispute
from payment.stripe_disputes import dispute, refunds_of
from payment.stripe_gateway import StripeProvider
from tests.contract.stripe_sandbox_server import API_KEY, Sandbox
from tests.contract.test_payment_provider import card, checked, hold, provider, request

__all__ = ["checked", "provider"]  # fixtures


def euros(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


@pytest.fixture
async def own(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """The sandbox's own routes."""
    async with httpx.AsyncClient(verify=NO_TLS, base_url=sandbox.base, auth=(API_KEY, "")) as client:
        yield client


async def captured(provider: StripeProvider, asked: Request) -> str:
    payment_id = await hold(provider, asked)
    assert isinstance(await provider.capture(request(like=asked), payment_id), Succeeded)
    return payment_id


async def said(own: httpx.AsyncClient, path: str, **body: object) -> Mapping[str, Any]:
    return dict((await own.post(path, json=body)).raise_for_status().json())


class TestRefunds:
    async def test_ours_and_those_from_the_dashboard_are_told_apart(
        self, provider: StripeProvider, own: httpx.AsyncClient
    ) -> None:
        asked = request()
        payment_id = await captured(provider, asked)
        ours = request(1_000, like=asked)
        assert isinstance(await provider.refund(ours, payment_id), Succeeded)
        await said(own, "/sandbox/refund", payment_intent=payment_id, amount=500)
        found = await provider.refunds_of(payment_id)
        assert found
        assert (found.pledge_id, found.payment_id) == (asked.pledge_id, payment_id)
        first, second = found.refunds
        assert (first.amount, first.operation_id, first.status) == (
            euros(1_000),
            ours.operation_id,
            RefundStatus.GIVEN,
        )
        assert (second.amount, second.operation_id) == (euros(500), None)
        assert await provider.refunds_of(second.refund_id) == found

    async def test_a_payment_without_any(self, provider: StripeProvider) -> None:
        found = await provider.refunds_of(await captured(provider, request()))
        assert found
        assert found.refunds == ()

    async def test_what_is_not_there_is_not_ours(self, provider: StripeProvider) -> None:
        assert await provider.refunds_of("re_of_somebody_else") is None
        assert await provider.refunds_of("ch_of_somebody_else") is None
        assert await provider.dispute("du_of_somebody_else") is None

    async def test_an_answer_that_nobody_can_read_is_asked_for_again(
        self, provider: StripeProvider, sandbox: Sandbox
    ) -> None:
        payment_id = await captured(provider, request())
        await sandbox.fault(kind="html", path="/v1/refunds", method="GET")
        with pytest.raises(LookupFailedError):
            await provider.refunds_of(payment_id)


class TestDisputes:
    async def test_an_open_one_has_taken_amount_and_fee(self, provider: StripeProvider, own: httpx.AsyncClient) -> None:
        asked = request()
        payment_id = await captured(provider, asked)
        opened = await said(own, "/sandbox/dispute", payment_intent=payment_id, reason="fraudulent")
        assert asked.pledge_id
        assert await provider.dispute(opened["id"]) == SeenDispute(
            dispute_id=opened["id"],
            pledge_id=asked.pledge_id,
            payment_id=payment_id,
            status=DisputeStatus.OPEN,
            reason="fraudulent",
            taken=euros(5_000),
            fee=euros(1_500),
            returned=None,
            fee_returned=euros(0),
        )

    @pytest.mark.parametrize("fee_returned", [False, True])
    async def test_a_won_one_gives_it_back(
        self, provider: StripeProvider, own: httpx.AsyncClient, *, fee_returned: bool
    ) -> None:
        payment_id = await captured(provider, request())
        opened = await said(own, "/sandbox/dispute", payment_intent=payment_id, amount=2_000)
        await said(own, f"/sandbox/dispute/{opened['id']}", outcome="won", fee_returned=fee_returned)
        seen = await provider.dispute(opened["id"])
        assert seen
        assert (seen.status, seen.taken, seen.returned) == (DisputeStatus.WON, euros(2_000), euros(2_000))
        assert (seen.fee, seen.fee_returned) == (euros(1_500), euros(1_500 if fee_returned else 0))

    async def test_a_lost_one_keeps_it(self, provider: StripeProvider, own: httpx.AsyncClient) -> None:
        payment_id = await captured(provider, request())
        opened = await said(own, "/sandbox/dispute", payment_intent=payment_id)
        await said(own, f"/sandbox/dispute/{opened['id']}", outcome="lost")
        seen = await provider.dispute(opened["id"])
        assert seen
        assert (seen.status, seen.taken, seen.returned) == (DisputeStatus.LOST, euros(5_000), None)

    async def test_an_inquiry_takes_nothing(self, provider: StripeProvider, own: httpx.AsyncClient) -> None:
        payment_id = await captured(provider, request())
        asked = await said(own, "/sandbox/dispute", payment_intent=payment_id, inquiry=True)
        seen = await provider.dispute(asked["id"])
        assert seen
        assert (seen.status, seen.taken) == (DisputeStatus.INQUIRY, None)


class TestReversals:
    async def test_a_part_of_a_transfer_is_taken_back(self, provider: StripeProvider) -> None:
        paid = request(10_000)
        await provider.charge(paid, await card(provider, paid))
        sent = await provider.transfer(request(4_000), "acct_creator")
        assert isinstance(sent, Succeeded)
        asked = request(1_500)
        assert isinstance(await provider.find_reversal(asked, sent.reference), NoEffect)
        back = await provider.reverse(asked, sent.reference)
        assert isinstance(back, Succeeded)
        assert await provider.find_reversal(asked, sent.reference) == back
        too_much = await provider.reverse(request(4_000), sent.reference)
        assert isinstance(too_much, NoEffect)


class Answers:
    """Stripe's answers by path, for what the sandbox does not do: many pages, refunds that come back."""

    def __init__(self, answers: Mapping[str, list[Any]]) -> None:
        self._answers = {path: list(reversed(given)) for path, given in answers.items()}

    async def get(self, path: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(self._answers[path].pop())


def refund(refund_id: str, **more: object) -> dict[str, Any]:
    given = {"id": refund_id, "amount": 100, "currency": "jpy", "status": "succeeded", "metadata": {}}
    return given | more


PLEDGE = uuid4()
INTENT = {"id": "pi_1", "metadata": {"pledge_id": str(PLEDGE)}}


class TestReading:
    async def test_refunds_are_read_page_by_page_oldest_first(self) -> None:
        pages = [
            {"data": [refund("re_3"), refund("re_2", status="pending")], "has_more": True},
            {"data": [refund("re_1", status="failed", failure_reason="lost_or_stolen_card")], "has_more": False},
        ]
        found = await refunds_of(Answers({"/v1/payment_intents/pi_1": [INTENT], "/v1/refunds": pages}).get, "pi_1")
        assert found
        assert [one.refund_id for one in found.refunds] == ["re_1", "re_2", "re_3"]
        assert found.refunds[0].status is RefundStatus.FAILED
        assert found.refunds[0].failure == "lost_or_stolen_card"
        assert found.refunds[1].status is RefundStatus.GIVEN
        assert found.refunds[2].amount == Money(amount=100, currency="JPY")

    async def test_a_dispute_of_a_payment_that_is_not_ours_is_left_alone(self) -> None:
        answers: dict[str, list[Any]] = {
            "/v1/disputes/du_1": [{"id": "du_1", "payment_intent": "pi_1", "currency": "eur"}],
            "/v1/payment_intents/pi_1": [{"id": "pi_1", "metadata": {}}],
        }
        assert await dispute(Answers(answers).get, "du_1") is None
