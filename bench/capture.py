"""Row `capture`: a batch of captures while the provider allows RATE calls a second, beside that rate.

The sandbox turns away whatever is more: the note says how many that were.
"""

import time
from typing import Final

from bench.payments import captures, payments, placed, sandbox
from bench.row import Figure, Ground, Row

RATE: Final = 200  # calls a second
CAPTURES: Final = 1_600
STEADY_FROM: Final = 200  # The bucket is full at the start, which is no rate.


async def measure(ground: Ground) -> Figure:
    limits = {"GROUNDSWELL_PROVIDER_RATE": str(RATE), "GROUNDSWELL_PROVIDER_ENDPOINT_RATE": str(RATE)}
    async with (
        sandbox(ground, STRIPE_SANDBOX_RATE_LIMIT=str(RATE)) as address,
        payments(ground, address, **limits) as service,
    ):
        pledges = placed(CAPTURES)
        await service.tell(pledges, 1)
        await service.until_done("authorize", CAPTURES)
        started, cpu = time.perf_counter(), time.process_time()
        await service.tell(captures(pledges), 1)
        steady = await service.until_done("capture", STEADY_FROM)
        counted = await service.done("capture")
        ended = await service.until_done("capture", CAPTURES)
        load = (time.process_time() - cpu) / (ended - started)
        throttled = await service.pool.fetchval("SELECT throttled FROM provider_bucket WHERE endpoint = '*'")
    note = f"{throttled} turned away; all {CAPTURES} in {ended - started:.1f} s"
    return Figure((CAPTURES - counted) / (ended - steady), RATE, load, note)


ROW = Row("capture", __doc__, "captures/s", "≥ 0.95 ×", measure, runs=1)
