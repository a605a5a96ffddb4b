"""Rebuilding a projection while the service works on."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from contracts.ids import new_id
from eventing.database import Pool
from eventing.rebuild import rebuild
from tests.integration.eventing.conftest import Ground, Jar
from tests.integration.eventing.facts import Fact, life
from tests.integration.eventing.jar import DEFINITION, PLEDGE_SUMS

# The promise is "short": chunks of 5 000 take well under one on a quiet machine. The database ends what idles longer.
LONGEST_TRANSACTION_SECONDS = 10.0

OLDEST_TRANSACTION = """
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def sums(pool: Pool) -> list[tuple[object, ...]]:
    rows = await pool.fetch("SELECT * FROM campaign_sum ORDER BY campaign_id")
    return [tuple(row) for row in rows]


class TestRebuild:
    async def test_mends_numbers_that_were_spoilt(self, jar: Jar) -> None:
        campaign = new_id()
        await jar.commit.take_in([f for _ in range(10) for f in life(campaign, 100)])
        right = await sums(jar.pool)
        await jar.pool.execute("UPDATE campaign_sum SET minor = 7; DELETE FROM pledge_seen")
        assert await rebuild(jar.pool, DEFINITION, PLEDGE_SUMS) == 20
        assert await sums(jar.pool) == right

    async def test_while_events_come_in_it_ends_with_exactly_the_live_numbers(self, ground: Ground) -> None:
        campaigns = [new_id() for _ in range(3)]
        lives = [life(random.choice(campaigns), 1_000 + n, cancelled=n % 5 == 0) for n in range(2_000)]
        facts = [fact for one in lives for fact in one]
        random.shuffle(facts)
        rounds = 0
        async with ground.replica() as jar:
            for start in range(0, 2_000, 500):
                await jar.commit.take_in(facts[start : start + 500])
            async with watching(jar.pool) as longest:
                feeding = asyncio.create_task(_feed(jar, facts[2_000:]))
                while not feeding.done() or rounds < 3:
                    await rebuild(jar.pool, DEFINITION, PLEDGE_SUMS)
                    rounds += 1
                await feeding
            live = await sums(jar.pool)
            await rebuild(jar.pool, DEFINITION, PLEDGE_SUMS)
            assert await sums(jar.pool) == live
            expected = sum(1_000 + n for n in range(2_000) if n % 5 != 0)
            assert await jar.pool.fetchval("SELECT sum(minor)::bigint FROM campaign_sum") == expected
            assert await jar.pool.fetchval("SELECT count(*) FROM parked_event") == 0
        assert max(longest) < LONGEST_TRANSACTION_SECONDS


@asynccontextmanager
async def watching(pool: Pool) -> AsyncIterator[list[float]]:
    """The ages of the oldest transaction of this database, looked at all the time."""
    ages: list[float] = []

    async def watch() -> None:
        while True:
            ages.append(await pool.fetchval(OLDEST_TRANSACTION))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(watch())
    try:
        yield ages
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _feed(jar: Jar, facts: Sequence[Fact]) -> None:
    for start in range(0, len(facts), 50):
        await jar.commit.take_in(facts[start : start + 50])
