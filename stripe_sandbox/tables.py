"""Rows in the order of their creation, with lists by field that stay cheap whatever their length."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from stripe_sandbox.errors import StripeError

ROWS_MAX = 5_000_000  # About 2 GB of payments: past this the machine suffers before the caller notices.


class Row(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def created(self) -> int: ...


RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is wanted; `since` and `until` are inclusive Unix seconds."""

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    since: int | None = None
    until: int | None = None


class Table(Generic[RowT]):
    """`indexed` names the fields by which lists are asked for. Indexed fields and `created` never change."""

    def __init__(self, what: str, indexed: Mapping[str, Callable[[RowT], str | None]] | None = None) -> None:
        self.what = what
        self._rows: dict[str, RowT] = {}
        self._order: list[str] = []
        self._position: dict[str, int] = {}
        self._fields = dict(indexed or {})
        self._index: dict[tuple[str, str], list[int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RowT]:
        return iter(self._rows.values())

    def get(self, row_id: str) -> RowT | None:
        return self._rows.get(row_id)

    def add(self, row: RowT) -> None:
        if len(self._rows) >= ROWS_MAX:
            raise StripeError("The sandbox is full: POST /sandbox/reset", status=500, kind="api_error")
        position = len(self._order)
        self._order.append(row.id)
        self._position[row.id] = position
        self._rows[row.id] = row
        for name, value_of in self._fields.items():
            value = value_of(row)
            if value is not None:
                self._index.setdefault((name, value), []).append(position)

    def replace(self, row: RowT) -> None:
        self._rows[row.id] = row

    def remove(self, row_id: str) -> None:
        """Forget a row; its place in the order stays empty."""
        del self._rows[row_id]

    def page(
        self,
        filters: Mapping[str, str],
        window: Window,
        wanted: Callable[[RowT], bool] = lambda _row: True,
    ) -> tuple[list[RowT], bool]:
        """Newest first, as Stripe lists: the rows and whether there are more."""
        positions = self._narrowest(filters)
        start, stop = self._bounds(positions, window)
        backwards = window.ending_before is None
        steps = range(stop - 1, start - 1, -1) if backwards else range(start, stop)
        found: list[RowT] = []
        for step in steps:
            row = self._rows.get(self._order[positions[step]])
            if row is None or any(self._fields[name](row) != value for name, value in filters.items()):
                continue
            if not wanted(row):
                continue
            found.append(row)
            if len(found) > window.limit:
                break
        more = len(found) > window.limit
        found = found[: window.limit]
        return (found if backwards else found[::-1]), more

    def _narrowest(self, filters: Mapping[str, str]) -> Sequence[int]:
        lists: list[Sequence[int]] = [self._index.get(pair, ()) for pair in filters.items()]
        return min(lists, key=len, default=range(len(self._order)))

    def _bounds(self, positions: Sequence[int], window: Window) -> tuple[int, int]:
        start, stop = 0, len(positions)
        if window.since is not None:
            start = bisect_left(positions, window.since, key=self._created)
        if window.until is not None:
            stop = bisect_right(positions, window.until, key=self._created)
        if window.starting_after is not None:
            stop = min(stop, bisect_left(positions, self._cursor(window.starting_after, "starting_after")))
        if window.ending_before is not None:
            start = max(start, bisect_right(positions, self._cursor(window.ending_before, "ending_before")))
        return start, stop

    def _created(self, position: int) -> int:
        row = self._rows.get(self._order[position])
        return 0 if row is None else row.created

    def _cursor(self, row_id: str, param: str) -> int:
        position = self._position.get(row_id)
        if position is None:
            raise StripeError(f"No such {self.what}: '{row_id}'", code="resource_missing", param=param)
        return position
