"""What our Stripe adapter sends and understands, every exchange checked against Stripe's published description."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.money import Money
from payment.gateway import Contention, Declined, Mismatch, NoEffect, Request, Succeeded, Throttled, Unknown
from payment.stripe_gateway import StripeProvider
from tests.contract.stripe_openapi import CheckedClient
from tests.contract.stripe_sandbox_server import API_KEY, Sandbox

CREATE = "/v1/payment_intents"


def request(minor: int = 5000, currency: str = "EUR", like: Request | None = None) -> Request:
    """A call about a new pledge, or another call about the pledge of an earlier one."""
    operation_id = uuid4()
    return Request(
        operation_id=operation_id,
        campaign_id=like.campaign_id if like else uuid4(),
        pledge_id=like.pledge_id if like else uuid4(),
        amount=Money(amount=minor, currency=currency),
        key=str(operation_id),
    )


@pytest.fixture
async def checked() -> AsyncIterator[CheckedClient]:
    client = CheckedClient(timeout=2)
    yield client
    assert client.exchanges > 0


@pytest.fixture
async def provider(sandbox: Sandbox, checked: CheckedClient) -> AsyncIterator[StripeProvider]:
    made = StripeProvider(API_KEY, sandbox.base, timeout_seconds=2, http_client=checked)
    yield made
    await made.close()


async def hold(provider: StripeProvider, asked: Request) -> str:
    outcome = await provider.authorize(asked, "pm_card_visa")
    assert isinstance(outcome, Succeeded)
    return outcome.reference


class TestOutcomes:
    async def test_a_hold_from_beginning_to_end(self, provider: StripeProvider) -> None:
        asked = request()
        outcome = await provider.authorize(asked, "pm_card_visa")
        assert isinstance(outcome, Succeeded)
        assert outcome.capture_before is not None
        assert outcome.capture_before > datetime.now(UTC) + timedelta(days=4)
        assert await provider.authorize(asked, "pm_card_visa") == outcome
        capture = request(like=asked)
        taken = await provider.capture(capture, outcome.reference)
        assert taken == Succeeded(outcome.reference, fee=Money(amount=100, currency="EUR"))
        assert await provider.find_capture(capture, outcome.reference) == taken
        assert await provider.operation_of(outcome.reference) == capture.operation_id

    async def test_a_charge_and_its_refund(self, provider: StripeProvider) -> None:
        asked = request()
        charged = await provider.charge(asked, "pm_card_visa")
        assert isinstance(charged, Succeeded)
        assert charged.fee == Money(amount=100, currency="EUR")
        refund = request(like=asked)
        assert isinstance(await provider.find_refund(refund, charged.reference), NoEffect)
        given = await provider.refund(refund, charged.reference)
        assert isinstance(given, Succeeded)
        assert await provider.find_refund(refund, charged.reference) == given

    async def test_a_void(self, provider: StripeProvider) -> None:
        asked = request()
        hold_id = await hold(provider, asked)
        void = request(like=asked)
        assert isinstance(await provider.find_void(void, hold_id), NoEffect)
        assert await provider.void(void, hold_id) == Succeeded(hold_id)
        assert await provider.void(request(like=asked), hold_id) == Succeeded(hold_id)  # another key: already done
        assert await provider.capture(request(like=asked), hold_id) == Declined("hold_expired", hard=True)

    async def test_a_transfer(self, provider: StripeProvider) -> None:
        await provider.charge(request(10_000), "pm_card_visa")
        asked = request(4_000)
        assert isinstance(await provider.find_transfer(asked), NoEffect)
        sent = await provider.transfer(asked, "acct_creator")
        assert isinstance(sent, Succeeded)
        assert await provider.find_transfer(asked) == sent
        assert await provider.transfer(request(10**7), "acct_creator") == NoEffect("balance_insufficient")

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            ("pm_card_visa_chargeDeclined", Declined("generic_decline")),
            ("pm_card_visa_chargeDeclinedInsufficientFunds", Declined("insufficient_funds")),
            ("pm_card_visa_chargeDeclinedLostCard", Declined("lost_card", hard=True)),
            ("pm_card_visa_chargeDeclinedStolenCard", Declined("stolen_card", hard=True)),
            ("pm_card_chargeDeclinedExpiredCard", Declined("expired_card")),
            ("pm_card_authenticationRequired", Declined("authentication_required")),
            ("pm_nobody_knows", Declined("resource_missing", hard=True)),
        ],
    )
    async def test_declines(self, provider: StripeProvider, method: str, expected: Declined) -> None:
        assert await provider.authorize(request(), method) == expected
        assert await provider.charge(request(), method) == expected

    async def test_zero_and_three_decimal_currencies(self, provider: StripeProvider) -> None:
        yen = await provider.charge(request(5_000, "JPY"), "pm_card_visa")
        dinar = await provider.charge(request(5_000, "KWD"), "pm_card_visa")
        assert isinstance(yen, Succeeded)
        assert isinstance(dinar, Succeeded)
        assert (yen.fee, dinar.fee) == (Money(amount=100, currency="JPY"), Money(amount=100, currency="KWD"))

    async def test_an_amount_that_stripe_cannot_say_is_declined(self, provider: StripeProvider) -> None:
        assert await provider.authorize(request(5_005, "KWD"), "pm_card_visa") == Declined(
            "amount_not_supported", hard=True
        )
        await hold(provider, request())


class TestTrouble:
    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            ({"kind": "error"}, Unknown),
            ({"kind": "html"}, Unknown),
            ({"kind": "text"}, Unknown),
            ({"kind": "drop"}, Unknown),
            ({"kind": "delay", "seconds": 3}, Unknown),
            ({"kind": "throttle"}, Throttled),
            ({"kind": "lock_timeout"}, Contention),
        ],
    )
    async def test_is_never_taken_for_a_failure(
        self, provider: StripeProvider, sandbox: Sandbox, fault: dict[str, object], expected: type
    ) -> None:
        await sandbox.fault(**fault, path=CREATE, method="POST")
        assert isinstance(await provider.authorize(request(), "pm_card_visa"), expected)
        await hold(provider, request())

    async def test_a_payment_whose_answer_was_lost_is_found(self, provider: StripeProvider, sandbox: Sandbox) -> None:
        asked, since = request(), datetime.now(UTC)
        assert isinstance(await provider.find_payment(asked, since, None), NoEffect)
        await sandbox.fault(kind="drop", when="after", path=CREATE, method="POST")
        assert isinstance(await provider.authorize(asked, "pm_card_visa"), Unknown)
        found = await provider.find_payment(asked, since, None)
        assert isinstance(found, Succeeded)
        assert await provider.find_payment(asked, since, found.reference) == found

    async def test_another_request_under_the_same_key_is_unknown(self, provider: StripeProvider) -> None:
        asked = request()
        await hold(provider, asked)
        other = Request(asked.operation_id, asked.campaign_id, asked.pledge_id, request(1_000).amount, asked.key)
        assert isinstance(await provider.authorize(other, "pm_card_visa"), Unknown)

    async def test_an_answer_about_something_else_is_a_mismatch(self, provider: StripeProvider) -> None:
        mine, strange = request(), request()
        hold_id = await hold(provider, mine)
        assert isinstance(await provider.find_payment(strange, datetime.now(UTC), hold_id), Mismatch)
        assert isinstance(await provider.find_payment(request(like=mine), datetime.now(UTC), hold_id), Mismatch)
        assert isinstance(await provider.find_void(strange, hold_id), Mismatch)
        await provider.capture(request(like=mine), hold_id)
        assert isinstance(await provider.find_payment(mine, datetime.now(UTC), hold_id), Mismatch)
        assert isinstance(await provider.find_capture(request(4_999, like=mine), hold_id), Mismatch)
        assert isinstance(await provider.find_void(mine, hold_id), Mismatch)
