"""Fill a new subscriber with history: the service's own events, straight into one queue.

Readers take every event once, so events that they have already do no harm.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from faststream.rabbit import Channel, RabbitBroker

from contracts.envelope import BATCH_CONTENT_TYPE, batch
from eventing.database import Pool
from eventing.relay import CONFIRM_SECONDS, MESSAGE_EVENTS_MAX, Cursor, cloud_event

ROUND_EVENTS: Final = 5_000

_READ = """
    SELECT xid::text AS xid, position, event_id, stream_id, version, type, data, meta
    FROM event
    WHERE source = $1 AND type = ANY($2::text[]) AND recorded_at >= $3
      AND (xid, position) > ($4::text::xid8, $5)
      AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid, position
    LIMIT $6
"""


async def republish(pool: Pool, source: str, broker_url: str, *, types: Sequence[str], since: datetime, to: str) -> int:
    """Publish the service's own events of these types, recorded since then, to the queue `to`.

    The broker's user must be allowed to publish to queues, as the operators' is. Returns the number of events.
    """
    cursor = Cursor("0", 0)
    done = 0
    async with RabbitBroker(broker_url, default_channel=Channel(on_return_raises=True), logger=None) as broker:
        while rows := await pool.fetch(_READ, source, list(types), since, cursor.xid, cursor.position, ROUND_EVENTS):
            events = [cloud_event(source, row) for row in rows]
            async with asyncio.TaskGroup() as group:
                for start in range(0, len(events), MESSAGE_EVENTS_MAX):
                    message = broker.publish(
                        batch(events[start : start + MESSAGE_EVENTS_MAX]),
                        queue=to,
                        persist=True,
                        content_type=BATCH_CONTENT_TYPE,
                        timeout=CONFIRM_SECONDS,
                    )
                    group.create_task(message)
            cursor = Cursor(rows[-1]["xid"], rows[-1]["position"])
            done += len(rows)
    return done
