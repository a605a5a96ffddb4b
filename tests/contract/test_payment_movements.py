"""What our Stripe adapter says of the movements of the balance, every exchange checked against Stripe's description."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from contracts.money import Money
from payment import stripe_movements
from payment.gateway import Card, LookupFailedError, Movement, MovementKind, Request, Succeeded
from payment.stripe_gateway import StripeProvider
from tests.contract.stripe_openapi import CheckedClient
from tests.contract.stripe_sandbox_server import API_KEY, Sandbox

MOVEMENTS = "/v1/balance_transactions"


@pytest.fixture
async def provider(sandbox: Sandbox) -> AsyncIterator[StripeProvider]:
    client = CheckedClient(timeout=2)
    made = StripeProvider(API_KEY, sandbox.base, timeout_seconds=2, http_client=client)
    yield made
    assert client.exchanges > 0
    await made.close()


def request(minor: int, currency: str = "EUR", like: Request | None = None) -> Request:
    operation_id = uuid4()
    return Request(
        operation_id,
        like.campaign_id if like else uuid4(),
        like.pledge_id if like else uuid4(),
        Money(amount=minor, currency=currency),
        str(operation_id),
    )


async def charged(provider: StripeProvider, asked: Request) -> str:
    customer = await provider.create_customer(replace(asked, key=f"{asked.pledge_id}:customer"))
    assert isinstance(customer, str)
    outcome = await provider.charge(asked, Card(customer, "pm_card_visa"))
    assert isinstance(outcome, Succeeded)
    return outcome.reference


async def moved(provider: StripeProvider, seconds: float = 60) -> list[Movement]:
    now = datetime.now(UTC)
    around = provider.movements(now - timedelta(seconds=seconds), now + timedelta(seconds=seconds))
    return [movement async for page in around for movement in page]


async def test_a_charge_a_refund_and_a_transfer_say_what_they_are_about(provider: StripeProvider) -> None:
    asked = request(10_000)
    payment = await charged(provider, asked)
    refund = await provider.refund(request(1_000, like=asked), payment)
    sent = await provider.transfer(request(4_000, like=asked), "acct_creator")
    assert isinstance(refund, Succeeded)
    assert isinstance(sent, Succeeded)
    transfer, back, charge = await moved(provider)
    about = (asked.campaign_id, asked.pledge_id)
    assert (charge.kind, charge.amount, charge.fee, charge.net) == (MovementKind.CHARGE, 10_000, 175, 9_825)
    assert (charge.payment, charge.campaign_id, charge.pledge_id) == (payment, *about)
    assert (back.kind, back.amount, back.fee, back.source) == (MovementKind.REFUND, -1_000, 0, refund.reference)
    assert (back.payment, back.campaign_id) == (payment, asked.campaign_id)
    assert (transfer.kind, transfer.amount, transfer.source) == (MovementKind.TRANSFER, -4_000, sent.reference)
    assert (transfer.campaign_id, transfer.currency) == (asked.campaign_id, "EUR")


async def test_amounts_are_in_our_minor_units(provider: StripeProvider) -> None:
    await charged(provider, request(5_000, "JPY"))
    await charged(provider, request(5_000, "KWD"))
    assert [(one.amount, one.currency) for one in await moved(provider)] == [(5_000, "KWD"), (5_000, "JPY")]


async def test_all_pages_come_each_movement_once(provider: StripeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_movements, "PAGE", 2)  # five charges in place of two hundred
    for minor in range(1_000, 1_005):
        await charged(provider, request(minor))
    assert [one.amount for one in await moved(provider)] == [1_004, 1_003, 1_002, 1_001, 1_000]


async def test_what_is_outside_the_time_is_left_out(provider: StripeProvider) -> None:
    await charged(provider, request(1_000))
    before = datetime.now(UTC) - timedelta(hours=1)
    assert [page async for page in provider.movements(before - timedelta(hours=1), before)] == [[]]


async def test_an_answer_that_is_lost_is_asked_for_again(provider: StripeProvider, sandbox: Sandbox) -> None:
    await charged(provider, request(1_000))
    await sandbox.fault(kind="html", path=MOVEMENTS)
    assert len(await moved(provider)) == 1


async def test_a_provider_that_never_answers_is_told_of(
    provider: StripeProvider, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_movements, "AGAIN_SECONDS", 0)
    for _ in range(stripe_movements.TRIES):
        await sandbox.fault(kind="error", path=MOVEMENTS)
    with pytest.raises(LookupFailedError):
        await moved(provider)
    assert await moved(provider) == []


def row(**changed: Any) -> dict[str, Any]:
    dispute = {"id": "dp_1", "object": "dispute", "payment_intent": "pi_1", "metadata": {}}
    given = {"id": "txn_1", "type": "adjustment", "amount": -5_000, "fee": 1_500, "currency": "eur", "created": 0}
    return {**given, "source": dispute, **changed}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, MovementKind.DISPUTE),
        ({"amount": 5_000, "fee": -1_500}, MovementKind.DISPUTE_RETURN),
        ({"source": None}, MovementKind.OTHER),
        ({"type": "transfer_refund", "source": "trr_1"}, MovementKind.OTHER),
        ({"type": "payout_failure", "source": "po_1"}, MovementKind.OWN),
        ({"type": "stripe_fee", "source": None}, MovementKind.OWN),
    ],
)
async def test_kinds_that_the_sandbox_does_not_make(changed: dict[str, Any], expected: MovementKind) -> None:
    async def get(_path: str, _params: object) -> dict[str, Any]:
        return {"data": [row(**changed)], "has_more": False}

    ((found,),) = [page async for page in stripe_movements.pages(get, datetime.now(UTC), datetime.now(UTC))]
    assert found.kind is expected


async def test_an_answer_that_nobody_can_read_is_told_of() -> None:
    async def get(_path: str, _params: object) -> dict[str, Any]:
        return {"data": [{"id": "txn_1"}], "has_more": False}

    with pytest.raises(LookupFailedError):
        [page async for page in stripe_movements.pages(get, datetime.now(UTC), datetime.now(UTC))]
