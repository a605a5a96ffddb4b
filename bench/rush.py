"""Row `rush`: the 99th percentile of placements on a quiet campaign while ten thousand people try for 500 slots.

Beside the same placements with nobody else there: the ratio says how much a rush next door is felt.
"""

import asyncio
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Final

from bench.broker import publish
from bench.facts import on_the_wire
from bench.intake import launched, placements, wait_until_open
from bench.load import Answers, Call, run
from bench.row import Figure, Ground, Row
from bench.services import running_service

PEOPLE: Final = 2_000
TRIES: Final = 5
CONNECTIONS: Final = 200
SLOTS: Final = 500
QUIET: Final = 300
QUIET_CONNECTIONS: Final = 2
REPLICAS: Final = 2


async def _quietly(bases: Sequence[str], calls: Sequence[Call]) -> Answers:
    answers = await run(bases, calls, connections=QUIET_CONNECTIONS)
    assert answers.statuses == {201: len(calls)}, answers.statuses
    return answers


async def measure(ground: Ground) -> Figure:
    hot, quiet = launched(SLOTS), launched(10**6)
    async with running_service(ground, "pledge", REPLICAS) as service:
        message = b"[" + b",".join(on_the_wire(one, 1).encode() for one in (hot, quiet)) + b"]"
        await publish(ground.provisioned.broker_urls["campaign"], "events", [(hot.type, message)])
        await wait_until_open(service.bases, placements(quiet, service.issuer, 50))
        alone, beside = (placements(quiet, service.issuer, QUIET) for _ in range(2))
        people = placements(hot, service.issuer, PEOPLE)
        before = await _quietly(service.bases, alone)
        rushing = asyncio.create_task(
            run(service.bases, list(islice(cycle(people), PEOPLE * TRIES)), connections=CONNECTIONS)
        )
        during = await _quietly(service.bases, beside)
        rushed = await rushing
    assert rushed.statuses == {201: SLOTS, 409: PEOPLE * TRIES - SLOTS}, rushed.statuses
    note = f"p50 {during.percentile(50):.0f} ms beside {before.percentile(50):.0f} ms; exactly {SLOTS} slots taken"
    return Figure(during.percentile(99), before.percentile(99), note=note)


ROW = Row("rush", __doc__, "ms", "(figure)", measure, runs=1)
