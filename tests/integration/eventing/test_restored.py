"""A database that was brought back to an earlier moment: what is said from now on bears versions of its own."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from contracts.ids import new_id
from eventing.group_commit import GroupCommit
from eventing.restored import note_restore, restored_at, version_floor
from tests.integration.eventing.conftest import Jar
from tests.integration.eventing.jar import DEFINITION, DropCoin

VERSIONS = "SELECT version FROM event WHERE stream_id = $1 ORDER BY version"


async def test_streams_go_on_above_all_that_was_said(jar: Jar) -> None:
    old, new = new_id(), new_id()
    await jar.commit.execute(DropCoin(old))
    await jar.commit.execute(DropCoin(old))
    assert await version_floor(jar.pool) == 0
    floor = await note_restore(jar.pool)
    assert await version_floor(jar.pool) == floor
    commit = GroupCommit(jar.pool, DEFINITION, version_floor=floor)
    running = asyncio.create_task(commit.run())
    answers = [await commit.execute(DropCoin(one)) for one in (old, old, new)]
    commit.stop()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(running, 10)
    assert [answer["coins"] for answer in answers] == [3, 4, 1]
    assert [row["version"] for row in await jar.pool.fetch(VERSIONS, old)] == [1, 2, floor + 1, floor + 2]
    assert [row["version"] for row in await jar.pool.fetch(VERSIONS, new)] == [floor + 1]


async def test_the_floor_says_when_it_was_noted_and_only_rises(jar: Jar) -> None:
    first = await note_restore(jar.pool)
    noted_at = restored_at(first)
    assert noted_at is not None
    assert abs(datetime.now(UTC) - noted_at) < timedelta(minutes=1)
    await asyncio.sleep(1.1)
    assert await note_restore(jar.pool) > first
    assert restored_at(0) is None
