"""A campaign watched live, over real connections (DOMAIN C7): what comes, when it ends, and what it costs."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr
from pydantic_core import from_json

from campaign import live
from campaign.app import HOUSE, Settings
from contracts.ids import new_id
from contracts.pledge import PledgeAuthorized, PledgeCancelled, PledgePlaced
from deploy.local.plain_http import NO_TLS
from deploy.topology import SERVICES
from eventing.database import Pool
from eventing.runtime import Runtime
from eventing.settings import variable
from tests.integration.campaign.client import Person, Running, Site, check_problem, tier_body, until
from tests.integration.campaign.pledges import life
from tests.integration.eventing.shell import serving
from tests.integration.test_gateway import caddy, free_port

DEADLINE_SECONDS = 10.0


@dataclass
class Frame:
    event: str
    id: str
    data: Any


@dataclass
class Stream:
    """An open stream, read frame by frame. `comments` and `retry` are what came between the frames."""

    answer: httpx.Response
    comments: list[str] = field(default_factory=list)
    retry: int | None = None

    def __post_init__(self) -> None:
        self._lines = self.answer.aiter_lines()

    async def next(self) -> Frame | None:
        """The next frame; None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for line in self._lines:
                name, _, value = line.partition(":")
                if not line and "event" in fields:
                    return Frame(fields["event"], fields["id"], from_json(fields["data"]))
                if not name and line:
                    self.comments.append(line)
                if name == "retry":
                    self.retry = int(value)
                elif name:
                    fields[name] = value.strip()
        return None

    async def until(self, event: str, **wanted: Any) -> list[Frame]:
        """All frames up to the first of this kind with this data."""
        seen = []
        while frame := await self.next():
            seen.append(frame)
            if frame.event == event and wanted.items() <= frame.data.items():
                return seen
        raise AssertionError(f"the stream ended after {seen}")


@dataclass
class Watched:
    """A service on a real port, and people who use it."""

    http: httpx.AsyncClient
    address: str
    runtime: Runtime
    people: Running

    @asynccontextmanager
    async def stream(self, path: str, last_event_id: str = "") -> AsyncIterator[Stream]:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        async with self.http.stream("GET", f"{path}/live", headers=headers) as answer:
            assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
            yield Stream(answer)

    def creator(self) -> Person:
        return self.people.creator()

    async def pledge(self, path: str, minor: int, *facts: Any, tier_id: str | None = None) -> None:
        tier = None if tier_id is None else UUID(tier_id)
        told = life(UUID(path.rpartition("/")[2]), minor, PledgePlaced, *(facts or (PledgeAuthorized,)), tier_id=tier)
        await self.runtime.commit.take_in(told)


@asynccontextmanager
async def watched(site: Site, **settings: Any) -> AsyncIterator[Watched]:
    async with (
        HOUSE.build(site.settings.model_copy(update=settings)) as app,
        serving(app) as address,
        httpx.AsyncClient(verify=NO_TLS, base_url=address, timeout=DEADLINE_SECONDS) as http,
    ):
        runtime = app.state.runtime
        yield Watched(http, address, runtime, Running(http, runtime, site.issuer))


@pytest.fixture(scope="module")
async def service(site: Site) -> AsyncIterator[Watched]:
    async with watched(site) as one:
        yield one


class TestStream:
    async def test_begins_with_what_is_and_goes_on_with_what_comes(self, service: Watched) -> None:
        creator = service.creator()
        path = await creator.launches(tier_body(limit=5))
        [tier] = (await creator.page(path))["tiers"]
        await service.pledge(path, 2_000)
        async with service.stream(path) as stream:
            [slots, total] = await stream.until("total")
            assert total.data == {
                "status": "active",
                "pledged": {"amount": 2_000, "currency": "EUR"},
                "at_risk": {"amount": 0, "currency": "EUR"},
                "at_risk_backers": 0,
                "disputes": {
                    "open": 0,
                    "open_amount": {"amount": 0, "currency": "EUR"},
                    "lost": 0,
                    "lost_amount": {"amount": 0, "currency": "EUR"},
                },
                "backers": 1,
                "percent": 20,
            }
            assert slots.data == {"tiers": [{"id": tier["id"], "limit": 5, "slots_left": 5}]}
            assert stream.retry is not None
            await service.pledge(path, 700, tier_id=tier["id"])
            slots, total = (await stream.until("total", backers=2))[-2:]
            assert (slots.data["tiers"][0]["slots_left"], total.data["pledged"]["amount"]) == (4, 2_700)

    async def test_milestones_are_told_as_they_are_crossed_in_order_and_before_the_total(
        self, service: Watched
    ) -> None:
        path = await service.creator().launches()
        await service.pledge(path, 2_500)
        async with service.stream(path) as stream:
            first = await stream.until("total", percent=25)
            assert [frame.event for frame in first] == ["slots", "total"]  # what was crossed before is no news
            await service.pledge(path, 7_500)
            seen = await stream.until("total", percent=100)
        assert [frame.data["percent"] for frame in seen if frame.event == "milestone"] == [50, 75, 100]
        assert [frame.event for frame in seen[:3]] == ["milestone"] * 3

    async def test_what_another_replica_commits_is_seen_too(self, site: Site, service: Watched) -> None:
        path = await service.creator().launches()
        async with service.stream(path) as stream, watched(site) as other:
            await stream.until("total", backers=0)
            await other.pledge(path, 700)
            await stream.until("total", backers=1)

    async def test_a_total_that_falls_is_seen_too(self, service: Watched) -> None:
        path = await service.creator().launches()
        async with service.stream(path) as stream:
            await service.pledge(path, 700)
            await stream.until("total", backers=1)
            await service.pledge(path, 900, PledgeAuthorized, PledgeCancelled)
            assert (await stream.until("total"))[-1].data["backers"] == 1

    async def test_a_silent_one_says_that_it_is_there(self, service: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
        path = await service.creator().launches()
        async with service.stream(path) as stream:
            await stream.until("total")
            reading = asyncio.create_task(stream.next())

            async def comments() -> int:
                return len(stream.comments)

            await until(comments, lambda count: count >= 2)
            await service.pledge(path, 700)
            assert await reading is not None


class TestAgain:
    async def test_after_a_break_what_was_missed_comes_and_nothing_twice(self, service: Watched) -> None:
        path = await service.creator().launches()
        await service.pledge(path, 2_500)
        async with service.stream(path) as stream:
            last = (await stream.until("total", percent=25))[-1].id
        await service.pledge(path, 5_000)
        async with service.stream(path, last) as stream:
            seen = await stream.until("total", percent=75)
            assert [frame.data["percent"] for frame in seen if frame.event == "milestone"] == [50, 75]
        async with service.stream(path, seen[0].id) as stream:  # broken off after the first milestone
            again = await stream.until("total", percent=75)
            assert [frame.data["percent"] for frame in again if frame.event == "milestone"] == [75]
        async with service.stream(path, seen[-1].id) as stream:
            await service.pledge(path, 100)
            assert [frame.event for frame in await stream.until("total")] == ["slots", "total"]

    @pytest.mark.parametrize("last_event_id", ["nonsense", "9999999-0", "1", "-", "9" * 60 + "-1"])
    async def test_a_position_that_is_not_ours_begins_anew(self, service: Watched, last_event_id: str) -> None:
        path = await service.creator().launches()
        async with service.stream(path, last_event_id) as stream:
            assert [frame.event for frame in await stream.until("total")] == ["slots", "total"]


class TestEnd:
    async def test_is_told_when_the_campaign_is_cancelled_and_the_stream_ends(self, service: Watched) -> None:
        creator = service.creator()
        path = await creator.launches()
        async with service.stream(path) as stream:
            await stream.until("total")
            await creator.send(f"{path}/cancel")
            ended = (await stream.until("end"))[-1]
            assert (ended.data, await stream.next()) == ({"status": "cancelled"}, None)
        answer = await service.http.get(f"{path}/live", headers={"Last-Event-ID": ended.id})
        assert answer.status_code == 204  # a browser comes back by itself, and stays away after this
        async with service.stream(path) as stream:  # somebody who comes late sees how it ended
            assert [frame.event for frame in await stream.until("end")] == ["slots", "total", "end"]

    async def test_is_told_at_the_deadline(self, service: Watched) -> None:
        deadline = datetime.now(UTC) + timedelta(seconds=2)
        path = await service.creator().launches(deadline=deadline.isoformat())
        async with service.stream(path) as stream:
            assert (await stream.until("end"))[-1].data == {"status": "settling"}

    async def test_there_is_nothing_to_watch_before_the_launch(self, service: Watched) -> None:
        creator = service.creator()
        for path in (await creator.drafts(), f"/campaigns/{new_id()}"):
            check_problem(await creator.get(f"{path}/live"), 404, "campaign-not-found")


class TestLimit:
    async def test_more_than_can_be_served_are_told_so_and_let_in_when_one_leaves(self, site: Site) -> None:
        async with watched(site, live_streams_max=2) as service, AsyncExitStack() as stack:
            path = await service.creator().launches()
            leaving = await stack.enter_async_context(AsyncExitStack())
            streams = [await one.enter_async_context(service.stream(path)) for one in (leaving, stack)]
            for stream in streams:
                await stream.until("total")
            refused = await service.http.get(f"{path}/live")
            check_problem(refused, 503, "unavailable")
            assert int(refused.headers["retry-after"]) > 0
            assert (await service.http.get(path)).status_code == 200
            await leaving.aclose()

            async def opened() -> int:
                async with service.http.stream("GET", f"{path}/live") as answer:
                    return answer.status_code

            assert await until(opened, lambda status: status == 200)


class Counted:
    """The service's pool, and how often it was asked."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.asked = 0

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        self.asked += 1
        return await self._pool.fetch(query, *arguments)


async def test_viewers_share_one_reader_and_are_sent_the_same(service: Watched) -> None:
    path = await service.creator().launches()
    counted, shared = Counted(service.runtime.pool), live.Live(streams_max=300)
    pool, campaign_id, never = cast("Pool", counted), UUID(path.rpartition("/")[2]), asyncio.Event()
    viewers = [await shared.watch(pool, campaign_id, never) for _ in range(300)]
    streams = [viewer.frames(None) for viewer in viewers if viewer]
    for stream in streams:
        await anext(stream)  # when to come again
        await anext(stream)
    assert (len(streams), counted.asked) == (300, 1)
    await service.pledge(path, 700)
    await shared.look(pool)
    sent = {await anext(stream) for stream in streams}
    assert (len(sent), counted.asked) == (1, 3)
    await shared.look(pool)
    assert counted.asked == 4  # nothing new: the versions are all that was asked for
    for viewer in viewers:
        assert viewer is not None
        viewer.leave()
    assert shared.streams == 0


async def test_it_comes_through_the_gateway_as_it_is_sent(service: Watched, tmp_path: Path) -> None:
    addresses = {part.name: f"127.0.0.1:{free_port()}" for part in SERVICES}
    addresses["campaign"] = service.address.removeprefix("http://")
    path = await service.creator().launches()
    async with (
        caddy(addresses, tmp_path) as (port, _),
        httpx.AsyncClient(verify=NO_TLS, timeout=DEADLINE_SECONDS) as http,
        http.stream("GET", f"http://127.0.0.1:{port}{path}/live") as answer,
    ):
        stream = Stream(answer)
        await stream.until("total", backers=0)
        for backers in (1, 2):
            await service.pledge(path, 700)
            await stream.until("total", backers=backers)  # before the next one is made


@asynccontextmanager
async def process(site: Site) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`campaign serve` as a process of its own, and its address."""
    port = free_port()
    given = {
        variable(Settings, name): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in site.settings.model_dump(exclude_none=True).items()
    }
    environment = os.environ | given | {variable(Settings, "http_port"): str(port)}
    program = Path(sys.executable).parent / "campaign"
    started = await asyncio.create_subprocess_exec(program, "serve", env=environment, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield started, f"http://127.0.0.1:{port}"
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def test_a_service_that_stops_ends_its_streams_in_order_and_at_once(site: Site, service: Watched) -> None:
    path = await service.creator().launches()
    async with (
        process(site) as (started, address),
        httpx.AsyncClient(verify=NO_TLS, base_url=address, timeout=60) as http,
    ):

        async def ready() -> bool:
            try:
                return (await http.get("/health/ready")).is_success
            except httpx.TransportError:
                return False

        await until(ready, bool, seconds=60)
        async with http.stream("GET", f"{path}/live") as answer:
            stream = Stream(answer)
            await stream.until("total")
            started.send_signal(signal.SIGTERM)
            assert await stream.next() is None  # a broken connection would raise
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await started.wait() == 0
