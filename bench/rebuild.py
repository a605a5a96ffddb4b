"""Row `rebuild`: a projection of the analytics service folded again from its event store.

Beside the `eventsourcing` library reading and decoding the same number of events from its PostgreSQL recorder,
without folding them into anything.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import DatetimeAsISO, JSONTranscoder, Mapper, StoredEvent, UUIDAsHex
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

import analytics
from analytics.app import HOUSE
from bench.facts import NOON, pledges
from bench.row import Figure, Ground, Row
from contracts.envelope import Envelope
from contracts.event import Event
from contracts.ids import new_id
from eventing import migrations
from eventing.database import connect_pool
from eventing.group_commit import GroupCommit
from eventing.rebuild import rebuild

SERVICE: Final = "analytics"
PLEDGES: Final = 20_000
CHUNK: Final = 500
PAGE: Final = 5_000


@dataclass(frozen=True)
class Placed(DomainEvent):
    """The library's twin of `PledgePlaced`, with the fields that its transcoder knows."""

    campaign_id: str
    backer_id: str
    amount: int
    currency: str
    country: str
    payment_method: str
    strategy: str


def library_reads(url: str, count: int) -> float:
    """Events a second that the library reads in pages and decodes to its event objects."""
    address = urlsplit(url)
    transcoder = JSONTranscoder()
    transcoder.register(UUIDAsHex())
    transcoder.register(DatetimeAsISO())
    mapper: Mapper[UUID] = Mapper(transcoder=transcoder)
    with PostgresDatastore(
        dbname=address.path[1:],
        host=address.hostname or "",
        port=str(address.port),
        user=address.username or "",
        password=address.password or "",
        schema=SERVICE,
    ) as datastore:
        recorder = PostgresApplicationRecorder(datastore)
        recorder.create_table()
        campaign = str(new_id())
        for _ in range(0, count, PAGE):
            recorder.insert_events([mapper.to_stored_event(placed(campaign)) for _ in range(PAGE)])
        started = time.perf_counter()
        read = sum(isinstance(mapper.to_domain_event(stored), Placed) for stored in _pages(recorder))
        assert read == count
        return count / (time.perf_counter() - started)


def _pages(recorder: PostgresApplicationRecorder) -> Iterator[StoredEvent]:
    start = 1
    while page := recorder.select_notifications(start, PAGE):
        yield from page
        start = page[-1].id + 1


def placed(campaign: str) -> Placed:
    return Placed(
        originator_id=new_id(),
        originator_version=1,
        timestamp=NOON,
        campaign_id=campaign,
        backer_id=str(new_id()),
        amount=2500,
        currency="EUR",
        country="DE",
        payment_method="pm_card_visa",
        strategy="hold",
    )


def wrapped(event: Event, version: int) -> tuple[Envelope, Event]:
    data = event.model_dump(mode="json")
    return Envelope(new_id(), event.source, event.type, event.subject, version, NOON, data), event


async def measure(ground: Ground) -> Figure:
    url = ground.provisioned.database_urls[SERVICE]
    await migrations.migrate(url, migrations.CORE, Path(next(iter(analytics.__path__))) / "migrations")
    async with await connect_pool(url, "bench") as pool:
        commit = GroupCommit(pool, HOUSE.definition)
        running = asyncio.create_task(commit.run())
        lives = list(pledges(new_id(), PLEDGES))
        for start in range(0, PLEDGES, CHUNK):
            part = lives[start : start + CHUNK]
            await commit.take_in([wrapped(event, v) for life in part for v, event in enumerate(life, 1)])
        commit.stop()
        await running
        baseline = await asyncio.to_thread(library_reads, url, 2 * PLEDGES)
        started = time.perf_counter()
        for projection in HOUSE.definition.projections:
            await rebuild(pool, HOUSE.definition, projection)
        value = 2 * PLEDGES / (time.perf_counter() - started)
    return Figure(value, baseline)


ROW = Row("rebuild", __doc__, "events/s", "≥ 2 ×", measure)
