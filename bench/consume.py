"""Row `consume`: events taken from RabbitMQ and folded durably by one process of the analytics service.

Beside a bare FastStream subscriber with a Pydantic model, one event per message and no database.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue
from pydantic import BaseModel

import analytics
from analytics.app import HOUSE
from bench.broker import publish
from bench.facts import on_the_wire, pledges
from bench.row import Figure, Ground, Row
from contracts.envelope import batch
from contracts.event import Event
from contracts.ids import new_id
from contracts.pledge import PledgeAuthorized, PledgePlaced
from eventing import migrations
from eventing.consumer import PREFETCH_MESSAGES, Consumer
from eventing.database import connect_pool
from eventing.group_commit import GroupCommit
from eventing.metrics import Metrics
from eventing.relay import MESSAGE_EVENTS_MAX
from eventing.telemetry import new_registry
from eventing.topology import declare

SERVICE: Final = "analytics"
PLEDGES: Final = 20_000
BASELINE_EVENTS: Final = 10_000
POLL_SECONDS: Final = 0.01


class Placed(BaseModel):
    """What the bare subscriber validates: the envelope with its event."""

    id: str
    source: str
    type: str
    subject: str
    streamversion: int
    data: PledgePlaced


async def bare_subscriber(url: str) -> float:
    """Events a second of a FastStream subscriber that validates and does nothing."""
    queue = RabbitQueue("bench.bare", queue_type=QueueType.QUORUM, durable=True)
    broker = RabbitBroker(url, logger=None)
    done = 0
    finished = asyncio.Event()

    @broker.subscriber(queue, channel=Channel(prefetch_count=PREFETCH_MESSAGES * 10))
    async def take(_event: Placed) -> None:
        nonlocal done
        done += 1
        if done == BASELINE_EVENTS:
            finished.set()

    await broker.connect()
    await broker.declare_queue(queue)
    bodies = [on_the_wire(first, 1).encode() for first, _ in pledges(new_id(), BASELINE_EVENTS)]
    await publish(url, "", [(queue.name, body) for body in bodies])
    started = time.perf_counter()
    await broker.start()
    await finished.wait()
    seconds = time.perf_counter() - started
    await broker.stop()
    return BASELINE_EVENTS / seconds


def messages(events: Sequence[tuple[Event, int]]) -> list[tuple[str, bytes]]:
    """As a relay sends them: one type per message, up to a hundred events each."""
    found: list[tuple[str, bytes]] = []
    for type_ in (PledgePlaced.type, PledgeAuthorized.type):
        encoded = [on_the_wire(event, version) for event, version in events if event.type == type_]
        starts = range(0, len(encoded), MESSAGE_EVENTS_MAX)
        found.extend((type_, batch(encoded[start : start + MESSAGE_EVENTS_MAX])) for start in starts)
    return found


async def measure(ground: Ground) -> Figure:
    provisioned = ground.provisioned
    await declare(provisioned.broker_admin_url)
    baseline = await bare_subscriber(provisioned.broker_admin_url)
    url = provisioned.database_urls[SERVICE]
    await migrations.migrate(url, migrations.CORE, Path(next(iter(analytics.__path__))) / "migrations")
    lives = list(pledges(new_id(), PLEDGES))
    placed = [(first, 1) for first, _ in lives]
    authorized = [(second, 2) for _, second in lives]
    await publish(provisioned.broker_urls["pledge"], "events", messages([*placed, *authorized]))
    async with await connect_pool(url, "bench") as pool:
        registry = new_registry()
        commit = GroupCommit(pool, HOUSE.definition, metrics=Metrics(registry))
        running = asyncio.create_task(commit.run())
        consumer = Consumer(pool, commit, SERVICE, provisioned.broker_urls[SERVICE])
        started = time.perf_counter()
        await consumer.start()
        while (registry.get_sample_value("groundswell_group_members_sum") or 0) < 2 * PLEDGES:
            await asyncio.sleep(POLL_SECONDS)
        value = 2 * PLEDGES / (time.perf_counter() - started)
        assert await pool.fetchval("SELECT count(*) FROM event") == 2 * PLEDGES
        await consumer.stop()
        commit.stop()
        await running
    return Figure(value, baseline)


ROW = Row("consume", __doc__, "events/s", "≥ 5 ×", measure)
