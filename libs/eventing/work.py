"""What a group works on: rows, streams and sums in memory, loaded under lock and written back in sets.

A handler reads and changes a `Work` synchronously. What it did can be undone member by member, so that one
that fails leaves no trace for its neighbours. Asking for something that was not loaded raises `NeedsMore`, and the
group is run again with it: naming needs beforehand is for speed, never for correctness.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import add
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from asyncpg import Record
from pydantic_core import to_json

from contracts.event import Event
from contracts.ids import new_id
from eventing.database import Connection
from eventing.tables import Counters, Key, R, Table, UnstorableError, transposed

S = TypeVar("S")


@dataclass(frozen=True, eq=False)
class Fold(Generic[S]):
    """How a stream of the service's own events becomes a state. `evolve` never raises and judges nothing."""

    evolve: Callable[[S | None, Any], S]


class Recorded(NamedTuple):
    """An event with its identity (source, subject, version). A tuple: one is made for every event read."""

    event: Any  # an Event; handlers are registered by its class and name it in their own signature
    event_id: UUID
    source: str
    subject: UUID
    version: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Context:
    """Where a member comes from; travels on in the events that it causes."""

    traceparent: str = ""
    correlation_id: str = ""
    causation_id: str = ""


@dataclass(frozen=True, slots=True)
class Stream(Generic[S]):
    version: int  # 0: nothing recorded yet
    state: S | None


Need: TypeAlias = tuple[Table[Any], Key] | tuple[Fold[Any], UUID] | tuple[str, UUID]


class NeedsMore(Exception):  # noqa: N818 - a request to run again, not an error
    def __init__(self, *needs: Need) -> None:
        super().__init__(*needs)
        self.needs = needs


class Wanted:
    """What to load, by kind."""

    def __init__(self, needs: Iterable[Need] = ()) -> None:
        self.rows: dict[Table[Any], set[Key]] = defaultdict(set)
        self.streams: dict[Fold[Any], set[UUID]] = defaultdict(set)
        self.histories: set[tuple[str, UUID]] = set()
        self.add(needs)

    def add(self, needs: Iterable[Need]) -> None:
        for what, which in needs:
            if isinstance(what, Table):
                self.rows[what].add(which)  # type: ignore[arg-type]  # a table's need is a key
            elif isinstance(what, Fold):
                self.streams[what].add(which)  # type: ignore[arg-type]  # a fold's need is a stream
            else:
                self.histories.add((what, which))  # type: ignore[arg-type]  # a source's need is a stream


@dataclass(frozen=True, slots=True)
class NewEvent:
    recorded: Recorded
    data_json: str
    meta_json: str


EVENT_COLUMNS = (  # Its parameters come first in every statement.
    "$1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::text[], $6::jsonb[], $7::jsonb[]) "
    "AS given(event_id, source, stream_id, version, type, data, meta)"
)
APPEND = f"""
    INSERT INTO event (event_id, source, stream_id, version, type, data, meta)
    SELECT event_id, source, stream_id, version, type, data, meta FROM unnest({EVENT_COLUMNS}
    ORDER BY source, stream_id, version
"""  # noqa: S608 - constant text
READ_STREAMS = """
    SELECT stream_id, version, type, data FROM event
    WHERE source = $1 AND stream_id = ANY($2::uuid[])
    ORDER BY stream_id, version
"""
READ_HISTORIES = """
    SELECT e.event_id, e.source, e.stream_id, e.version, e.type, e.data, e.meta->>'time' AS time
    FROM event e JOIN unnest($1::text[], $2::uuid[]) AS given(source, stream_id)
      ON e.source = given.source AND e.stream_id = given.stream_id
    ORDER BY e.source, e.stream_id, e.version
"""

Projector: TypeAlias = Callable[["Work", Recorded], None]
NEW_STREAM: Stream[Any] = Stream(0, None)


class Cell:
    """One row in memory: as the database has it, and as the group has it by now."""

    __slots__ = ("key", "row", "stored")

    def __init__(self, key: Key, stored: Any = None) -> None:
        self.key = key
        self.stored = stored  # None: not there
        self.row = stored


class Write(NamedTuple):
    """`sql` takes the number of the first parameter."""

    sql: Callable[[int], str]
    arguments: list[list[Any]]


class Work:
    """One group's working set. `names` maps tables to other names: a rebuild writes to fresh ones.

    `version_floor`: new events bear versions above it (`restored.py`).
    """

    now: datetime  # the database clock, read once after the locks
    version_floor: int
    context: Context
    read: Any = None  # what the handler's own query found, for a handler that has one

    def __init__(
        self,
        *,
        source: str,
        models: Mapping[str, type[Event]],
        order: tuple[Table[Any] | Counters[Any], ...],
        projectors: Mapping[str, tuple[Projector, ...]],
        names: Mapping[str, str] | None = None,
        version_floor: int = 0,
    ) -> None:
        self._source = source
        self.version_floor = version_floor
        self._models = models
        self._order = order
        self._projectors = projectors
        self._names = names or {}
        self._cells: dict[Table[Any] | Counters[Any], dict[Key, Cell]] = {table: {} for table in order}
        self._touched: dict[Table[Any] | Counters[Any], list[Cell]] = {table: [] for table in order}
        self._written: list[tuple[Table[Any], Cell]] = []
        self._streams: dict[UUID, Cell] = {}
        self._histories: dict[tuple[str, UUID], list[Recorded]] = {}
        self._events: list[NewEvent] = []
        self._journal: list[tuple[Cell, Any]] = []
        self.context = Context()

    # -- what handlers use ---------------------------------------------------------------------------------

    def get(self, table: Table[R], *key: Any) -> R | None:
        """The row with this key, with all that this group has done to it so far."""
        cell = self._cells[table].get(key)
        if cell is None:
            raise NeedsMore((table, key))
        return cell.row  # type: ignore[no-any-return]  # rows of a table are of its row class

    def put(self, table: Table[R], row: R) -> None:
        """Write a row: changes the one that is there or makes a new one. The key must have been read."""
        key = table.key_of(row)
        cell = self._cells[table].get(key)
        if cell is None:
            raise NeedsMore((table, key))
        table.check(row)
        self._set(table, cell, row)

    def insert(self, table: Table[R], row: R) -> None:
        """Write a row whose key is new by construction (an id drawn for it), without reading first."""
        key = table.key_of(row)
        self._cells[table].setdefault(key, Cell(key))
        self.put(table, row)

    def delete(self, table: Table[Any], *key: Any) -> None:
        if self.get(table, *key) is not None:
            self._set(table, self._cells[table][key], None)

    def add(self, counters: Counters[Any], key: Key, *amounts: int) -> None:
        """Move sums by a difference, in the order of the counters' fields."""
        cells = self._cells[counters]
        cell = cells.get(key)
        if cell is None:
            cell = cells[key] = Cell(key)
        self._set(counters, cell, amounts if cell.row is None else tuple(map(add, cell.row, amounts)))

    def stream(self, fold: Fold[S], stream_id: UUID) -> Stream[S]:
        """The state of a stream of the service's own, this group's events included."""
        cell = self._streams.get(stream_id)
        if cell is None:
            raise NeedsMore((fold, stream_id))
        return cell.row  # type: ignore[no-any-return]  # a stream has one fold

    def start(self, fold: Fold[S], stream_id: UUID, *events: Event) -> None:
        """Append to a stream that is new by construction, without reading first."""
        if stream_id not in self._streams:
            self._streams[stream_id] = Cell((stream_id,), NEW_STREAM)
        self.append(fold, stream_id, *events)

    def append(self, fold: Fold[S], stream_id: UUID, *events: Event) -> None:
        """Record events of the service's own and fold them into its projections."""
        for event in events:
            before = self.stream(fold, stream_id)
            version = max(before.version, self.version_floor) + 1
            recorded = Recorded(event, new_id(), self._source, stream_id, version, self.now)
            self._events.append(NewEvent(recorded, _storable(event.model_dump_json()), self._meta()))
            cell = self._streams[stream_id]
            self._journal.append((cell, before))
            cell.row = Stream(version, fold.evolve(before.state, event))
            self.project(recorded)

    def project(self, recorded: Recorded) -> None:
        for projector in self._projectors.get(recorded.event.type, ()):
            projector(self, recorded)

    def history(self, source: str, stream_id: UUID) -> list[Recorded]:
        """All events of a stream in the store, in version order: an out-of-order fold starts again from these."""
        stored = self._histories.get((source, stream_id))
        if stored is None:
            raise NeedsMore((source, stream_id))
        if source != self._source:
            return stored
        mine = (new.recorded for new in self._events if new.recorded.subject == stream_id)
        return [*stored, *mine]

    # -- what the group commit uses ------------------------------------------------------------------------

    @property
    def changed(self) -> Iterator[tuple[Table[Any], Any]]:
        """Rows that this group has written, for those who want to know after the commit."""
        for table, cell in self._written:
            if cell.row is not None:
                yield table, cell.row

    def mark(self) -> tuple[int, int]:
        return len(self._journal), len(self._events)

    def undo(self, mark: tuple[int, int]) -> None:
        """Back to the mark, as if what came since had never been asked for."""
        changes, events = mark
        while len(self._journal) > changes:
            cell, before = self._journal.pop()
            cell.row = before
        del self._events[events:]

    async def load(self, connection: Connection, wanted: Wanted) -> None:
        """Lock and read, table by table in their fixed order, then streams."""
        for table in self._order:
            keys = isinstance(table, Table) and wanted.rows.get(table)
            if keys and isinstance(table, Table):
                await self._load_rows(connection, table, keys)
        for fold, stream_ids in wanted.streams.items():
            await self._load_streams(connection, fold, sorted(stream_ids))
        if wanted.histories:
            await self._load_histories(connection, sorted(wanted.histories))

    async def flush(self, connection: Connection) -> None:
        """Write everything that changed since the last flush, sorted by key, in one statement: one round trip.

        Rows go first, in a statement of their own, so that others may take over what was unique to them.
        """
        writes = [Write(lambda _first: APPEND, event_arguments(self._events))] if self._events else []
        written: list[tuple[Table[Any] | Counters[Any], list[Cell]]] = []
        for table in self._order:
            touched = dict.fromkeys(self._touched[table])  # an undone change leaves its cell here twice
            cells = sorted((c for c in touched if c.row is not c.stored), key=table.order)
            if not cells:
                continue
            if isinstance(table, Counters):
                writes += self._sums(table, cells)
            else:
                await self._delete(connection, table, [c.key for c in cells if c.row is None])
                writes += self._rows(table, [c for c in cells if c.row is not None])
            written.append((table, cells))
        await _write(connection, writes)
        self._keep(written)
        self._events.clear()
        self._journal.clear()
        for touched_cells in self._touched.values():
            touched_cells.clear()

    def _set(self, table: Table[Any] | Counters[Any], cell: Cell, row: Any) -> None:
        self._journal.append((cell, cell.row))
        if cell.row is cell.stored:
            self._touched[table].append(cell)
        cell.row = row

    def _meta(self) -> str:
        meta = {
            "time": self.now,
            "traceparent": self.context.traceparent,
            "correlationid": self.context.correlation_id,
            "causationid": self.context.causation_id,
        }
        return to_json(meta).decode()

    def _name(self, table: Table[Any] | Counters[Any]) -> str:
        return self._names.get(table.name, table.name)

    async def _load_rows(self, connection: Connection, table: Table[Any], keys: Iterable[Key]) -> None:
        cells = self._cells[table]
        for key in keys:
            cells[key] = Cell(key)
        arguments = transposed(list(keys), len(table.key))
        for record in await connection.fetch(table.select_sql(self._name(table)), *arguments):
            row = table.load(record)
            cell = cells[table.key_of(row)]
            cell.row = cell.stored = row

    async def _load_streams(self, connection: Connection, fold: Fold[Any], ids: list[UUID]) -> None:
        for stream_id in ids:
            self._streams[stream_id] = Cell((stream_id,), NEW_STREAM)
        for stream_id, version, type_, data in await connection.fetch(READ_STREAMS, self._source, ids):
            event = self._models[type_].model_validate_json(data)
            cell = self._streams[stream_id]
            cell.row = cell.stored = Stream(version, fold.evolve(cell.row.state, event))

    async def _load_histories(self, connection: Connection, wanted: list[tuple[str, UUID]]) -> None:
        for one in wanted:
            self._histories[one] = []
        for record in await connection.fetch(READ_HISTORIES, *transposed(wanted, 2)):
            recorded = recorded_of(record, self._models)
            if recorded is not None:
                self._histories[recorded.source, recorded.subject].append(recorded)

    async def _delete(self, connection: Connection, table: Table[Any], keys: list[Key]) -> None:
        if keys:
            await connection.execute(table.delete_sql(self._name(table)), *transposed(keys, len(table.key)))

    def _rows(self, table: Table[Any], cells: list[Cell]) -> Iterator[Write]:
        name, width = self._name(table), len(table.columns)
        new = [table.values(c.row) for c in cells if c.stored is None]
        other = [table.values(c.row) for c in cells if c.stored is not None]
        if new:
            yield Write(partial(table.insert_sql, name), transposed(new, width))
        if other:
            yield Write(partial(table.update_sql, name), transposed(other, width))

    def _sums(self, counters: Counters[Any], cells: list[Cell]) -> Iterator[Write]:
        moved = [(*c.key, *c.row) for c in cells if any(c.row)]
        if moved:
            yield Write(partial(counters.add_sql, self._name(counters)), transposed(moved, len(counters.columns)))

    def _keep(self, written: Iterable[tuple[Table[Any] | Counters[Any], list[Cell]]]) -> None:
        """The database has them now."""
        for table, cells in written:
            for cell in cells:
                if isinstance(table, Counters):
                    cell.row = None
                else:
                    cell.stored = cell.row
                    self._written.append((table, cell))


async def _write(connection: Connection, writes: Iterable[Write]) -> None:
    """All of them as parts of one statement; they write to different rows, so their order does not matter."""
    parts: list[str] = []
    arguments: list[list[Any]] = []
    for number, (sql, some) in enumerate(writes):
        parts.append(f"written_{number} AS ({sql(len(arguments) + 1)})")
        arguments += some
    if parts:
        await connection.execute(f"WITH {', '.join(parts)} SELECT", *arguments)


def _storable(text: str) -> str:
    if "\\u0000" in text:
        msg = "a text contains NUL"
        raise UnstorableError(msg)
    return text


def event_arguments(events: Iterable[NewEvent]) -> list[list[Any]]:
    """The columns of an insert of events, as `unnest` takes them."""
    rows = [
        (
            new.recorded.event_id,
            new.recorded.source,
            new.recorded.subject,
            new.recorded.version,
            new.recorded.event.type,
            new.data_json,
            new.meta_json,
        )
        for new in events
    ]
    return transposed(rows, 7)


def recorded_of(record: Record, models: Mapping[str, type[Event]]) -> Recorded | None:
    """An event as read from the store; None for a type that this version of the service does not know."""
    event_id, source, stream_id, version, type_, data, time = record[-7:]  # every query names these last
    model = models.get(type_)
    if model is None:
        return None
    return Recorded(model.model_validate_json(data), event_id, source, stream_id, version, datetime.fromisoformat(time))
