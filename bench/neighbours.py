"""Row `neighbours`: commands a second through the group commit when 2 % of them fail, 64 clients, no HTTP.

One third each: refused by a rule, a value that PostgreSQL cannot hold, a bug. Beside the same without failures.
"""

import asyncio
import random
import time
from pathlib import Path
from typing import Final

import eventing
from bench.row import Figure, Ground, Row
from contracts.ids import new_id
from eventing.database import connect_pool
from eventing.group_commit import GroupCommit
from eventing.idempotency import Idempotency
from tests.integration.eventing.jar import DEFINITION, SCHEMA, SOURCE, DropCoin

CLIENTS: Final = 64
COMMANDS: Final = 8_000
BAD_SHARE: Final = 0.02
CORE: Final = Path(next(iter(eventing.__path__))) / "migrations" / "0001_event_store.sql"


def good() -> DropCoin:
    return DropCoin(new_id())


def bad(dice: random.Random) -> DropCoin:
    refused = DropCoin(new_id(), 5, limit=1)
    return dice.choice((refused, DropCoin(new_id(), note="\0"), DropCoin(new_id(), note="bug")))


async def throughput(commit: GroupCommit, bad_share: float) -> float:
    """Commands answered per second, failures included."""
    dice = random.Random(1)

    async def client() -> None:
        for _ in range(COMMANDS // CLIENTS):
            command = bad(dice) if dice.random() < bad_share else good()
            asked = commit.execute(command, idempotency=Idempotency(new_id(), "key", "fingerprint"))
            await asyncio.gather(asked, return_exceptions=True)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return COMMANDS / (time.perf_counter() - started)


async def measure(ground: Ground) -> Figure:
    async with await connect_pool(ground.provisioned.database_urls[SOURCE], "bench") as pool:
        await pool.execute(CORE.read_text())
        await pool.execute(SCHEMA)
        commit = GroupCommit(pool, DEFINITION)
        running = asyncio.create_task(commit.run())
        await throughput(commit, 0.0)  # warm
        baseline = await throughput(commit, 0.0)
        value = await throughput(commit, BAD_SHARE)
        commit.stop()
        await running
    return Figure(value, baseline)


ROW = Row("neighbours", __doc__, "commands/s", "≥ 0.5 ×", measure)
