"""Row `storm`: pledges at the checkout while 5 000 captures run, of which the provider turns many away for a while.

The figure is the 99th percentile from PledgePlaced on the broker to the recorded hold, at a steady pace, of the pledges
placed while captures are turned away, beside the same with no settlement at all. The note has it for the whole
settlement, most of which runs as fast as the provider allows. Captures are asked for as settlement does: so many a
round, and no more than so many without an answer. Takes about three minutes, so on request only.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.load import Answers
from bench.payments import CAPTURE, Payments, captures, held, limit, payments, placed, sandbox
from bench.row import Figure, Ground, Row
from contracts.ids import PledgeId
from contracts.settlement import CaptureRequested
from settlement.jobs import EVERY_SECONDS, per_round

CAPTURES: Final = 5_000
RATE: Final = 100  # calls a second that Stripe allows, endpoints raised to the same
PACE: Final = 8  # pledges a second: two calls each, and room below the slowest of the storm
ALONE: Final = 200
WARM_UP: Final = 300  # captures
STORM_RATE: Final = 30  # captures a second
STORM_FROM: Final = 0.25  # of the captures, ...
STORM_TO: Final = 0.5  # ... until so many are done
LOOK_SECONDS: Final = 0.5  # Counting all the time, as other rows do, would take from the service what is measured.

OUTSTANDING: Final = 500  # Settlement's default.

_DECIDED: Final = """
    SELECT subject_id, extract(epoch FROM decided_at)::float8 AS at
      FROM operation
     WHERE kind = 'authorize' AND decided_at IS NOT NULL AND subject_id = ANY($1::uuid[])
"""


@dataclass(frozen=True)
class Wait:
    placed_at: float  # seconds since the epoch
    milliseconds: float  # until its hold was recorded


async def checkout(service: Payments, count: int, until: "asyncio.Task[Storm] | None" = None) -> list[Wait]:
    """Of `count` pledges, or of those placed until the task is done."""
    begun = time.perf_counter()
    told: dict[PledgeId, float] = {}
    while len(told) < count and not (until and until.done()):
        await asyncio.sleep(begun + len(told) / PACE - time.perf_counter())
        pledges = placed(1)
        await service.tell(pledges, 1)
        told[pledges[0].pledge_id] = time.time()
    async with asyncio.timeout(60):
        while len(rows := await service.pool.fetch(_DECIDED, list(told))) < len(told):
            await asyncio.sleep(0.1)
    return [Wait(told[row["subject_id"]], (row["at"] - told[row["subject_id"]]) * 1000) for row in rows]


def answers(waits: Iterable[Wait]) -> Answers:
    return Answers(milliseconds=[one.milliseconds for one in waits])


async def settle(service: Payments, requests: Sequence[CaptureRequested]) -> None:
    asked, before = 0, await service.done("capture")
    while asked < len(requests):
        outstanding = asked - (await service.done("capture") - before)
        room = min(per_round(OUTSTANDING), OUTSTANDING - outstanding)
        await service.tell(requests[asked : asked + room], 1)
        asked += room
        await asyncio.sleep(EVERY_SECONDS)


@dataclass(frozen=True)
class Storm:
    """Its moments, in seconds since the epoch."""

    began: float
    ended: float
    settled: float  # the last capture is recorded


async def storm(service: Payments, address: str) -> Storm:
    """Far fewer captures are allowed than we think, for a while."""
    await service.until_done("capture", WARM_UP + int(CAPTURES * STORM_FROM), LOOK_SECONDS)
    began = time.time()
    await limit(address, RATE, capture=STORM_RATE)
    await service.until_done("capture", WARM_UP + int(CAPTURES * STORM_TO), LOOK_SECONDS)
    ended = time.time()
    await limit(address, RATE)
    await service.until_done("capture", WARM_UP + CAPTURES, LOOK_SECONDS)
    return Storm(began, ended, time.time())


async def measure(ground: Ground) -> Figure:
    limits = {"GROUNDSWELL_PROVIDER_RATE": str(RATE), "GROUNDSWELL_PROVIDER_ENDPOINT_RATE": str(RATE)}
    async with sandbox(ground) as address:
        pledges = await held(ground, address, WARM_UP + CAPTURES)
        await limit(address, RATE)
        async with payments(ground, address, **limits) as service:
            await settle(service, captures(pledges[:WARM_UP]))
            await service.until_done("capture", WARM_UP, LOOK_SECONDS)
            alone = answers(await checkout(service, ALONE))
            started = time.time()
            async with asyncio.TaskGroup() as group:
                group.create_task(settle(service, captures(pledges[WARM_UP:])))
                ending = group.create_task(storm(service, address))
                waits = await checkout(service, CAPTURES, ending)
            query = "SELECT throttled, rate FROM provider_bucket WHERE endpoint = $1"
            bucket = await service.pool.fetchrow(query, CAPTURE)
            assert bucket is not None
    told = ending.result()
    during = answers(one for one in waits if told.began <= one.placed_at < told.ended)
    note = (
        f"p50 {during.percentile(50):.0f} beside {alone.percentile(50):.0f} ms; "
        f"p99 of the whole settlement {answers(waits).percentile(99):.0f} ms; {bucket['throttled']} turned away; "
        f"{CAPTURES} captures in {told.settled - started:.0f} s"
    )
    return Figure(during.percentile(99), alone.percentile(99), note=note)


ROW = Row("storm", __doc__, "ms", "≤ 2 ×", measure, runs=1)
