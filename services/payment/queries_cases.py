"""Cases as they are read: lists that go on from the key of their last row (ADR 0031), one whole, how many are open."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from eventing.database import Pool
from eventing.refusal import Refusal
from payment.cases import CASES, COMMENTS, CaseKind, CaseRow, CaseState, CommentRow
from payment.tables import OPERATIONS, OperationRow

COMMENTS_MAX: Final = 500  # More than any case has; the newest are left out beyond it.

_CASE: Final = ", ".join(column.name for column in CASES.columns)
_COMMENT: Final = ", ".join(column.name for column in COMMENTS.columns)
_OPERATION: Final = ", ".join(column.name for column in OPERATIONS.columns)

_LIST: Final = f"""
    SELECT {_CASE}
      FROM payment_case
     WHERE ($1::text IS NULL OR state = $1)
       AND ($2::text IS NULL OR kind = $2)
       AND ($3::timestamptz IS NULL OR (opened_at, case_id) < ($3, $4))
     ORDER BY opened_at DESC, case_id DESC
     LIMIT $5
"""  # noqa: S608 - names from the code
_ONE: Final = f"SELECT {_CASE} FROM payment_case WHERE case_id = $1"  # noqa: S608 - the same
_COMMENTS: Final = f"""
    SELECT {_COMMENT} FROM payment_case_comment WHERE case_id = $1 ORDER BY at, comment_id LIMIT {COMMENTS_MAX}
"""  # noqa: S608 - the same
_ABOUT: Final = f"SELECT {_OPERATION} FROM operation WHERE operation_id = $1"  # noqa: S608 - the same
_OPEN: Final = "SELECT kind, count(*) AS cases FROM payment_case WHERE state = 'open' GROUP BY kind"


class CursorUnknown(Refusal):
    code: ClassVar[str] = "cursor-unknown"
    title: ClassVar[str] = "The list cannot go on from there"
    status: ClassVar[int] = 422


class Cursor(BaseModel):
    """The sort key of the last row that was shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opened_at: AwareDatetime
    case_id: UUID

    def __str__(self) -> str:
        """Opaque: a client hands it back as it came."""
        return base64.urlsafe_b64encode(self.model_dump_json().encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises CursorUnknown for one that no list has made."""
        try:
            return cls.model_validate_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except ValueError:  # of base64 or of pydantic
            raise CursorUnknown("Take the address in `next` as it is, or begin without a cursor.") from None


@dataclass(frozen=True)
class Whole:
    case: CaseRow
    comments: tuple[CommentRow, ...]
    operation: OperationRow | None


async def listed(
    pool: Pool, *, state: CaseState | None, kind: CaseKind | None, after: Cursor | None, limit: int
) -> tuple[list[CaseRow], Cursor | None]:
    """So many cases at most, the newest first, and the cursor if there are more."""
    key: tuple[Any, Any] = (after.opened_at, after.case_id) if after else (None, None)
    rows = [CASES.load(row) for row in await pool.fetch(_LIST, state, kind, *key, limit + 1)]
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], Cursor(opened_at=last.opened_at, case_id=last.case_id)


async def whole(pool: Pool, case_id: UUID) -> Whole | None:
    """A case with its comments, the oldest first, and the operation that it is about."""
    row = await pool.fetchrow(_ONE, case_id)
    if row is None:
        return None
    case = CASES.load(row)
    comments = tuple(COMMENTS.load(one) for one in await pool.fetch(_COMMENTS, case_id))
    about = await pool.fetchrow(_ABOUT, case.operation_id) if case.operation_id else None
    return Whole(case, comments, OPERATIONS.load(about) if about else None)


async def open_cases(pool: Pool) -> Mapping[CaseKind, int]:
    """How many are open, by kind; zeros included."""
    found = {row["kind"]: row["cases"] for row in await pool.fetch(_OPEN)}
    return {kind: found.get(kind, 0) for kind in CaseKind}
