"""Row `page`: `GET /campaigns/{id}` of one launched campaign, one process of the service, 32 clients on this machine.

Beside a bare Starlette app on uvicorn, likewise one process, that answers with the same bytes and does nothing else.
The page is read by way of the mirror and the database as ever; the campaign has ten tiers and a story of 2 KB.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx

from bench.load import Call, run
from bench.row import Figure, Ground, Row
from bench.services import HOST, free_port, running_service
from contracts.ids import new_id
from deploy.local.issuer import Issuer

CLIENTS: Final = 32
READS: Final = 12_000
WARM_UP: Final = 1_000
TIERS: Final = 10
REACH: Final = 3_000

_BARE = """
import sys, uvicorn
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
body = Path(sys.argv[2]).read_bytes()
async def page(_request):
    return Response(body, media_type="application/json")
app = Starlette(routes=[Route("/campaigns/{campaign_id}", page)])
uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", ws="none", access_log=False, log_level="error")
"""


async def launched(base: str, issuer: Issuer) -> str:
    """The path of a campaign with its tiers, active."""
    token = issuer.mint(new_id(), ["creator"], 3600)
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:

        async def post(path: str, body: object) -> str:
            answer = await http.post(path, json=body, headers={"Idempotency-Key": str(new_id())})
            answer.raise_for_status()
            return str(answer.json()["links"]["self"])

        price = {"amount": 2_500, "currency": "EUR"}
        path = await post(
            "/campaigns",
            {
                "title": "A page",
                "story": "It is read and read. " * 100,
                "goal": price | {"amount": 10**9},
                "model": "all_or_nothing",
                "deadline": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
            },
        )
        for number in range(TIERS):
            tier = {"title": f"Tier {number}", "minimum": price, "estimated_delivery": "2028-01", "limit": 100}
            await post(f"{path}/tiers", tier)
        return await post(f"{path}/launch", {})


class Read(Call):
    """Asked without a token, as most readers do."""

    def encoded(self, host: str) -> bytes:
        return f"{self.method} {self.path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


async def reads(base: str, path: str) -> tuple[float, float]:
    """Answers a second, and the cores that asking took."""
    call = Read("GET", path, "", "")
    await run([base], [call] * WARM_UP, connections=CLIENTS)
    started, cpu = time.perf_counter(), time.process_time()
    answers = await run([base], [call] * READS, connections=CLIENTS)
    seconds = time.perf_counter() - started
    assert answers.statuses == {200: READS}, answers.statuses
    return READS / seconds, (time.process_time() - cpu) / seconds


@asynccontextmanager
async def bare(ground: Ground, body: Path) -> AsyncIterator[str]:
    port = free_port()
    process = ground.servers.run.process(
        "bare", [sys.executable, "-c", _BARE, str(port), str(body)], {}, ready_url=f"http://{HOST}:{port}/campaigns/1"
    )
    await asyncio.to_thread(process.start)
    try:
        yield f"http://{HOST}:{port}"
    finally:
        await asyncio.to_thread(process.stop)


async def measure(ground: Ground) -> Figure:
    async with running_service(ground, "campaign") as service:
        [base] = service.bases
        path = await launched(base, service.issuer)
        async with httpx.AsyncClient(base_url=base) as http:
            page = (await http.get(path)).content
        value, load_cpu = await reads(base, path)
    body = ground.servers.run.path / "page.json"
    body.write_bytes(page)
    async with bare(ground, body) as base:
        baseline, _ = await reads(base, path)
    return Figure(value, baseline, load_cpu, f"{len(page):,} bytes, {json.loads(page)['status']}")


ROW = Row("page", __doc__, "answers/s", f"≥ {REACH:,}/s", measure)
