"""A campaign's statement over HTTP: its lines add up to its payouts and to the provider's books (DOMAIN Y10)."""

import csv
import io
from typing import Any

import pytest

from contracts.campaign import PaymentStrategy
from contracts.ids import new_id
from contracts.money import Money
from contracts.payment import PaymentCaptured, PaymentDisputeOpened, PaymentRefunded, PayoutSent
from eventing.tokens import Role
from payment.look_ups import DisputeLookUp
from payment.stripe_gateway import StripeProvider
from tests.contract.stripe_sandbox_server import API_KEY
from tests.integration.payment.platform import Platform, until
from tests.integration.served import Served


@pytest.fixture
def more_settings() -> dict[str, Any]:
    return {"payout_reserve_bps": 500}


async def lived(platform: Platform) -> PayoutSent:
    """Two pledges stay, one is refunded, one is disputed; then the payout, and after it one more refund."""
    pledges = [platform.placed(minor, strategy=PaymentStrategy.IMMEDIATE) for minor in (20_000, 10_001, 4_000, 3_000)]
    await platform.tell(*pledges)
    payments = [(await platform.until_said(one.pledge_id, PaymentCaptured)).hold_id for one in pledges]
    await platform.tell(platform.cancelled(pledges[2]))
    await platform.until_said(pledges[2].pledge_id, PaymentRefunded)
    answer = await platform.sandbox.raw.post("/sandbox/dispute", json={"payment_intent": payments[3]})
    provider = StripeProvider(API_KEY, platform.sandbox.address, timeout_seconds=5)
    assert await DisputeLookUp(platform.commit, provider)(answer.json()["id"])
    await provider.close()
    await platform.until_said(pledges[3].pledge_id, PaymentDisputeOpened)
    await platform.tell(platform.payout(37_001))
    sent = await platform.until_said(platform.campaign_id, PayoutSent)
    await platform.tell(platform.cancelled(pledges[1]))
    await platform.until_said(pledges[1].pledge_id, PaymentRefunded)
    return sent


def total(lines: list[dict[str, Any]], *kinds: str) -> int:
    return sum(line["amount"]["amount"] for line in lines if not kinds or line["kind"] in kinds)


async def test_lines_add_up_to_the_payout_and_the_balance(platform: Platform, service: Served) -> None:
    sent = await lived(platform)
    creator = service.bearer(platform.creator_id, Role.CREATOR)
    body = (await service.http.get(f"/campaigns/{platform.campaign_id}/statement", headers=creator)).json()
    lines = body["lines"]
    assert total(lines, "capture") == 37_001
    assert total(lines, "provider_fee") == -(325 + 175 + 85 + 70)
    assert sorted(line["amount"]["amount"] for line in lines if line["kind"] == "refund") == [-10_001, -4_000]
    assert total(lines, "dispute") == -(3_000 + 1_500)
    assert total(lines, "platform_fee") == -(33_001 * 5 // 100)
    assert total(lines, "payout") == -sent.amount.amount
    assert total(lines) == body["balance"]["amount"] == -10_001  # the refund after the payout
    assert total(body["totals"]) == total(lines)
    (payout,) = body["payouts"]
    assert sum(part["amount"]["amount"] for part in payout["parts"]) == payout["amount"]["amount"] == sent.amount.amount
    assert (payout["number"], payout["kind"], payout["transfer_id"]) == (1, "main", sent.transfer_id)
    assert await platform.sandbox.line(platform.campaign_id, "transferred") == (1, sent.amount.amount)


async def test_the_csv_has_the_same_lines(platform: Platform, service: Served) -> None:
    await lived(platform)
    operator = service.bearer(new_id(), Role.OPERATOR)
    address = f"/campaigns/{platform.campaign_id}/statement"
    lines = (await service.http.get(address, headers=operator)).json()["lines"]
    answer = await service.http.get(f"{address}.csv", headers=operator)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [
        {"date": row["date"], "kind": row["kind"], "count": int(row["count"]), "pledge_id": row["pledge_id"] or None}
        | {"amount": {"amount": int(row["amount_minor"]), "currency": row["currency"]}}
        for row in rows
    ] == lines
    assert all(str(Money(amount=int(row["amount_minor"]), currency="EUR")) == f"{row['amount']} EUR" for row in rows)


async def test_before_anything_was_booked_it_is_empty(platform: Platform, service: Served) -> None:
    creator = service.bearer(platform.creator_id, Role.CREATOR)
    body = (await service.http.get(f"/campaigns/{platform.campaign_id}/statement", headers=creator)).json()
    assert (body["lines"], body["payouts"], body["balance"]) == ([], [], None)


async def test_says_why_the_payout_waits(platform: Platform, service: Served) -> None:
    await platform.tell(platform.payout(5_000))
    creator = service.bearer(platform.creator_id, Role.CREATOR)
    address = f"/campaigns/{platform.campaign_id}/statement"

    async def says() -> bool:
        body = (await service.http.get(address, headers=creator)).json()
        return bool(body["payout_waits"] == "captured_differs")

    await until(says)


@pytest.mark.parametrize("suffix", ["", ".csv"])
async def test_nobody_else_sees_it(platform: Platform, service: Served, suffix: str) -> None:
    address = f"/campaigns/{platform.campaign_id}/statement{suffix}"
    stranger = await service.http.get(address, headers=service.bearer(new_id(), Role.CREATOR))
    backer = await service.http.get(address, headers=service.bearer(new_id(), Role.BACKER))
    assert (stranger.status_code, backer.status_code) == (404, 403)
    assert (await service.http.get(address)).status_code == 401
