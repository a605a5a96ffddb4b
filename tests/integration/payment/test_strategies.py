"""How a pledge's money is secured (DOMAIN Y3, Y4), on real servers, the sandbox's clock and the service's together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from contracts.campaign import PaymentStrategy
from contracts.payment import (
    PaymentActionRequired,
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentHoldRenewed,
    PaymentVoided,
)
from contracts.pledge import PledgePlaced
from deploy.local.provision import Provisioned
from eventing.clock import DatabaseClock
from eventing.tokens import Role
from payment.app import HOUSE, Settings
from tests.contract.stripe_sandbox_server import API_KEY
from tests.integration.payment.conftest import TIMEOUT_SECONDS
from tests.integration.payment.platform import Platform, Sandbox, euros, until
from tests.integration.served import Served, served

ASKS = "pm_card_authenticationRequired"


@dataclass
class Month:
    """A payment service whose clock, and the sandbox's with it, is moved on by the test."""

    platform: Platform
    service: Served
    clock: DatabaseClock = field(default_factory=DatabaseClock)

    async def pass_(self, time: timedelta) -> None:
        await self.platform.sandbox.raw.post("/sandbox/clock", json={"advance_seconds": int(time.total_seconds())})
        self.clock.offset += time

    async def place(self, **changed: Any) -> PledgePlaced:
        placed = self.platform.placed(**changed)
        await self.platform.tell(placed)
        return placed

    async def live_holds(self) -> tuple[int, int]:
        return await self.platform.sandbox.line(self.platform.campaign_id, "held")


@asynccontextmanager
async def _month(provisioned: Provisioned, sandbox: Sandbox) -> AsyncIterator[Month]:
    clock = DatabaseClock()
    async with served(
        HOUSE,
        Settings,
        provisioned,
        clock,
        stripe_api_key=SecretStr(API_KEY),
        stripe_api_base=sandbox.address,
        stripe_webhook_secrets=SecretStr("whsec_test"),
        stripe_timeout_seconds=TIMEOUT_SECONDS,
    ) as service:
        platform = Platform(service.runtime.commit, service.runtime.pool, sandbox)
        await platform.tell(platform.launched())
        yield Month(platform, service, clock)


@pytest.fixture
async def month(provisioned: Provisioned, sandbox: Sandbox) -> AsyncIterator[Month]:
    async with _month(provisioned, sandbox) as made:
        yield made


async def answer(month: Month, required: PaymentActionRequired, result: str) -> None:
    """The backer at the bank's page."""
    raw = month.platform.sandbox.raw
    (await raw.post(f"/sandbox/authenticate/{required.hold_id}", data={"result": result})).raise_for_status()


async def next_action(month: Month, placed: PledgePlaced, **who: object) -> httpx.Response:
    bearer = month.service.bearer(who.get("person", placed.backer_id), who.get("role", Role.BACKER))  # type: ignore[arg-type]  # as given
    return await month.service.http.get(f"/pledges/{placed.pledge_id}/next-action", headers=bearer)


class TestAuthentication:
    @pytest.mark.parametrize("strategy", [PaymentStrategy.HOLD, PaymentStrategy.SAVED_CARD])
    async def test_a_backer_who_passes_has_pledged(self, month: Month, strategy: PaymentStrategy) -> None:
        placed = await month.place(payment_method=ASKS, strategy=strategy)
        required = await month.platform.until_said(placed.pledge_id, PaymentActionRequired)
        action = await next_action(month, placed)
        assert action.status_code == 200
        assert action.json()["client_secret"].startswith(required.hold_id)
        assert action.headers["Cache-Control"] == "no-store"
        await answer(month, required, "passed")
        authorized = await month.platform.until_said(placed.pledge_id, PaymentAuthorized)
        assert authorized.hold_id == required.hold_id
        assert (await next_action(month, placed)).status_code == 404
        await month.platform.books_agree()

    async def test_the_way_to_the_bank_is_for_its_backer_alone(self, month: Month) -> None:
        placed = await month.place(payment_method=ASKS)
        await month.platform.until_said(placed.pledge_id, PaymentActionRequired)
        assert (await next_action(month, placed, person=month.platform.creator_id)).status_code == 404
        assert (await next_action(month, placed, role=Role.CREATOR)).status_code == 403
        stored = await month.service.runtime.pool.fetch("SELECT data::text || meta::text AS text FROM event")
        assert not any("_secret_" in row["text"] for row in stored)

    async def test_a_backer_who_does_not_pass_is_declined(self, month: Month) -> None:
        placed = await month.place(payment_method=ASKS)
        await answer(month, await month.platform.until_said(placed.pledge_id, PaymentActionRequired), "failed")
        await month.platform.until_said(placed.pledge_id, PaymentDeclined)
        assert await month.live_holds() == (0, 0)

    async def test_a_backer_who_never_comes_leaves_nothing_behind(self, month: Month) -> None:
        placed = await month.place(payment_method=ASKS)
        required = await month.platform.until_said(placed.pledge_id, PaymentActionRequired)
        await month.platform.tell(month.platform.declined(placed))
        await month.platform.until_quiet()
        intent = await month.platform.sandbox.raw.get(f"/v1/payment_intents/{required.hold_id}")
        assert intent.json()["status"] == "canceled"
        assert await month.platform.balances() == {}


class TestSavedCard:
    async def test_is_charged_when_the_capture_is_asked_for(self, month: Month) -> None:
        placed = await month.place(strategy=PaymentStrategy.SAVED_CARD)
        authorized = await month.platform.until_said(placed.pledge_id, PaymentAuthorized)
        assert authorized.hold_id.startswith("seti_")
        assert await month.live_holds() == (0, 0)
        await month.pass_(timedelta(days=45))
        await month.platform.tell(month.platform.capture(placed))
        captured = await month.platform.until_said(placed.pledge_id, PaymentCaptured)
        assert captured.amount == euros(5000)
        await month.platform.books_agree()

    async def test_is_forgotten_when_the_campaign_fails(self, month: Month) -> None:
        placed = await month.place(strategy=PaymentStrategy.SAVED_CARD)
        authorized = await month.platform.until_said(placed.pledge_id, PaymentAuthorized)
        await month.platform.tell(month.platform.void(placed))
        await month.platform.until_said(placed.pledge_id, PaymentVoided)
        method = await month.platform.sandbox.raw.get(f"/v1/payment_methods/{authorized.payment_method}")
        assert method.json()["customer"] is None


class TestRenewal:
    async def test_a_campaign_of_sixty_days_has_a_live_hold_of_each_pledge_on_every_day(self, month: Month) -> None:
        """Visa's window off session, 4 days 18 hours: DOMAIN Y3's hold is renewed well before it (Y4)."""
        placed = [await month.place() for _ in range(3)]
        for one in placed:
            await month.platform.until_said(one.pledge_id, PaymentAuthorized)
        for _ in range(60):
            await month.pass_(timedelta(days=1))
            await until(lambda: _nothing_due(month))
            assert await month.live_holds() == (3, 15_000)
        await month.platform.books_agree(swapped=True)
        for one in placed:
            said = await month.platform.said(one.pledge_id)
            renewals = [event for event in said if isinstance(event, PaymentHoldRenewed)]
            assert len(renewals) >= 60 / 5
            assert not any(isinstance(event, PaymentAtRisk) for event in said)
            await month.platform.tell(month.platform.capture(one))
            await month.platform.until_said(one.pledge_id, PaymentCaptured)
        assert await month.platform.sandbox.line(month.platform.campaign_id, "captured") == (3, 15_000)
        await month.platform.books_agree(swapped=True)

    async def test_a_card_that_says_no_puts_the_pledge_at_risk_until_it_says_yes(self, month: Month) -> None:
        placed = await month.place()
        first = await month.platform.until_said(placed.pledge_id, PaymentAuthorized)
        await _card(month, first.payment_method, "processing_error")
        await month.pass_(timedelta(days=5))
        risk = await month.platform.until_said(placed.pledge_id, PaymentAtRisk)
        assert (risk.hold_id, risk.lost) == (first.hold_id, False)
        assert await month.live_holds() == (1, 5000)
        await _card(month, first.payment_method, None)
        await month.pass_(timedelta(hours=2))
        renewed = await month.platform.until_said(placed.pledge_id, PaymentHoldRenewed)
        assert renewed.previous_hold_id == first.hold_id
        await month.platform.until_quiet()
        assert await month.live_holds() == (1, 5000)
        await month.platform.books_agree(swapped=True)

    async def test_a_hold_that_lapsed_is_noticed_and_sought_again(self, month: Month) -> None:
        placed = await month.place()
        first = await month.platform.until_said(placed.pledge_id, PaymentAuthorized)
        await month.pass_(timedelta(days=8))  # nobody was there for a week
        await month.platform.until_said(placed.pledge_id, PaymentHoldRenewed)
        await month.platform.until_quiet()
        risks = [event for event in await month.platform.said(placed.pledge_id) if isinstance(event, PaymentAtRisk)]
        assert [(risk.hold_id, risk.lost) for risk in risks] == [(first.hold_id, True)]
        assert await month.live_holds() == (1, 5000)
        await month.platform.books_agree()

    async def test_an_extended_hold_is_kept_for_weeks(self, month: Month) -> None:
        placed = await month.place(strategy=PaymentStrategy.EXTENDED_HOLD)
        first = await month.platform.until_said(placed.pledge_id, PaymentAuthorized)
        await month.pass_(timedelta(days=20))
        await until(lambda: _nothing_due(month))
        assert first.capture_before is not None
        assert await month.live_holds() == (1, 5000)
        assert not any(isinstance(event, PaymentHoldRenewed) for event in await month.platform.said(placed.pledge_id))


async def _card(month: Month, method: str, decline: str | None) -> None:
    raw = month.platform.sandbox.raw
    (await raw.post("/sandbox/cards", json={"payment_method": method, "decline": decline})).raise_for_status()


async def _nothing_due(month: Month) -> bool:
    query = """
        SELECT NOT EXISTS (SELECT FROM operation WHERE decided_at IS NULL)
           AND NOT EXISTS (SELECT FROM renewal WHERE due_at <= clock_timestamp() + $1)
    """
    return bool(await month.service.runtime.pool.fetchval(query, month.clock.offset))
