"""Row `sandbox`: authorizations a second by the Stripe sandbox, one process, 32 clients on this machine.

The last 10 000 of 100 000 payments count, none of which is ever forgotten; the first 10 000 are in the note, and so is
what a payment takes in memory. Beside a constant answer of the same size from the same HTTP server.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import httpx
import psutil

from bench.load import Call, run
from bench.row import Figure, Ground, Row
from bench.services import HOST, free_port
from contracts.ids import new_id

CLIENTS: Final = 32
PAYMENTS: Final = 100_000
PART: Final = 10_000
REACH: Final = 2_000
KEY: Final = "sk_test_bench"
PATH: Final = "/v1/payment_intents"

_CONSTANT = """
import sys
from pathlib import Path
from stripe_sandbox.server import serve
body = Path(sys.argv[2]).read_bytes()
start = {"type": "http.response.start", "status": 200, "headers": [
    (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]}
async def app(scope, receive, send):
    if scope["type"] == "http":
        await receive()
        await send(start)
        await send({"type": "http.response.body", "body": body})
serve(app, "127.0.0.1", int(sys.argv[1]))
"""


@dataclass(frozen=True)
class Authorize(Call):
    """A form, as Stripe's API takes it."""

    def encoded(self, host: str) -> bytes:
        return (
            f"{self.method} {self.path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {self.token}\r\n"
            f"Idempotency-Key: {new_id()}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(self.body)}\r\n\r\n{self.body}"
        ).encode()


def authorize(number: int) -> Authorize:
    """What the payment service sends for a pledge."""
    form = {
        "amount": 5_000,
        "currency": "eur",
        "capture_method": "manual",
        "confirm": "true",
        "error_on_requires_action": "true",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "metadata[campaign_id]": f"campaign-{number % 100}",
        "metadata[operation_id]": new_id(),
        "metadata[pledge_id]": new_id(),
        "transfer_group": f"campaign-{number % 100}",
        "expand[0]": "latest_charge.balance_transaction",
    }
    return Authorize("POST", PATH, KEY, urlencode(form))


async def rate(base: str, first: int, count: int) -> tuple[float, float]:
    """Answers a second, and the cores that asking took."""
    calls = [authorize(number) for number in range(first, first + count)]
    started, cpu = time.perf_counter(), time.process_time()
    answers = await run([base], calls, connections=CLIENTS)
    seconds = time.perf_counter() - started
    assert answers.statuses == {200: count}, answers.statuses
    return count / seconds, (time.process_time() - cpu) / seconds


@dataclass(frozen=True)
class Server:
    base: str
    pid: int

    def resident(self) -> int:
        """Bytes of memory."""
        return int(psutil.Process(self.pid).memory_info().rss)


@asynccontextmanager
async def serving(ground: Ground, name: str, command: list[str], port: int, path: str) -> AsyncIterator[Server]:
    base = f"http://{HOST}:{port}"
    environment = {"STRIPE_SANDBOX_API_KEY": KEY}
    process = ground.servers.run.process(name, command, environment, ready_url=f"{base}{path}")
    await asyncio.to_thread(process.start)
    try:
        yield Server(base, process.pid)
    finally:
        await asyncio.to_thread(process.stop)


async def one_answer(base: str) -> bytes:
    async with httpx.AsyncClient(base_url=base, timeout=30) as http:
        call = authorize(0)
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-www-form-urlencoded"}
        answer = await http.post(PATH, content=call.body, headers=headers)
        return answer.raise_for_status().content


async def measure(ground: Ground) -> Figure:
    port = free_port()
    program = [str(Path(sys.executable).parent / "stripe-sandbox"), "serve", "--port", str(port)]
    async with serving(ground, "sandbox", program, port, "/sandbox") as sandbox:
        body = await one_answer(sandbox.base)
        first, _ = await rate(sandbox.base, 0, PART)
        early = sandbox.resident()
        for done in range(PART, PAYMENTS - PART, PART):
            await rate(sandbox.base, done, PART)
        last, load_cpu = await rate(sandbox.base, PAYMENTS - PART, PART)
        each = (sandbox.resident() - early) / (PAYMENTS - PART)
        async with httpx.AsyncClient(base_url=sandbox.base, timeout=30) as http:
            books = (await http.get("/sandbox/books")).json()
    assert books["totals"]["eur"]["held"]["count"] == PAYMENTS + 1, books["totals"]
    answer = ground.servers.run.path / "answer.json"
    answer.write_bytes(body)
    port = free_port()
    constant = [sys.executable, "-c", _CONSTANT, str(port), str(answer)]
    async with serving(ground, "constant", constant, port, "/") as bare:
        baseline, _ = await rate(bare.base, 0, PART)
    note = f"first {PART:,}: {first:,.0f}/s, last ÷ first {last / first:.2f}; {each / 1_000:.1f} kB a payment"
    return Figure(last, baseline, load_cpu, note)


ROW = Row("sandbox", __doc__, "authorizations/s", f"≥ {REACH:,}/s", measure, runs=1)
