"""A service's core on a real database, without its doors: what the tests of its handlers work with."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from contracts.envelope import Envelope
from contracts.event import Event
from contracts.ids import new_id
from deploy.local.provision import Provisioned
from eventing.clock import DatabaseClock
from eventing.database import Pool, connect_pool
from eventing.definition import Answer, Definition
from eventing.group_commit import GroupCommit

START = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)  # where the frozen clock of a test begins


@dataclass
class House:
    """Pool, clock and one group commit per replica. The clock stands still until a test moves it."""

    pool: Pool
    definition: Definition
    clock: DatabaseClock
    replicas: tuple[GroupCommit, ...]
    _read: int = field(default=0)

    @property
    def commit(self) -> GroupCommit:
        return self.replicas[0]

    async def take_in(self, *events: tuple[Envelope, Event]) -> None:
        await self.commit.take_in(events)

    async def execute(self, command: Any) -> Answer:
        return await self.commit.execute(command)

    def pass_time(self, by: timedelta) -> None:
        assert self.clock.frozen_at is not None
        self.clock.frozen_at += by

    async def said(self) -> list[Event]:
        """The service's own events that were recorded since the last call, in the order of their recording."""
        rows = await self.pool.fetch(
            "SELECT position, type, data FROM event WHERE source = $1 AND position > $2 ORDER BY position",
            self.definition.source,
            self._read,
        )
        if rows:
            self._read = rows[-1]["position"]
        models = self.definition.models
        return [models[row["type"]].model_validate(from_json(row["data"])) for row in rows]

    async def parked(self) -> list[str]:
        return [row["error"] for row in await self.pool.fetch("SELECT error FROM parked_event")]


@asynccontextmanager
async def house(database: Provisioned, definition: Definition, replicas: int = 1) -> AsyncIterator[House]:
    """The service's schema, with `replicas` group commits at work on it."""
    clock = DatabaseClock(frozen_at=START)
    async with await connect_pool(database.database_urls[definition.source], definition.source) as pool:
        commits = tuple(GroupCommit(pool, definition, clock) for _ in range(replicas))
        running = [asyncio.create_task(commit.run()) for commit in commits]
        try:
            yield House(pool, definition, clock, commits)
        finally:
            for commit in commits:
                commit.stop()
            await asyncio.gather(*running)


class Stories:
    """Wraps contract events as their services would send them: stream by stream, versions rising from 1."""

    def __init__(self, time: datetime = START) -> None:
        self.time = time
        self._versions: defaultdict[tuple[str, UUID], int] = defaultdict(int)

    def tell(self, *events: Event) -> list[tuple[Envelope, Event]]:
        return [self._wrap(event) for event in events]

    def _wrap(self, event: Event) -> tuple[Envelope, Event]:
        stream = event.source, event.subject
        self._versions[stream] += 1
        envelope = Envelope(
            id=new_id(),
            source=event.source,
            type=event.type,
            subject=event.subject,
            version=self._versions[stream],
            time=self.time,
            data=event.model_dump(mode="json"),
        )
        return envelope, event


def names(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]
