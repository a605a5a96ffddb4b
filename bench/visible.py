"""Row `visible`: how long after its 201 a pledge is in the public total, the whole platform on this machine.

Pledges come in through the gateway at a steady pace. `GET /campaigns/{id}` is asked every 40 ms over one connection,
which adds up to as much, and one viewer follows `/campaigns/{id}/live`. The figure is the 99th percentile of the later
of the two. No answer says which pledges a total has counted, so the n-th 201 is matched with the moment at which the
total had reached n: the mean is right in whatever order pledges were counted, only overtaking itself does not show.

Beside it, at the same pace and on an idle machine, the 99th percentile of the bare commits and confirms on that way
(`WAY`), one after another: commits of one row, and messages to one quorum queue. The card provider's answer, reading,
deciding and delivering are not in it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

import aio_pika
import aiohttp

from bench.load import Answers, run
from bench.pipeline import open_campaign, placements, wait_until_open
from bench.row import Figure, Ground, Row
from deploy.local.platform import LocalPlatform, start
from eventing.database import connect_pool

REACH: Final = 250  # ms
PACE: Final = 50  # pledges a second
SECONDS: Final = 20
WARM_UP: Final = PACE  # The services' first requests, and their connections, are not what is asked about.
BARE: Final = 4 * PACE
POLL_SECONDS: Final = 0.04
DRAIN_SECONDS: Final = 10.0
QUEUE: Final = "bare"

PUBLISH: Final = "publish"
COMMIT: Final = "commit"
WAY: Final = (  # What lies one after another between the 201, which follows the pledge's own commit, and the total.
    PUBLISH,  # PledgePlaced
    COMMIT,  # payment takes it in and writes the operation down
    COMMIT,  # a worker leases the operation, and asks the provider
    COMMIT,  # the outcome is recorded
    PUBLISH,  # PaymentAuthorized
    COMMIT,  # pledge takes it in and decides
    PUBLISH,  # PledgeAuthorized
    COMMIT,  # campaign takes it in and adds it to the total
)


@dataclass
class Total:
    """`reached[n]` is the moment at which the total was first seen to count more than n pledges."""

    reached: list[float] = field(default_factory=list)

    def saw(self, count: int) -> None:
        self.reached += [time.perf_counter()] * (count - len(self.reached))

    def since(self, accepted: Sequence[float]) -> Answers:
        """From the n-th 201 to the n-th of the total, without the warm-up."""
        pairs = list(zip(accepted, self.reached, strict=True))[-SECONDS * PACE :]
        return Answers(milliseconds=[(seen - told) * 1000 for told, seen in pairs])


async def paced(one: Callable[[int], Coroutine[None, None, None]], count: int) -> None:
    """`one(n)` for each n below `count`, begun at PACE however long each takes."""
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(begun + number / PACE - time.perf_counter())
            group.create_task(one(number))


async def ask(api: aiohttp.ClientSession, campaign_id: str, total: Total) -> None:
    while True:
        async with api.get(f"/campaigns/{campaign_id}") as page:
            total.saw((await page.json())["backers"])
        await asyncio.sleep(POLL_SECONDS)


async def follow(api: aiohttp.ClientSession, campaign_id: str, total: Total) -> None:
    async with api.get(f"/campaigns/{campaign_id}/live") as stream:
        async for line in stream.content:
            name, _, data = line.partition(b": ")
            if name == b"data":
                total.saw(json.loads(data).get("backers", 0))


async def watched(platform: LocalPlatform) -> tuple[Answers, Answers, float]:
    """Milliseconds until the page and until the stream showed each pledge; the cores that asking took."""
    gateway = platform.addresses.gateway
    campaign_id = await open_campaign(platform)
    await wait_until_open(platform, campaign_id)
    accepted = [time.perf_counter()]  # one pledge has shown that the campaign is open
    calls = placements(platform, campaign_id, WARM_UP + SECONDS * PACE)
    page, live = Total(), Total()

    async def place(number: int) -> None:
        answers = await run([gateway], [calls[number]], connections=1)
        accepted.append(time.perf_counter())
        assert answers.statuses == {201: 1}, answers.statuses

    patience = aiohttp.ClientTimeout(sock_read=DRAIN_SECONDS)
    async with aiohttp.ClientSession(gateway, timeout=patience) as api, asyncio.TaskGroup() as watching:
        started, cpu = time.perf_counter(), time.process_time()
        watchers = [watching.create_task(watch(api, campaign_id, to)) for watch, to in ((ask, page), (follow, live))]
        await paced(place, len(calls))
        load_cpu = (time.process_time() - cpu) / (time.perf_counter() - started)
        async with asyncio.timeout(DRAIN_SECONDS):
            while min(len(page.reached), len(live.reached)) < len(accepted):
                await asyncio.sleep(POLL_SECONDS)
        for watcher in watchers:
            watcher.cancel()
    return page.since(accepted), live.since(accepted), load_cpu


async def bare(ground: Ground) -> Answers:
    """Milliseconds of each WAY. The pool and the one channel are what a service has."""
    given = ground.provisioned
    url = given.database_urls["campaign"]
    async with await connect_pool(url, "bench") as pool, await aio_pika.connect(given.broker_admin_url) as broker:
        await pool.execute("CREATE TABLE bare (line text)")
        channel = await broker.channel()  # with confirms
        await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})

        milliseconds: list[float] = []

        async def go(_number: int) -> None:
            began = time.perf_counter()
            for step in WAY:
                if step == COMMIT:
                    await pool.execute("INSERT INTO bare VALUES ('one row')")
                else:
                    message = aio_pika.Message(b"one event", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                    await channel.default_exchange.publish(message, QUEUE)
            milliseconds.append((time.perf_counter() - began) * 1000)

        await paced(go, WARM_UP + BARE)
    return Answers(milliseconds=milliseconds[WARM_UP:])


async def measure(ground: Ground) -> Figure:
    def begin() -> tuple[Answers, Answers, float]:
        with start("bench-platform", settings={"GROUNDSWELL_LOG_LEVEL": "WARNING"}) as platform:
            return asyncio.run(watched(platform))

    alone = await bare(ground)
    page, live, load_cpu = await asyncio.to_thread(begin)
    value = max(page.percentile(99), live.percentile(99))
    shown = (f"{name} {of.percentile(50):.0f}/{of.percentile(99):.0f}" for name, of in (("page", page), ("live", live)))
    note = f"p50/p99: {', '.join(shown)}, bare {alone.percentile(50):.1f}/{alone.percentile(99):.1f}"
    return Figure(value, alone.percentile(99), load_cpu, note)


ROW = Row("visible", __doc__, "ms", f"p99 ≤ {REACH} ms", measure, runs=1)
