"""The mirror of public pages in a real Redis (DOMAIN C7): fast when it is there, never missed when it is not."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from campaign.mirror import PAUSE_SECONDS, REDIS_SECONDS, Mirror, connect_redis, key_of
from campaign.pages import Page
from contracts.ids import new_id
from contracts.pledge import PledgeAuthorized, PledgePlaced
from deploy.local.servers import Servers
from tests.integration.campaign.client import Running, Site, until
from tests.integration.campaign.pledges import life

PATIENT_SECONDS = 10.0  # Where the answer is asked about, and not how soon it comes on a busy machine.


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    async with connect_redis(servers.backing.redis_url) as client:
        yield client


@pytest.fixture
async def service(site: Site) -> AsyncIterator[Running]:
    async with site.running() as running:
        yield running


@asynccontextmanager
async def without_redis(servers: Servers) -> AsyncIterator[None]:
    await asyncio.to_thread(servers.redis.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(servers.redis.start)
        await asyncio.to_thread(servers.redis.wait_ready)


def id_of(path: str) -> UUID:
    return UUID(path.rpartition("/")[2])


async def pledged(service: Running, path: str) -> int:
    """What anybody sees."""
    answer = await service.http.get(path)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["pledged"]["amount"])


async def pledge(service: Running, path: str, minor: int) -> None:
    await service.runtime.commit.take_in(life(id_of(path), minor, PledgePlaced, PledgeAuthorized))


async def sees(service: Running, path: str, total: int, seconds: float) -> None:
    await until(lambda: pledged(service, path), lambda seen: seen == total, seconds)


async def mirrored(redis: Redis, path: str) -> Any:
    return await redis.hget(key_of(id_of(path)), "body")


async def is_mirrored(service: Running, redis: Redis, path: str) -> None:
    """A read brings the page into the mirror, if it is not there."""

    async def look() -> Any:
        await service.http.get(path)
        return await mirrored(redis, path)

    await until(look, bool)


def page(version: int, body: bytes = b"{}", campaign_id: UUID | None = None) -> Page:
    return Page(campaign_id or new_id(), new_id(), True, version, 0.0, body)


class TestPages:
    async def test_another_replica_serves_what_the_mirror_holds(
        self, site: Site, service: Running, redis: Redis
    ) -> None:
        path = await service.creator().launches()
        mirror = Mirror(redis, 60, PATIENT_SECONDS)
        while not (shown := await mirror.read(id_of(path))):
            await is_mirrored(service, redis, path)
        newer = replace(shown, version=shown.version + 1, body=b'{"id":"from the mirror"}')
        assert await mirror.write(newer)  # no replica that still fills the mirror writes over what is newer
        async with site.running() as other:

            async def look() -> Any:
                return (await other.http.get(path)).json()

            answer = await until(look, lambda seen: seen["id"] == "from the mirror")
            assert answer["time_left_seconds"] > 0

    async def test_a_pledge_is_seen_here_at_once_and_by_another_replica_within_a_second(
        self, site: Site, service: Running
    ) -> None:
        path = await service.creator().launches()
        async with site.running() as other:
            assert (await pledged(service, path), await pledged(other, path)) == (0, 0)
            for total in (700, 1_400, 2_100):
                await pledge(service, path, 700)
                assert await pledged(service, path) == total
                await sees(other, path, total, seconds=1)

    async def test_live_for_seconds_only(self, service: Running, redis: Redis) -> None:
        path = await service.creator().launches()

        async def left_milliseconds() -> int:
            await service.http.get(path)
            return int(await redis.pttl(key_of(id_of(path))))

        assert await until(left_milliseconds, lambda left: left > 0) <= 1_000

    async def test_drafts_are_never_mirrored(self, service: Running, redis: Redis) -> None:
        creator = service.creator()
        draft, active = await creator.drafts(), await creator.launches()
        assert (await creator.page(draft))["status"] == "draft"
        await is_mirrored(service, redis, active)  # a later change: the draft's turn is over by then
        assert await mirrored(redis, draft) is None

    async def test_a_flushed_mirror_fills_again(self, service: Running, redis: Redis) -> None:
        path = await service.creator().launches()
        await pledge(service, path, 700)
        await is_mirrored(service, redis, path)
        await redis.flushdb()
        assert await pledged(service, path) == 700
        await is_mirrored(service, redis, path)


class TestRedisGone:
    async def test_pages_stay_right_while_it_is_stopped_and_the_mirror_heals(
        self, servers: Servers, service: Running, redis: Redis
    ) -> None:
        path = await service.creator().launches()
        await is_mirrored(service, redis, path)
        async with without_redis(servers):
            for total in (700, 1_400, 2_100):
                await pledge(service, path, 700)
                assert await pledged(service, path) == total
        await is_mirrored(service, redis, path)
        assert await pledged(service, path) == 2_100

    async def test_a_frozen_one_is_asked_once_and_then_left_alone(
        self, servers: Servers, service: Running, redis: Redis
    ) -> None:
        paths = [await service.creator().launches() for _ in range(20)]
        for path in paths:
            await is_mirrored(service, redis, path)
        await asyncio.to_thread(servers.redis.freeze)
        try:
            started = time.monotonic()
            assert [await pledged(service, path) for path in paths] == [0] * 20
            assert time.monotonic() - started < PAUSE_SECONDS  # twenty time-outs would be two seconds
        finally:
            await asyncio.to_thread(servers.redis.thaw)
        for path in paths:
            await is_mirrored(service, redis, path)

    async def test_the_service_starts_and_launches_without_it(self, servers: Servers, site: Site) -> None:
        async with without_redis(servers), site.running() as service:
            creator = service.creator()
            path = await creator.launches()
            await pledge(service, path, 700)
            assert await pledged(service, path) == 700


@dataclass
class Traffic:
    """Pledges on two replicas in turn, pages and launches on the first of them, each answer checked, until `over`."""

    replicas: tuple[Running, Running]
    path: str
    over: bool = False
    done: Counter[str] = field(default_factory=Counter)

    @property
    def taken_minor(self) -> int:
        return 100 * self.done["pledges"]

    async def pledges(self) -> None:
        while not self.over:
            await pledge(self.replicas[self.done["pledges"] % 2], self.path, 100)
            self.done["pledges"] += 1

    async def pages(self) -> None:
        first = self.replicas[0]
        while not self.over:
            before = self.taken_minor
            shown = await pledged(first, self.path)
            assert before - 100 <= shown <= self.taken_minor + 100  # the last one is the other replica's
            assert (await first.http.get("/health/ready")).status_code == 200
            self.done["pages"] += 1

    async def launches(self) -> None:
        creator = self.replicas[0].creator()
        while not self.over:
            await creator.page(await creator.launches())
            self.done["launches"] += 1

    async def more(self) -> None:
        """Until each kind has gone on for a while."""
        wanted = {kind: self.done[kind] + count for kind, count in {"pledges": 20, "pages": 20, "launches": 5}.items()}

        async def done() -> Counter[str]:
            return self.done

        await until(done, lambda found: all(found[kind] >= count for kind, count in wanted.items()), seconds=60)


class TestUnderTraffic:
    async def test_stopped_flushed_and_restarted_it_is_missed_by_nobody_and_heals_within_five_seconds(
        self, servers: Servers, site: Site, service: Running, redis: Redis
    ) -> None:
        path = await service.creator().launches()
        async with site.running() as other, asyncio.TaskGroup() as group:
            traffic = Traffic((service, other), path)
            for task in (traffic.pledges(), traffic.pages(), traffic.launches()):
                group.create_task(task)
            await traffic.more()
            await redis.flushdb()
            await traffic.more()
            async with without_redis(servers):
                await traffic.more()
            await traffic.more()
            traffic.over = True
        shown = b'"pledged":{"amount":%d,' % traffic.taken_minor

        async def look() -> Any:
            await service.http.get(path)
            return await mirrored(redis, path)

        await until(look, lambda body: body is not None and shown in body, seconds=5)


class TestMirror:
    async def test_keeps_whichever_is_newer(self, servers: Servers) -> None:
        async with connect_redis(servers.backing.redis_url) as redis:
            mirror, campaign_id = Mirror(redis, 5, PATIENT_SECONDS), new_id()
            for version, kept in ((2, b"2"), (1, b"2"), (10, b"10"), (9, b"10")):
                assert await mirror.write(page(version, str(version).encode(), campaign_id))
                found = await mirror.read(campaign_id)
                assert (found.body if found else None) == kept

    async def test_a_page_comes_back_as_it_went(self, servers: Servers) -> None:
        async with connect_redis(servers.backing.redis_url) as redis:
            mirror = Mirror(redis, 5, PATIENT_SECONDS)
            one = Page(new_id(), new_id(), True, 7, 1_900_000_000.25, b'{"title":"\xc3\xa4"}')
            await mirror.write(one)
            assert await mirror.read(one.campaign_id) == one
            assert await mirror.read(new_id()) is None

    async def test_after_a_failure_it_pauses_and_then_asks_again(self, servers: Servers) -> None:
        now = 100.0
        async with connect_redis(servers.backing.redis_url) as redis:
            mirror = Mirror(redis, 5, PATIENT_SECONDS, lambda: now)
            one = page(1)
            async with without_redis(servers):
                assert not await mirror.write(one)
                assert mirror.paused
            assert not await mirror.write(one)
            now += PAUSE_SECONDS
            assert await mirror.write(one)
            assert await mirror.read(one.campaign_id) == one

    async def test_a_restart_is_noticed_by_every_connection_without_a_pause(self, servers: Servers) -> None:
        async with connect_redis(servers.backing.redis_url) as redis:
            mirror = Mirror(redis, 5, PATIENT_SECONDS)
            await asyncio.gather(*(mirror.write(page(1)) for _ in range(10)))
            async with without_redis(servers):
                pass
            assert all(await asyncio.gather(*(mirror.write(page(1)) for _ in range(10))))
            assert not mirror.paused

    async def test_a_slow_one_costs_no_more_than_its_time(self, servers: Servers) -> None:
        async with connect_redis(servers.backing.redis_url) as redis:
            mirror = Mirror(redis, 5)
            await mirror.write(page(1))
            await asyncio.to_thread(servers.redis.freeze)
            try:
                started = time.monotonic()
                assert await mirror.read(new_id()) is None
                assert time.monotonic() - started < 5 * REDIS_SECONDS
            finally:
                await asyncio.to_thread(servers.redis.thaw)

    async def test_a_reader_that_is_cancelled_stops_wherever_it_is(self, servers: Servers) -> None:
        async with connect_redis(servers.backing.redis_url) as redis:
            mirror = Mirror(redis, 5, PATIENT_SECONDS)

            async def read_for_ever() -> None:
                while True:
                    await mirror.read(new_id())

            for turn in range(300):
                reader = asyncio.create_task(read_for_ever())
                for _ in range(turn % 30):
                    await asyncio.sleep(0)  # one step further each time
                reader.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.wait_for(reader, 5)

    async def test_what_is_behind_is_remembered_until_shown(self, servers: Servers) -> None:
        async with connect_redis(servers.backing.redis_url) as redis:
            mirror, campaign_id = Mirror(redis, 5, PATIENT_SECONDS), new_id()
            mirror.note_version(campaign_id, 3)
            mirror.note_version(campaign_id, 2)
            mirror.caught_up(campaign_id, 2)
            assert mirror.behind == {campaign_id: 3}
            mirror.caught_up(campaign_id, 3)
            assert mirror.behind == {}
