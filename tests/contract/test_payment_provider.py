"""What our Stripe adapter sends and understands, every exchange checked against Stripe's published description."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.money import Money
from payment.gateway import (
    ActionRequired,
    Card,
    Contention,
    Declined,
    Mismatch,
    NoEffect,
    Outcome,
    Request,
    Succeeded,
    Throttled,
    Unknown,
)
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


async def card(provider: StripeProvider, asked: Request, method: str = "pm_card_visa") -> Card:
    """A payment method in the hands of the pledge's own customer."""
    customer = await provider.create_customer(replace(asked, key=f"{asked.pledge_id}:customer"))
    assert isinstance(customer, str)
    return Card(customer, method)


async def authorize(provider: StripeProvider, asked: Request, method: str = "pm_card_visa") -> Outcome:
    return await provider.authorize(asked, await card(provider, asked, method))


async def charge(provider: StripeProvider, asked: Request, method: str = "pm_card_visa") -> Outcome:
    return await provider.charge(asked, await card(provider, asked, method))


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
    outcome = await authorize(provider, asked, "pm_card_visa")
    assert isinstance(outcome, Succeeded)
    return outcome.reference


class TestOutcomes:
    async def test_a_hold_from_beginning_to_end(self, provider: StripeProvider) -> None:
        asked = request()
        outcome = await authorize(provider, asked, "pm_card_visa")
        assert isinstance(outcome, Succeeded)
        assert outcome.capture_before is not None
        assert outcome.capture_before > datetime.now(UTC) + timedelta(days=4)
        assert await authorize(provider, asked, "pm_card_visa") == outcome
        capture = request(like=asked)
        taken = await provider.capture(capture, outcome.reference)
        assert isinstance(taken, Succeeded)
        assert (taken.reference, taken.fee) == (outcome.reference, Money(amount=100, currency="EUR"))
        assert await provider.find_capture(capture, outcome.reference) == taken
        assert await provider.operation_of(outcome.reference) == asked.operation_id

    async def test_a_capture_that_was_forgotten_is_found_with_its_hold(self, provider: StripeProvider) -> None:
        asked = request()
        given = await card(provider, asked)
        held = await provider.authorize(asked, given)
        assert isinstance(held, Succeeded)
        assert await provider.find_forgotten(asked, given.customer, takes=False) == held
        taken = await provider.capture(request(3_000, like=asked), held.reference)
        assert isinstance(taken, Succeeded)
        found = replace(taken, captured=Money(amount=3_000, currency="EUR"))
        assert await provider.find_forgotten(asked, given.customer, takes=False) == found
        another = request(3_000, like=asked)
        assert await provider.find_forgotten(another, given.customer, takes=True) == found
        assert isinstance(await provider.find_forgotten(another, given.customer, takes=False), NoEffect)
        assert await provider.follow(asked, held.reference) == found
        other_amount = await provider.find_forgotten(request(2_000, like=asked), given.customer, takes=True)
        assert isinstance(other_amount, Mismatch)

    async def test_a_hold_that_was_forgotten_counts_as_held_if_it_ever_was(self, provider: StripeProvider) -> None:
        asked = request()
        given = await card(provider, asked)
        assert isinstance(await provider.find_forgotten(asked, given.customer, takes=True), NoEffect)
        held = await provider.authorize(asked, given)
        assert isinstance(held, Succeeded)
        await provider.void(request(like=asked), held.reference)
        was_held = replace(held, capture_before=None)
        assert await provider.find_forgotten(asked, given.customer, takes=True) == was_held
        assert await provider.follow(asked, held.reference, forgotten=True) == was_held
        assert isinstance(await provider.follow(asked, held.reference), Declined)
        assert isinstance(await provider.find_forgotten(request(like=asked), given.customer, takes=True), NoEffect)
        never = request(like=asked)
        waits = await provider.authorize(never, replace(given, payment_method="pm_card_threeDSecure2Required"))
        assert isinstance(waits, ActionRequired)
        await provider.void(request(like=asked), waits.reference)
        assert isinstance(await provider.find_forgotten(never, given.customer, takes=True), Declined)

    async def test_a_charge_and_its_refund(self, provider: StripeProvider) -> None:
        asked = request()
        charged = await charge(provider, asked, "pm_card_visa")
        assert isinstance(charged, Succeeded)
        assert charged.fee == Money(amount=100, currency="EUR")
        refund = request(like=asked)
        assert isinstance(await provider.find_refund(refund, charged.reference), NoEffect)
        given = await provider.refund(refund, charged.reference)
        assert isinstance(given, Succeeded)
        assert await provider.find_refund(refund, charged.reference) == given

    async def test_a_refund_is_found_by_its_purpose(self, provider: StripeProvider) -> None:
        asked = request()
        charged = await charge(provider, asked)
        assert isinstance(charged, Succeeded)
        first = replace(request(1_000, like=asked), purpose="first")
        given = await provider.refund(first, charged.reference)
        assert await provider.find_refund(replace(first, operation_id=uuid4()), charged.reference) == given
        assert isinstance(await provider.find_refund(replace(first, purpose="second"), charged.reference), NoEffect)

    async def test_the_card_that_was_used_is_good_for_the_next_hold_when_nobody_is_there(
        self, provider: StripeProvider
    ) -> None:
        asked = request()
        given = await card(provider, asked)
        held = await provider.authorize(asked, given)
        assert isinstance(held, Succeeded)
        again = await provider.authorize(
            request(like=asked), Card(given.customer, held.payment_method, off_session=True)
        )
        assert isinstance(again, Succeeded)
        assert again.reference != held.reference
        assert again.capture_before is not None
        assert again.capture_before < datetime.now(UTC) + timedelta(days=5)  # Visa, off session

    async def test_a_bank_that_wants_the_backer(self, provider: StripeProvider, sandbox: Sandbox) -> None:
        asked = request()
        wanted = await authorize(provider, asked, "pm_card_authenticationRequired")
        assert isinstance(wanted, ActionRequired)
        assert await provider.follow(request(like=asked), wanted.reference) == wanted
        action = await provider.next_action(wanted.reference)
        assert action is not None
        assert action.client_secret.startswith(wanted.reference)
        await sandbox.raw.post(f"/sandbox/authenticate/{wanted.reference}", data={"result": "passed"})
        held = await provider.follow(request(like=asked), wanted.reference)
        assert isinstance(held, Succeeded)
        assert await provider.next_action(wanted.reference) is None

    async def test_a_bank_that_refuses_the_backer(self, provider: StripeProvider, sandbox: Sandbox) -> None:
        asked = request()
        wanted = await authorize(provider, asked, "pm_card_authenticationRequired")
        assert isinstance(wanted, ActionRequired)
        await sandbox.raw.post(f"/sandbox/authenticate/{wanted.reference}", data={"result": "failed"})
        assert isinstance(await provider.follow(request(like=asked), wanted.reference), Declined)

    async def test_a_bank_that_wants_somebody_who_is_not_there(self, provider: StripeProvider) -> None:
        asked = request()
        given = replace(await card(provider, asked, "pm_card_authenticationRequired"), off_session=True)
        assert await provider.authorize(asked, given) == Declined("authentication_required")

    async def test_a_void(self, provider: StripeProvider) -> None:
        asked = request()
        hold_id = await hold(provider, asked)
        void = request(like=asked)
        assert isinstance(await provider.find_void(void, hold_id), NoEffect)
        assert await provider.void(void, hold_id) == Succeeded(hold_id)
        assert await provider.void(request(like=asked), hold_id) == Succeeded(hold_id)  # another key: already done
        assert await provider.capture(request(like=asked), hold_id) == Declined("hold_expired", hard=True)

    async def test_a_transfer(self, provider: StripeProvider) -> None:
        await charge(provider, request(10_000), "pm_card_visa")
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
            ("pm_nobody_knows", Declined("resource_missing", hard=True)),
        ],
    )
    async def test_declines(self, provider: StripeProvider, method: str, expected: Declined) -> None:
        assert await authorize(provider, request(), method) == expected
        assert await charge(provider, request(), method) == expected

    async def test_zero_and_three_decimal_currencies(self, provider: StripeProvider) -> None:
        yen = await charge(provider, request(5_000, "JPY"), "pm_card_visa")
        dinar = await charge(provider, request(5_000, "KWD"), "pm_card_visa")
        assert isinstance(yen, Succeeded)
        assert isinstance(dinar, Succeeded)
        assert (yen.fee, dinar.fee) == (Money(amount=100, currency="JPY"), Money(amount=100, currency="KWD"))

    async def test_a_fee_with_a_fraction_of_our_minor_unit_is_for_a_person(self, provider: StripeProvider) -> None:
        """Stripe counts hundredths of a króna, ISO 4217 none. Asked again it would say the same."""
        whole = await charge(provider, request(5_050, "ISK"), "pm_card_visa")
        assert isinstance(whole, Succeeded)
        assert whole.fee == Money(amount=76, currency="ISK")
        asked = request(5_000, "ISK")
        held = await hold(provider, asked)
        taken = await provider.capture(request(5_000, "ISK", like=asked), held)
        read_back = await provider.find_capture(request(5_000, "ISK", like=asked), held)
        for outcome in (await charge(provider, request(5_000, "ISK"), "pm_card_visa"), taken, read_back):
            assert isinstance(outcome, Mismatch)
            assert "a fraction of a minor unit of ISK" in outcome.reason

    async def test_an_amount_that_stripe_cannot_say_is_declined(self, provider: StripeProvider) -> None:
        assert await authorize(provider, request(5_005, "KWD"), "pm_card_visa") == Declined(
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
        assert isinstance(await authorize(provider, request(), "pm_card_visa"), expected)
        await hold(provider, request())

    async def test_a_payment_whose_answer_was_lost_is_found_in_the_list_of_its_customer(
        self, provider: StripeProvider, sandbox: Sandbox
    ) -> None:
        asked = request()
        given = await card(provider, asked)
        assert isinstance(await provider.find_payment(asked, given.customer), NoEffect)
        await sandbox.fault(kind="drop", when="after", path=CREATE, method="POST")
        assert isinstance(await provider.authorize(asked, given), Unknown)
        found = await provider.find_payment(asked, given.customer)
        assert isinstance(found, Succeeded)
        assert await provider.authorize(asked, given) == found
        assert isinstance(await provider.find_payment(request(like=asked), given.customer), NoEffect)

    async def test_another_request_under_the_same_key_is_unknown(self, provider: StripeProvider) -> None:
        asked = request()
        await hold(provider, asked)
        other = Request(asked.operation_id, asked.campaign_id, asked.pledge_id, request(1_000).amount, asked.key)
        assert isinstance(await authorize(provider, other, "pm_card_visa"), Unknown)

    async def test_an_answer_about_something_else_is_a_mismatch(
        self, provider: StripeProvider, sandbox: Sandbox
    ) -> None:
        mine, strange = request(), request()
        given = await card(provider, mine)
        held = await provider.authorize(mine, given)
        assert isinstance(held, Succeeded)
        hold_id = held.reference
        assert isinstance(await provider.follow(strange, hold_id), Mismatch)
        assert isinstance(await provider.find_void(strange, hold_id), Mismatch)
        await sandbox.sdk.v1.payment_intents.capture_async(hold_id)  # by somebody else
        assert isinstance(await provider.follow(mine, hold_id), Mismatch)
        assert isinstance(await provider.find_forgotten(mine, given.customer, takes=False), Mismatch)
        assert isinstance(await provider.find_forgotten(request(like=mine), given.customer, takes=True), Mismatch)
        assert isinstance(await provider.find_capture(request(4_999, like=mine), hold_id), Mismatch)
        assert isinstance(await provider.find_void(mine, hold_id), Mismatch)
