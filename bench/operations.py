"""Row `operations`: the payment process's memory over 200 000 operations. Takes about ten minutes, so on request only.

The figure is what it grew by from the first mark to the last (proportional set size).
"""

from typing import Final

import psutil

from bench.payments import payments, placed, sandbox
from bench.row import Figure, Ground, Row

MARKS: Final = (50_000, 100_000, 200_000)
AT_ONCE: Final = 5_000  # So that what waits in the queue stays the same.
MEGABYTE: Final = 1 << 20


async def measure(ground: Ground) -> Figure:
    async with sandbox(ground) as address, payments(ground, address) as service:
        process = psutil.Process(service.pid)
        sizes: list[float] = []
        for done in range(AT_ONCE, MARKS[-1] + 1, AT_ONCE):
            await service.tell(placed(AT_ONCE), 1)
            await service.until_done("authorize", done)
            if done in MARKS:
                sizes.append(process.memory_full_info().pss / MEGABYTE)
    note = ", ".join(f"{mark:,}: {size:.0f} MiB" for mark, size in zip(MARKS, sizes, strict=True))
    return Figure(sizes[-1] - sizes[0], note=note)


ROW = Row("operations", __doc__, "MiB", "≤ 10 MiB", measure, runs=1)
