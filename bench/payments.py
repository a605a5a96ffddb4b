"""One payment process and a sandbox process, fed with pledges and captures, for the rows about payments."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import stripe

from bench.broker import Publisher, publisher
from bench.facts import on_the_wire, pledges
from bench.row import Ground
from bench.services import HOST, free_port, running_service
from contracts.event import Event
from contracts.ids import new_id
from contracts.pledge import PledgePlaced
from contracts.settlement import CaptureRequested
from eventing.database import Pool, connect_pool
from eventing.relay import MESSAGE_EVENTS_MAX

KEY: Final = "sk_test_sandbox"
CAPTURE: Final = "POST /v1/payment_intents/*/capture"
CONCURRENCY: Final = 48  # The service's own default.
POLL_SECONDS: Final = 0.02
PATIENCE_SECONDS: Final = 900.0


@dataclass(frozen=True)
class Payments:
    """The service's database, its neighbours' voice, and its process."""

    pool: Pool
    neighbours: Mapping[str, Publisher]
    pid: int

    async def tell(self, events: Sequence[Event], version: int) -> None:
        """As the relay would: many events of one type a message."""
        for start in range(0, len(events), MESSAGE_EVENTS_MAX):
            some = events[start : start + MESSAGE_EVENTS_MAX]
            body = b"[" + b",".join(on_the_wire(one, version).encode() for one in some) + b"]"
            await self.neighbours[some[0].source].publish("events", [(some[0].type, body)])

    async def done(self, kind: str) -> int:
        query = "SELECT count(*) FROM operation WHERE kind = $1 AND state = 'done'"
        return int(await self.pool.fetchval(query, kind))

    async def until_done(self, kind: str, count: int, every: float = POLL_SECONDS) -> float:
        """The moment at which so many operations of this kind have their outcome recorded, looked for `every` s."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.done(kind) < count:
                await asyncio.sleep(every)
        return time.perf_counter()


def placed(count: int) -> list[PledgePlaced]:
    return [one for one, _ in _typed(count)]


def _typed(count: int) -> Iterator[tuple[PledgePlaced, Event]]:
    for one, other in pledges(new_id(), count):
        assert isinstance(one, PledgePlaced)
        yield one, other


def captures(of: Sequence[PledgePlaced]) -> list[CaptureRequested]:
    return [CaptureRequested(pledge_id=p.pledge_id, campaign_id=p.campaign_id, amount=p.amount) for p in of]


@asynccontextmanager
async def sandbox(ground: Ground, **settings: str) -> AsyncIterator[str]:
    """A sandbox process without webhooks; its address."""
    port = free_port()
    address = f"http://{HOST}:{port}"
    process = ground.servers.run.process(
        f"stripe-sandbox-{port}",
        [str(Path(sys.executable).parent / "stripe-sandbox"), "serve", "--port", str(port)],
        {"STRIPE_SANDBOX_API_KEY": KEY} | settings,
        ready_url=f"{address}/sandbox/books",
    )
    await asyncio.to_thread(process.start)
    try:
        yield address
    finally:
        await asyncio.to_thread(process.stop)


@asynccontextmanager
async def payments(ground: Ground, address: str, **settings: str) -> AsyncIterator[Payments]:
    own = {
        "GROUNDSWELL_STRIPE_API_KEY": KEY,
        "GROUNDSWELL_STRIPE_API_BASE": address,
        "GROUNDSWELL_STRIPE_WEBHOOK_SECRETS": "whsec_bench",
    }
    urls = ground.provisioned.broker_urls
    async with (
        running_service(ground, "payment", settings=own | settings) as service,
        await connect_pool(ground.provisioned.database_urls["payment"], "bench", connections_max=2) as pool,
        publisher(urls["pledge"]) as pledge,
        publisher(urls["settlement"]) as settlement,
    ):
        yield Payments(pool, {"pledge": pledge, "settlement": settlement}, service.pids[0])


async def held(ground: Ground, address: str, count: int) -> list[PledgePlaced]:
    """Pledges whose holds are taken, by a service that keeps to no limit."""
    pledges = placed(count)
    async with payments(ground, address) as service:
        await service.tell(pledges, 1)
        await service.until_done("authorize", count)
    return pledges


async def limit(address: str, overall: int, **endpoints: int) -> None:
    """How many calls a second the sandbox allows from now on; 0: any number."""
    asked = {"global": overall, "per_endpoint": 0, "endpoints": {CAPTURE: endpoints.get("capture", 0)}}
    async with httpx.AsyncClient(base_url=address) as sandbox_itself:
        (await sandbox_itself.post("/sandbox/limits", json=asked)).raise_for_status()


async def sdk_alone(address: str, count: int) -> float:
    """Authorizations a second of Stripe's SDK, CONCURRENCY at once, with the calls that the service makes for each."""
    http = stripe.AIOHTTPClient(timeout=15)
    client = stripe.StripeClient(KEY, http_client=http, base_addresses={"api": address})
    waiting = iter(placed(count))

    async def one_after_another() -> None:
        for pledge in waiting:
            metadata = {
                "campaign_id": str(pledge.campaign_id),
                "operation_id": str(new_id()),
                "pledge_id": str(pledge.pledge_id),
            }
            key = str(new_id())
            customer = await client.raw_request_async(
                "post", "/v1/customers", idempotency_key=f"{key}:customer", metadata=metadata
            )
            hold: dict[str, Any] = {
                "amount": pledge.amount.amount,
                "currency": "eur",
                "capture_method": "manual",
                "confirm": True,
                "customer": customer.data["id"],
                "payment_method": pledge.payment_method,
                "setup_future_usage": "off_session",
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "metadata": metadata,
                "transfer_group": str(pledge.campaign_id),
                "expand": ["latest_charge.balance_transaction"],
            }
            await client.raw_request_async("post", "/v1/payment_intents", idempotency_key=key, **hold)

    started = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(CONCURRENCY)))
    took = time.perf_counter() - started
    await http.close_async()  # type: ignore[no-untyped-call]  # the SDK
    return count / took
