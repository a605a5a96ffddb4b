"""Row `authorize`: from PledgePlaced on the broker to the recorded outcome, one payment process, sandbox unthrottled.

Beside Stripe's SDK alone, making the same calls with as many at once.
"""

import time
from typing import Final

from bench.payments import payments, placed, sandbox, sdk_alone
from bench.row import Figure, Ground, Row

PLEDGES: Final = 3_000
WARM_UP: Final = 300
REACH: Final = 400


async def measure(ground: Ground) -> Figure:
    async with sandbox(ground) as address:
        await sdk_alone(address, WARM_UP)
        baseline = await sdk_alone(address, PLEDGES)
        async with payments(ground, address) as service:
            await service.tell(placed(WARM_UP), 1)
            await service.until_done("authorize", WARM_UP)
            pledges = placed(PLEDGES)
            started = time.perf_counter()
            await service.tell(pledges, 1)
            ended = await service.until_done("authorize", WARM_UP + PLEDGES)
    return Figure(PLEDGES / (ended - started), baseline)


ROW = Row("authorize", __doc__, "authorizations/s", f"≥ {REACH}/s, ≥ 0.7 ×", measure, runs=1)
