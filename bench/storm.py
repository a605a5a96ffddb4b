"""Row `storm`: pledges at the checkout while 5 000 captures run and the provider turns away hundreds of calls.

The figure is the 99th percentile from PledgePlaced to the recorded hold, at a steady pace, beside the same with no
settlement and no storm. Takes about three minutes, so on request only.
"""

import asyncio
import time
from typing import Final

import httpx

from bench.load import Answers
from bench.payments import Payments, captures, payments, placed, sandbox
from bench.row import Figure, Ground, Row

CAPTURES: Final = 5_000
RATE: Final = 100  # calls a second that Stripe allows, endpoints raised to the same
PACE: Final = 8  # pledges a second: two calls each, and room below the slowest of the storm
ALONE: Final = 200
TURNED_AWAY: Final = 100  # calls, at each of the times below, in a row
STORMS_AT: Final = (0.25, 0.5)  # of the captures

_WAYS: Final = """
    SELECT extract(epoch FROM decided_at - created_at)::float8 * 1000 AS milliseconds
      FROM operation
     WHERE kind = 'authorize' AND subject_id = ANY($1::uuid[])
"""


async def checkout(service: Payments, count: int, until: "asyncio.Task[float] | None" = None) -> Answers:
    """Milliseconds until each hold was recorded, of `count` pledges or of those placed until the task is done."""
    begun, ids = time.perf_counter(), []
    while len(ids) < count and not (until and until.done()):
        await asyncio.sleep(begun + len(ids) / PACE - time.perf_counter())
        pledges = placed(1)
        ids.append(pledges[0].pledge_id)
        await service.tell(pledges, 1)
    query = "SELECT count(*) FROM operation WHERE subject_id = ANY($1::uuid[]) AND decided_at IS NOT NULL"
    async with asyncio.timeout(60):
        while await service.pool.fetchval(query, ids) < len(ids):
            await asyncio.sleep(0.1)
    return Answers(milliseconds=[row["milliseconds"] for row in await service.pool.fetch(_WAYS, ids)])


async def storms(service: Payments, address: str) -> float:
    """Let two storms loose on the captures; the moment at which all are recorded."""
    async with httpx.AsyncClient(base_url=address) as sandboxs:
        for share in STORMS_AT:
            await service.until_done("capture", int(CAPTURES * share))
            fault = {"kind": "throttle", "count": TURNED_AWAY}
            (await sandboxs.post("/sandbox/faults", json=fault)).raise_for_status()
    return await service.until_done("capture", CAPTURES)


async def measure(ground: Ground) -> Figure:
    limits = {"GROUNDSWELL_PROVIDER_RATE": str(RATE), "GROUNDSWELL_PROVIDER_ENDPOINT_RATE": str(RATE)}
    async with sandbox(ground) as address:
        pledges = placed(CAPTURES)
        async with payments(ground, address) as unlimited:
            await unlimited.tell(pledges, 1)
            await unlimited.until_done("authorize", CAPTURES)
        async with payments(ground, address, **limits) as service:
            alone = await checkout(service, ALONE)
            started = time.perf_counter()
            await service.tell(captures(pledges), 1)
            ending = asyncio.create_task(storms(service, address))
            during = await checkout(service, CAPTURES, ending)
            took = await ending - started
            query = "SELECT sum(throttled)::bigint FROM provider_bucket WHERE endpoint = '*'"
            throttled = await service.pool.fetchval(query)
    note = (
        f"p50 {during.percentile(50):.0f} beside {alone.percentile(50):.0f} ms; {throttled} turned away; "
        f"{CAPTURES} captures in {took:.0f} s"
    )
    return Figure(during.percentile(99), alone.percentile(99), note=note)


ROW = Row("storm", __doc__, "ms", "≤ 2 ×", measure, runs=1)
