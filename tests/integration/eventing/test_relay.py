"""The relay on real servers: every own event reaches the broker, whatever happens in between."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from contracts.ids import new_id
from contracts.settlement import VoidRequested
from deploy.local.servers import Servers
from eventing.database import Pool
from eventing.relay import ROUND_EVENTS_MAX, Cursor, Relay, UnroutableError
from eventing.work import APPEND
from tests.integration.eventing.broker import channel, read_all, until
from tests.integration.eventing.conftest import Ground, Jar
from tests.integration.eventing.jar import SOURCE, AskVoids, DropCoin

READER = "payment"  # takes in VoidRequested
REPOSITORY = Path(__file__).parents[3]


async def ask(jar: Jar, count: int) -> list[UUID]:
    ids = [new_id() for _ in range(count)]
    await jar.commit.execute(AskVoids(new_id(), tuple(ids)))
    return ids


@asynccontextmanager
async def relay(ground: Ground, pool: Pool) -> AsyncIterator[Relay]:
    """A relay that is connected but not running: tests say when it does a round."""
    one = Relay(pool, SOURCE, ground.broker_url)
    await one.start()
    try:
        yield one
    finally:
        await one.close()


async def drain(one: Relay) -> None:
    while await one.run_once():
        pass


async def cursor(pool: Pool) -> Cursor:
    row = await pool.fetchrow("SELECT xid::text AS xid, position FROM relay")
    assert row is not None
    return Cursor(row["xid"], row["position"])


class TestRound:
    async def test_publishes_public_events_and_keeps_private_ones(self, ground: Ground, jar: Jar) -> None:
        await jar.commit.execute(DropCoin(new_id()))
        ids = await ask(jar, 250)
        async with relay(ground, jar.pool) as one:
            await drain(one)
        assert sorted(await read_all(ground.admin_url, READER)) == ids

    async def test_a_second_round_publishes_nothing_again(self, ground: Ground, jar: Jar) -> None:
        await ask(jar, 3)
        async with relay(ground, jar.pool) as one:
            await drain(one)
            await read_all(ground.admin_url, READER)
            assert await one.run_once() == 0
        assert await read_all(ground.admin_url, READER) == []

    async def test_goes_on_from_round_to_round_without_a_gap_or_a_repeat(self, ground: Ground, jar: Jar) -> None:
        ids = await ask(jar, 2 * ROUND_EVENTS_MAX + 1)
        async with relay(ground, jar.pool) as one:
            rounds = [await one.run_once() for _ in range(4)]
        assert rounds == [ROUND_EVENTS_MAX, ROUND_EVENTS_MAX, 1, 0]
        assert sorted(await read_all(ground.admin_url, READER)) == ids

    async def test_misses_nothing_when_transactions_commit_out_of_order(self, ground: Ground, jar: Jar) -> None:
        """A transaction that drew the lower position commits after one with a higher position was published."""
        early, late = new_id(), new_id()
        async with relay(ground, jar.pool) as one, jar.pool.acquire() as slow, jar.pool.acquire() as fast:
            await drain(one)
            transaction = slow.transaction()
            await transaction.start()
            await slow.execute(APPEND, *void_requested(early))
            await fast.execute(APPEND, *void_requested(late))
            await drain(one)
            before = await read_all(ground.admin_url, READER)
            await transaction.commit()
            await until(lambda: _relayed_something(one))
            await drain(one)
        assert before + await read_all(ground.admin_url, READER) == [early, late]

    async def test_killed_between_publish_and_cursor_it_publishes_again_and_misses_nothing(
        self, ground: Ground, jar: Jar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = await ask(jar, 20)
        async with relay(ground, jar.pool) as dying:
            with monkeypatch.context() as patch:
                patch.setattr(dying, "_advance", _die)
                with pytest.raises(KilledError):
                    await dying.run_once()
        async with relay(ground, jar.pool) as next_one:
            await until(lambda: _relayed_something(next_one))
        assert sorted(await read_all(ground.admin_url, READER)) == sorted(ids * 2)

    async def test_an_unroutable_event_stops_it_until_a_queue_takes_it(self, ground: Ground, jar: Jar) -> None:
        ids = await ask(jar, 1)
        async with relay(ground, jar.pool) as one, channel(ground.admin_url) as broker:
            before = await cursor(jar.pool)
            queue = await broker.get_queue(READER)
            await queue.unbind("events", VoidRequested.type)
            for _ in range(2):
                with pytest.raises(UnroutableError, match="no queue takes settlement"):
                    await one.run_once()
            assert await cursor(jar.pool) == before
            await queue.bind("events", VoidRequested.type)
            await drain(one)
        assert await read_all(ground.admin_url, READER) == ids


class KilledError(BaseException):
    pass


async def _die(_cursor: Cursor) -> None:
    raise KilledError


async def _relayed_something(one: Relay) -> bool:
    return await one.run_once() > 0


def void_requested(pledge_id: UUID) -> Sequence[Sequence[object]]:
    event = VoidRequested.model_validate({"pledge_id": pledge_id, "campaign_id": new_id()})
    meta = '{"time": "2026-11-01T12:00:00+00:00"}'
    return [[new_id()], [SOURCE], [pledge_id], [1], [event.type], [event.model_dump_json()], [meta]]


class TestFaults:
    async def test_a_broker_that_restarts_in_the_middle_loses_nothing(
        self, ground: Ground, jar: Jar, servers: Servers
    ) -> None:
        one = Relay(jar.pool, SOURCE, ground.broker_url)
        running = asyncio.create_task(one.run())
        ids = await ask(jar, 300)
        await asyncio.to_thread(servers.rabbitmq.stop)
        for _ in range(5):
            ids += await ask(jar, 100)  # the store accepts meanwhile
        await asyncio.to_thread(servers.rabbitmq.start)
        ids += await ask(jar, 300)
        seen: set[UUID] = set()

        async def all_there() -> bool:
            seen.update(await read_all(ground.admin_url, READER))
            return seen == set(ids)

        await until(all_there, 60)
        one.stop()
        await asyncio.wait_for(running, 30)

    @pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
    async def test_another_replica_takes_over_within_10_seconds(
        self, ground: Ground, jar: Jar, fate: signal.Signals
    ) -> None:
        first = await replica(ground)
        try:
            await arrives(ground, await ask(jar, 1))
            second = await replica(ground)
            try:
                first.send_signal(fate)
                started = time.monotonic()
                await arrives(ground, await ask(jar, 50))
                assert time.monotonic() - started < 10
                first.send_signal(signal.SIGCONT) if fate is signal.SIGSTOP else None
                await arrives(ground, await ask(jar, 50))
            finally:
                await end(second)
        finally:
            await end(first)

    async def test_of_two_replicas_one_relays(self, ground: Ground, jar: Jar) -> None:
        async with relay(ground, jar.pool) as a, relay(ground, jar.pool) as b:
            ids = await ask(jar, 5)
            assert (await a.run_once(), await b.run_once()) == (5, 0)
        assert sorted(await read_all(ground.admin_url, READER)) == ids


async def replica(ground: Ground) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integration.eventing.replica", ground.database_url, ground.broker_url),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.DEVNULL,
    )


async def end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def arrives(ground: Ground, ids: list[UUID]) -> None:
    """All of these are on the reader's queue, in time; repeats are allowed."""
    seen: set[UUID] = set()

    async def all_there() -> bool:
        seen.update(await read_all(ground.admin_url, READER))
        return set(ids) <= seen

    await until(all_there)
