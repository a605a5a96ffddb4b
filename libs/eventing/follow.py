"""Follow a stream, mostly somebody else's, with one row of a table: in any order, under any repetition."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from eventing.tables import Table
from eventing.work import Recorded, Work


class Versioned(Protocol):
    """A row that knows up to which event of its stream it was folded."""

    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=Versioned)


def follow(
    work: Work,
    table: Table[V],
    recorded: Recorded,
    step: Callable[[V | None, Recorded], V],
    blank: Callable[[V], V | None] = lambda _row: None,
) -> tuple[V | None, V]:
    """Fold an event into its row and put the row back. Returns the row before and after.

    `step` sets `version` to the event's. An event newer than the row is folded onto it. Any other is one that was
    overtaken: the whole stream, as far as it is in the store, is folded again from `blank(row)`, which keeps what
    the row holds of other sources. The table's key is the stream's id.
    """
    before = work.get(table, recorded.subject)
    if before is None or recorded.version > before.version:
        after = step(before, recorded)
    else:
        again = blank(before)
        for one in work.history(recorded.source, recorded.subject):
            again = step(again, one)
        assert again is not None, "the event itself is in the store"
        after = again
    if after != before:
        work.put(table, after)
    return before, after
