"""Rebuild a projection from the event store, while the service works on.

History is read stream by stream, in short chunks, into fresh tables; a short swap at the end folds in what came
meanwhile and puts the fresh tables in the place of the old ones. Equal to the live numbers, because both are the
same function of the same events.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final
from uuid import UUID

import structlog
from asyncpg import Record

from eventing.database import Connection, Pool
from eventing.definition import Definition, Projection
from eventing.relay import Cursor
from eventing.work import Need, NeedsMore, Recorded, Wanted, Work, recorded_of

CHUNK_EVENTS: Final = 5_000  # Keeps every transaction short: snapshot xmin is cluster-wide.
SWAP_EVENTS_MAX: Final = 1_000  # Fewer left than this: lock and swap.
ROUNDS_MAX: Final = 50
FRESH: Final = "{}__fresh"
NO_STREAM: Final = UUID(int=0)

log = structlog.get_logger(__name__)

_SNAPSHOT = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"

# History: stream by stream, so that an aggregate's row is written once and not once per event.
_READ_STREAMS = """
    SELECT event_id, source, stream_id, version, type, data, meta->>'time' AS time
    FROM event
    WHERE (source, stream_id, version) > ($1, $2, $3) AND xid < $4::text::xid8 AND type = ANY($5::text[])
    ORDER BY source, stream_id, version
    LIMIT $6
"""
# What came since: in the order of commits. `$3`: also what has only just been committed.
_READ_NEWER = """
    SELECT xid::text AS xid, position, event_id, source, stream_id, version, type, data, meta->>'time' AS time
    FROM event
    WHERE (xid, position) > ($1::text::xid8, $2) AND ($3 OR xid < pg_snapshot_xmin(pg_current_snapshot()))
      AND type = ANY($4::text[])
    ORDER BY xid, position
    LIMIT $5
"""


async def rebuild(
    pool: Pool,
    definition: Definition,
    projection: Projection,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Rebuild one projection. Returns the number of its events that were read.

    A rebuild that was killed leaves its fresh tables behind; the next one starts over.
    """
    rebuilder = _Rebuilder(definition, projection)
    done = 0
    async with pool.acquire() as connection, pool.acquire() as reader:
        await rebuilder.make_fresh_tables(connection)
        async with aclosing(rebuilder.history(reader)) as pages, aclosing(_Writing(connection)) as writing:
            async for page in pages:
                events = rebuilder.decoded(page)  # while the page before is written
                await writing.finished()
                writing.start(await rebuilder.folded(connection, events))
                done += len(page)
                if progress is not None:
                    progress(done)
            await writing.finished()
        count = CHUNK_EVENTS
        while count >= SWAP_EVENTS_MAX:
            async with connection.transaction():
                count = await rebuilder.fold_newer(connection)
            done += count
        async with connection.transaction():
            await rebuilder.lock_live_tables(connection)
            while count := await rebuilder.fold_newer(connection, to_the_end=True):
                done += count
            await rebuilder.swap(connection)
    log.info("projection_rebuilt", projection=projection.name, events=done)
    return done


class _Writing:
    """The page that is being written, in a transaction of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Work) -> None:
        self._task = asyncio.create_task(self._write(work))

    async def finished(self) -> None:
        if self._task is not None:
            await self._task

    async def aclose(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _write(self, work: Work) -> None:
        async with self._connection.transaction():
            await work.flush(self._connection)


class _Rebuilder:
    def __init__(self, definition: Definition, projection: Projection) -> None:
        self._definition = Definition(
            source=definition.source,
            projections=(projection,),
            private_events=definition.private_events,
        )
        self._projection = projection
        self._types = [event.type for event in projection.handlers]
        self._tables = [table.name for table in projection.tables]
        self._names: Mapping[str, str] = {name: FRESH.format(name) for name in self._tables}
        self._cursor = Cursor("0", 0)

    async def make_fresh_tables(self, connection: Connection) -> None:
        async with connection.transaction():
            for live, fresh in self._names.items():
                await connection.execute(f"DROP TABLE IF EXISTS {fresh}")
                await connection.execute(f"CREATE TABLE {fresh} (LIKE {live} INCLUDING ALL)")

    async def history(self, reader: Connection) -> AsyncGenerator[list[Record], None]:
        """All that was committed before now, page by page; the next page is read while one is folded."""
        xmin: str = await reader.fetchval(_SNAPSHOT)
        self._cursor = Cursor(xmin, 0)

        async def page(last: Record | None) -> list[Record]:
            after = ("", NO_STREAM, 0) if last is None else (last["source"], last["stream_id"], last["version"])
            return await reader.fetch(_READ_STREAMS, *after, xmin, self._types, CHUNK_EVENTS)

        rows = await page(None)
        while rows:
            following = asyncio.create_task(page(rows[-1]))
            try:
                yield rows
            except BaseException:
                following.cancel()
                raise
            rows = await following

    async def fold_newer(self, connection: Connection, *, to_the_end: bool = False) -> int:
        """Fold the next events of those that came since and return how many there were.

        `to_the_end`: also those that have only just committed. Right only while the live tables are locked,
        because then nobody is between storing an event and folding it.
        """
        cursor = self._cursor
        rows = await connection.fetch(_READ_NEWER, cursor.xid, cursor.position, to_the_end, self._types, CHUNK_EVENTS)
        if rows:
            work = await self.folded(connection, self.decoded(rows))
            await work.flush(connection)
            self._cursor = Cursor(rows[-1]["xid"], rows[-1]["position"])
        return len(rows)

    def decoded(self, rows: Sequence[Record]) -> list[Recorded]:
        models = self._definition.models
        return [event for row in rows if (event := recorded_of(row, models))]

    async def folded(self, connection: Connection, events: list[Recorded]) -> Work:
        """The rows of the fresh tables with these events folded into them, not written yet."""
        found = [need for event in events for need in self._projection.needs(event)]
        for _ in range(ROUNDS_MAX):
            work = self._definition.work(self._names)
            await work.load(connection, Wanted(found))
            missing = _project_all(work, events)
            if not missing:
                return work
            found.extend(missing)
        msg = f"{self._projection.name} never stops asking for more rows"
        raise RuntimeError(msg)

    async def lock_live_tables(self, connection: Connection) -> None:
        """In the order in which groups lock them, so that nobody waits in a circle."""
        for name in self._tables:
            await connection.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")

    async def swap(self, connection: Connection) -> None:
        for live, fresh in self._names.items():
            await connection.execute(f"DROP TABLE {live}")
            await connection.execute(f"ALTER TABLE {fresh} RENAME TO {live}")


def _project_all(work: Work, events: list[Recorded]) -> list[Need]:
    """Fold all events; returns what was missing, in which case nothing of it counts."""
    missing: list[Need] = []
    for event in events:
        work.now = event.time
        mark = work.mark()
        try:
            work.project(event)
        except NeedsMore as more:
            work.undo(mark)
            missing.extend(more.needs)
    return missing
