"""The Stripe sandbox in this process: the SDK's requests go straight into its application, past a faulty network."""

import asyncio
import random
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import stripe
from multidict import CIMultiDict

from deploy.topology import STRIPE_SANDBOX
from payment.calls import Meter, MeteredClient
from stripe_sandbox.clock import Clock
from stripe_sandbox.events import Event
from stripe_sandbox.faults import Fault
from stripe_sandbox.ids import Ids
from stripe_sandbox.protocol import StripeHttp
from stripe_sandbox.resources import Endpoint
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.settings import Settings
from tests.simulation.faults import Crash, Fate
from tests.simulation.loop import virtual_loop
from tests.simulation.process import Process

API_KEY: Final = "sk_test_simulation"
WEBHOOK_SECRET: Final = "whsec_simulation"
WEBHOOK_EVENTS: Final = STRIPE_SANDBOX.settings["STRIPE_SANDBOX_WEBHOOK_EVENTS"].split(",")
TIMEOUT_SECONDS: Final = 15.0
NETWORK_SECONDS: Final = 0.1  # Mean time of each way.

Answer = tuple[bytes, int, Mapping[str, str]]


@dataclass(frozen=True)
class HttpRequest:
    """As the SDK has made it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: object = None


class _WorldClock(Clock):
    """The sandbox's time is everybody's."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._world = now

    def now(self) -> int:
        return int(self._world().timestamp())


@dataclass
class Provider:
    sandbox: Sandbox
    http: StripeHttp
    fate: Fate
    travelling: list[float] = field(default_factory=list)  # when requests on their way will be here

    async def ask(self, process: Process, request: HttpRequest) -> Answer:
        """One request of a process; it waits as long as the SDK's own client would."""
        what = f"{request.method} {urlsplit(request.url).path}"
        crash = process.step(what)
        if crash is Crash.BEFORE:
            await process.crash()
        loop = virtual_loop()
        fault, late = self.fate.provider(loop.time(), what), self.fate.late(loop.time(), what)
        call = loop.free_task(self._reach(request, fault, late))
        call.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # also where nobody waits for it any more
        if crash is Crash.AFTER:
            await asyncio.wait({call})
            await process.crash()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await asyncio.shield(call)
                await process.pause(NETWORK_SECONDS)
        except (TimeoutError, ConnectionError) as error:
            raise _lost(repr(error)) from error
        if crash is Crash.REPORTED:
            raise _lost("connection reset")
        return answer

    async def _reach(self, request: HttpRequest, fault: Fault | None, late: float) -> Answer:
        arrival = virtual_loop().time() + late + self.fate.latency(NETWORK_SECONDS)
        self.travelling.append(arrival)
        await asyncio.sleep(arrival - virtual_loop().time())
        self.travelling.remove(arrival)
        if fault is not None:
            self.sandbox.faults.add(fault)
        return await self.call(request)

    async def call(self, request: HttpRequest) -> Answer:
        """Through the sandbox's own door, with no network between."""
        parts = urlsplit(request.url)
        scope = {
            "type": "http",
            "method": request.method,
            "path": parts.path,
            "query_string": parts.query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": str(request.body or "").encode()}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.http(scope, receive, send)
        start, content = sent
        told = CIMultiDict((name.decode(), value.decode()) for name, value in start["headers"])
        return content["body"], start["status"], told


def _lost(why: str) -> stripe.APIConnectionError:
    return stripe.APIConnectionError(why)  # type: ignore[no-untyped-call]  # the SDK


@dataclass(frozen=True)
class _Content:
    """What the SDK reads the body of an answer from."""

    body: bytes

    async def read(self) -> bytes:
        return self.body


class InProcessClient(MeteredClient):
    """The service's own client, but for the network under it."""

    def __init__(self, provider: Provider, process: Process, meter: Meter, timeout_seconds: float) -> None:
        super().__init__(meter, timeout_seconds)
        self._provider = provider
        self._process = process

    async def request_stream_async(  # type: ignore[override]  # the SDK's own type names aiohttp's stream
        self, method: str, url: str, headers: Mapping[str, str], post_data: object = None
    ) -> tuple[_Content, int, Mapping[str, str]]:
        request = HttpRequest(method.upper(), url, headers, post_data)
        body, status, answered = await self._provider.ask(self._process, request)
        return _Content(body), status, answered

    async def close_async(self) -> None:
        """There is nothing to close."""


def open_provider(fate: Fate, now: Callable[[], datetime], deliver: Callable[[Event, Endpoint], None]) -> Provider:
    """A sandbox that has seen nothing. `deliver` gets what it would send to the webhook's address."""
    settings = Settings(
        api_key=API_KEY,
        webhook_url="http://in-process/webhooks/stripe",
        webhook_secret=WEBHOOK_SECRET,
        webhook_events="*",
    )
    sandbox = Sandbox(settings)
    sandbox.state.clock = _WorldClock(now)
    sandbox.state.deliver = deliver
    sandbox.state.ids = Ids(random.Random(f"{fate.seed} provider"))
    return Provider(sandbox, StripeHttp(sandbox), fate)
