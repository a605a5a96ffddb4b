"""Row `relay`: events read from the store and published with confirms, beside one aio-pika message per event."""

import asyncio
import time
from typing import Final

import aio_pika

from bench.facts import NOON, on_the_wire, pledges
from bench.row import Figure, Ground, Row
from contracts.ids import new_id
from contracts.pledge import PledgePlaced
from eventing import migrations
from eventing.database import Pool, connect_pool
from eventing.relay import Relay
from eventing.topology import declare

EVENTS: Final = 60_000
BASELINE_EVENTS: Final = 15_000
IN_FLIGHT: Final = 500
CHUNK: Final = 5_000

_FILL = """
    INSERT INTO event (event_id, source, stream_id, version, type, data, meta)
    SELECT event_id, 'pledge', stream_id, 1, $3, data, $4::jsonb
    FROM unnest($1::uuid[], $2::uuid[], $5::jsonb[]) AS given(event_id, stream_id, data)
"""


async def fill(pool: Pool, count: int) -> None:
    """`count` own events of the pledge service that nobody has published yet."""
    meta = f'{{"time": "{NOON.isoformat()}", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}'
    campaign_id = new_id()
    for _ in range(0, count, CHUNK):
        placed = [first for first, _ in pledges(campaign_id, CHUNK)]
        await pool.execute(
            _FILL,
            [new_id() for _ in placed],
            [event.subject for event in placed],
            PledgePlaced.type,
            meta,
            [event.model_dump_json() for event in placed],
        )


async def one_message_per_event(url: str) -> float:
    """Events a second that aio-pika publishes, one message each, with 500 unconfirmed."""
    bodies = [on_the_wire(first, 1).encode() for first, _ in pledges(new_id(), BASELINE_EVENTS)]
    room = asyncio.Semaphore(IN_FLIGHT)
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange("events")

        async def publish(body: bytes) -> None:
            async with room:
                message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await exchange.publish(message, PledgePlaced.type)

        started = time.perf_counter()
        await asyncio.gather(*(publish(body) for body in bodies))
        return BASELINE_EVENTS / (time.perf_counter() - started)


async def measure(ground: Ground) -> Figure:
    provisioned = ground.provisioned
    await declare(provisioned.broker_admin_url)
    url = provisioned.database_urls["pledge"]
    await migrations.migrate(url, migrations.CORE)
    baseline = await one_message_per_event(provisioned.broker_urls["pledge"])
    async with await connect_pool(url, "bench") as pool:
        await fill(pool, EVENTS)
        relay = Relay(pool, "pledge", provisioned.broker_urls["pledge"])
        await relay.start()
        started = time.perf_counter()
        done = 0
        while done < EVENTS:
            done += await relay.run_once()
        value = EVENTS / (time.perf_counter() - started)
        await relay.close()
    return Figure(value, baseline)


ROW = Row("relay", __doc__, "events/s", "≥ 4 ×", measure)
