"""What is done in the provider's dashboard comes in by its webhooks and is booked (DOMAIN Y5, Y8, Y9)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from contracts.payment import PaymentDisputeClosed, PaymentDisputeOpened, PaymentRefunded
from contracts.pledge import PledgePlaced
from eventing.tokens import Role
from tests.integration.payment.platform import Platform, Sandbox, euros, until
from tests.integration.payment.test_disputes import FEE, agree, charged, decided, disputed
from tests.integration.payment.test_refunds import given, in_dashboard, payment_of
from tests.integration.served import Served

EVENTS = (  # as the guide to payments says
    "payment_intent.amount_capturable_updated",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "setup_intent.succeeded",
    "setup_intent.setup_failed",
    "refund.created",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.closed",
)
DAY_SECONDS = 86_400.0


@dataclass
class Front:
    """The address that the provider knows, before the service is there: passes on what comes, as a gateway does."""

    url: str = ""
    service: Served | None = None
    statuses: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        if self.service is None:
            return web.Response(status=503)
        body, headers = await request.read(), {"Stripe-Signature": request.headers["Stripe-Signature"]}
        headers["Content-Type"] = request.headers["Content-Type"]
        answer = await self.service.http.post("/webhooks/stripe", content=body, headers=headers)
        self.statuses.append(answer.status_code)
        return web.Response(status=answer.status_code)


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    door, application = Front(), web.Application()
    application.router.add_post("/webhooks/stripe", door.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    door.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/stripe"
    yield door
    await runner.cleanup()


@pytest.fixture
def sweep_seconds() -> float:
    """How often the provider's list of events is read; by then the test is over."""
    return DAY_SECONDS


@pytest.fixture
async def more_settings(sandbox: Sandbox, front: Front, sweep_seconds: float) -> AsyncIterator[dict[str, Any]]:
    """Of a service behind an endpoint that was made at the sandbox, whose secret the sandbox has drawn."""
    form = {"url": front.url, **{f"enabled_events[{number}]": name for number, name in enumerate(EVENTS)}}
    endpoint = (await sandbox.raw.post("/v1/webhook_endpoints", data=form)).raise_for_status().json()
    yield {"stripe_webhook_secrets": SecretStr(endpoint["secret"]), "event_sweep_seconds": sweep_seconds}
    await sandbox.raw.delete(f"/v1/webhook_endpoints/{endpoint['id']}")


@pytest.fixture
async def service(service: Served, front: Front) -> AsyncIterator[Served]:
    """Webhooks reach it."""
    await first_sweep_is_over(service)
    front.service = service
    yield service
    front.service = None


async def first_sweep_is_over(service: Served) -> None:
    async def over() -> bool:
        query = "SELECT due_at > $1 FROM sweep WHERE name = 'events'"
        return bool(await service.runtime.pool.fetchval(query, datetime.now(UTC)))

    await until(over)


async def all_worked(platform: Platform, *types: str) -> None:
    """Events of these types came in, and nothing that came in waits."""

    async def worked() -> bool:
        rows = await platform.pool.fetch("SELECT type, worked_at FROM webhook")
        return {row["type"] for row in rows} >= set(types) and all(row["worked_at"] for row in rows)

    await until(worked)


async def no_case(platform: Platform) -> bool:
    return bool(await platform.pool.fetchval("SELECT NOT EXISTS (SELECT FROM payment_case)"))


async def refunded_by_hand(platform: Platform, pledge: PledgePlaced, minor: int) -> str:
    return await in_dashboard(platform.sandbox, await payment_of(platform, pledge), minor)


class TestRefund:
    async def test_is_booked_when_its_webhook_comes(self, platform: Platform, front: Front) -> None:
        pledge = await charged(platform)
        refund_id = await refunded_by_hand(platform, pledge, 1_200)
        [fact] = await given(platform, pledge, 1)
        assert (fact.refund_id, fact.amount, fact.reason) == (refund_id, euros(1_200), "provider_dashboard")
        await all_worked(platform, "refund.created")
        assert set(front.statuses) == {204}
        await platform.books_agree()
        assert await no_case(platform)

    async def test_is_booked_once_when_it_comes_twice_beside_others(self, platform: Platform, front: Front) -> None:
        pledge = await charged(platform)
        fault = {"kind": "duplicate", "type": "refund.*", "count": 2}
        (await platform.sandbox.raw.post("/sandbox/faults/webhooks", json=fault)).raise_for_status()
        ids = [await refunded_by_hand(platform, pledge, minor) for minor in (1_000, 500)]
        facts = await given(platform, pledge, 2)
        assert sorted(fact.refund_id for fact in facts) == sorted(ids)

        async def all_came() -> bool:
            events = (await platform.sandbox.raw.get("/v1/events", params={"limit": 100})).json()["data"]
            return len(front.statuses) >= sum(one["type"] in EVENTS for one in events) + len(ids)

        await until(all_came)
        await all_worked(platform, "refund.created")
        assert len(await given(platform, pledge, 2)) == 2
        await platform.books_agree()
        assert await no_case(platform)


class TestLostRefund:
    @pytest.fixture
    def sweep_seconds(self) -> float:
        return 1.0

    async def test_is_found_in_the_list_of_events(self, platform: Platform) -> None:
        pledge = await charged(platform)
        await all_worked(platform)
        fault = {"kind": "lose", "type": "refund.*", "count": 10}
        (await platform.sandbox.raw.post("/sandbox/faults/webhooks", json=fault)).raise_for_status()
        refund_id = await refunded_by_hand(platform, pledge, 700)
        refunded = await platform.until_said(pledge.pledge_id, PaymentRefunded)
        assert (refunded.refund_id, refunded.amount) == (refund_id, euros(700))
        await platform.books_agree()
        assert await no_case(platform)


class TestDispute:
    @pytest.mark.parametrize("outcome", ["won", "lost"])
    async def test_is_booked_when_it_opens_and_when_it_closes(
        self, platform: Platform, service: Served, front: Front, outcome: str
    ) -> None:
        pledge = await charged(platform)
        dispute_id = await disputed(platform, pledge)
        opened = await platform.until_said(pledge.pledge_id, PaymentDisputeOpened)
        assert (opened.dispute_id, opened.amount, opened.fee) == (dispute_id, euros(5_000), euros(FEE))
        await agree(platform)
        assert await self._seen(platform, service) == [(dispute_id, "open")]

        await decided(platform, dispute_id, outcome)
        closed = await platform.until_said(pledge.pledge_id, PaymentDisputeClosed)
        assert (closed.dispute_id, closed.won) == (dispute_id, outcome == "won")
        await all_worked(platform, "charge.dispute.created", "charge.dispute.closed")
        assert set(front.statuses) == {204}
        await agree(platform)
        assert await self._seen(platform, service) == [(dispute_id, outcome)]
        assert await no_case(platform)

    @staticmethod
    async def _seen(platform: Platform, service: Served) -> list[tuple[str, str]]:
        """What the creator is shown."""
        headers = service.bearer(platform.creator_id, Role.CREATOR)
        answer = await service.http.get(f"/campaigns/{platform.campaign_id}/disputes", headers=headers)
        return [(one["dispute_id"], one["status"]) for one in answer.raise_for_status().json()["items"]]
