"""Rebuild a projection from the event store, while the service works on.

The store is read in short chunks into fresh tables; a short swap at the end folds in what came meanwhile and puts
the fresh tables in the place of the old ones. Equal to the live numbers, because both are the same function of the
same events.
"""

from collections.abc import Callable, Mapping
from typing import Final

import structlog

from eventing.database import Connection, Pool
from eventing.definition import Definition, Projection
from eventing.relay import Cursor
from eventing.work import Need, NeedsMore, Recorded, Wanted, Work, recorded_of

CHUNK_EVENTS: Final = 5_000  # Keeps every transaction short: snapshot xmin is cluster-wide.
SWAP_EVENTS_MAX: Final = 1_000  # Fewer left than this: lock and swap.
ROUNDS_MAX: Final = 50
FRESH: Final = "{}__fresh"

log = structlog.get_logger(__name__)

_READ = """
    SELECT xid::text AS xid, position, event_id, source, stream_id, version, type, data, meta->>'time' AS time
    FROM event
    WHERE (xid, position) > ($1::text::xid8, $2)
      AND ($4 OR xid < pg_snapshot_xmin(pg_current_snapshot()))
    ORDER BY xid, position
    LIMIT $3
"""


async def rebuild(
    pool: Pool,
    definition: Definition,
    projection: Projection,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Rebuild one projection. Returns the number of events read.

    A rebuild that was killed leaves its fresh tables behind; the next one starts over.
    """
    rebuilder = _Rebuilder(definition, projection)
    done = 0
    async with pool.acquire() as connection:
        await rebuilder.make_fresh_tables(connection)
        while True:
            async with connection.transaction():
                count = await rebuilder.fold_chunk(connection, CHUNK_EVENTS)
            done += count
            if progress is not None:
                progress(done)
            if count < SWAP_EVENTS_MAX:
                break
        async with connection.transaction():
            await rebuilder.lock_live_tables(connection)
            while count := await rebuilder.fold_chunk(connection, CHUNK_EVENTS, to_the_end=True):
                done += count
            await rebuilder.swap(connection)
    log.info("projection_rebuilt", projection=projection.name, events=done)
    return done


class _Rebuilder:
    def __init__(self, definition: Definition, projection: Projection) -> None:
        self._definition = Definition(
            source=definition.source,
            projections=(projection,),
            private_events=definition.private_events,
        )
        self._projection = projection
        self._tables = [table.name for table in projection.tables]
        self._names: Mapping[str, str] = {name: FRESH.format(name) for name in self._tables}
        self._cursor = Cursor("0", 0)

    async def make_fresh_tables(self, connection: Connection) -> None:
        async with connection.transaction():
            for live, fresh in self._names.items():
                await connection.execute(f"DROP TABLE IF EXISTS {fresh}")
                await connection.execute(f"CREATE TABLE {fresh} (LIKE {live} INCLUDING ALL)")

    async def fold_chunk(self, connection: Connection, limit: int, *, to_the_end: bool = False) -> int:
        """Fold the next events into the fresh tables and return how many were read.

        `to_the_end`: also those that have only just committed. Right only while the live tables are locked,
        because then nobody is between storing an event and folding it.
        """
        rows = await connection.fetch(_READ, self._cursor.xid, self._cursor.position, limit, to_the_end)
        if not rows:
            return 0
        wanted_types = {event.type for event in self._projection.handlers}
        events = [
            event
            for row in rows
            if row["type"] in wanted_types and (event := recorded_of(row, self._definition.models))
        ]
        await self._fold(connection, events)
        self._cursor = Cursor(rows[-1]["xid"], rows[-1]["position"])
        return len(rows)

    async def _fold(self, connection: Connection, events: list[Recorded]) -> None:
        found = [need for event in events for need in self._projection.needs(event)]
        for _ in range(ROUNDS_MAX):
            work = self._definition.work(self._names)
            await work.load(connection, Wanted(found))
            missing = _project_all(work, events)
            if not missing:
                await work.flush(connection)
                return
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
