"""Lists of campaigns, by cursor and never by offset (DOMAIN C8): which ones, in which order, from where on.

A cursor is the sort key of the last row shown. What comes and goes elsewhere does not move it, so that a row whose
own key stays is shown exactly once. A row whose key moves over the cursor meanwhile, such as a campaign that is
funded further while somebody turns the pages, is shown where it was or where it is: once, twice or not at all.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from asyncpg import Record
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from campaign.domain import Status, percent_of
from campaign.examples import IN_LIST_EXAMPLE
from campaign.pages import address
from campaign.projections import SHOWN
from contracts.money import Money
from eventing.database import Pool
from eventing.refusal import Refusal


class Sort(StrEnum):
    NEWEST = "newest"  # by launch, the latest first; before them the viewer's own drafts
    ENDING_SOON = "ending_soon"  # by deadline, the nearest first; active ones unless another status is asked for
    MOST_FUNDED = "most_funded"  # by percent of the goal: amounts of different currencies do not compare


@dataclass(frozen=True)
class _Order:
    """A column, and then the campaign's id, so that no two rows are equal; an index has both."""

    table: str
    column: str
    type: str
    descending: bool

    @property
    def key(self) -> str:
        return f"{self.table}.{self.column}"

    @property
    def last(self) -> str:
        return f"{self.table}.campaign_id"


_ORDERS: Final = {
    Sort.NEWEST: _Order("page", "since", "timestamptz", descending=True),
    Sort.ENDING_SOON: _Order("page", "deadline", "timestamptz", descending=False),
    Sort.MOST_FUNDED: _Order("total", "percent", "bigint", descending=True),
}
_ROWS: Final = {
    "page": "campaign_page page LEFT JOIN campaign_total total USING (campaign_id)",
    "total": "campaign_total total JOIN campaign_page page USING (campaign_id)",
}


class CursorUnknown(Refusal):
    code = "cursor-unknown"
    title = "The list cannot go on from there"
    status = 422


class Cursor(BaseModel):
    """The sort key of the last row that was shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sort: Sort
    key: AwareDatetime | Annotated[int, Field(ge=0, lt=2**62, strict=True)]
    campaign_id: UUID

    def __str__(self) -> str:
        """Opaque: a client hands it back as it came."""
        return base64.urlsafe_b64encode(self.model_dump_json().encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, sort: Sort) -> "Cursor":
        """Raises CursorUnknown for one that was not made by a list of this order."""
        try:
            cursor = cls.model_validate_json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except ValueError:  # of base64 or of pydantic
            cursor = None
        if cursor is None or cursor.sort is not sort or isinstance(cursor.key, int) != (sort is Sort.MOST_FUNDED):
            raise CursorUnknown("Take the address in `next` as it is, or begin without a cursor.")
        return cursor


class CampaignInList(BaseModel):
    id: UUID
    creator_id: UUID
    title: str
    status: Status
    goal: Money
    pledged: Money
    backers: int
    percent: int
    deadline: datetime
    links: dict[str, str]


class CampaignList(BaseModel):
    """`next` is the address of the following page, null on the last one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [IN_LIST_EXAMPLE], "next": None}]})

    items: list[CampaignInList]
    next: str | None


@dataclass(frozen=True)
class Wanted:
    """Which campaigns: launched ones, and the viewer's own drafts in the order `newest`."""

    viewer: UUID | None
    sort: Sort
    status: Status | None = None
    creator: UUID | None = None
    words: str | None = None
    after: Cursor | None = None


async def listed(pool: Pool, wanted: Wanted, limit: int) -> tuple[list[CampaignInList], Cursor | None]:
    """So many campaigns at most, and the cursor if there are more."""
    arguments: list[Any] = []
    sql = _statement(wanted, arguments, limit + 1)
    rows = await pool.fetch(sql, *arguments)
    shown = rows[:limit]
    following = _cursor(wanted.sort, shown[-1]) if len(rows) > limit else None
    return [_in_list(row) for row in shown], following


def _cursor(sort: Sort, row: Record) -> Cursor:
    return Cursor(sort=sort, key=row["key"], campaign_id=row["campaign_id"])


def _statement(wanted: Wanted, arguments: list[Any], limit: int) -> str:
    """Only with the conditions that are asked for: the planner then finds the one index that fits."""
    order = _ORDERS[wanted.sort]
    direction = "DESC" if order.descending else "ASC"
    conditions = " AND ".join(_conditions(wanted, order, arguments))
    return f"""
        SELECT page.campaign_id, page.document, {order.key} AS key,
               coalesce(total.pledged_minor, 0) AS pledged_minor, coalesce(total.backers, 0) AS backers
        FROM {_ROWS[order.table]}
        WHERE {conditions}
        ORDER BY {order.key} {direction}, {order.last} {direction}
        LIMIT {limit:d}
    """  # noqa: S608 - made of the constants here; what comes from outside goes as arguments


def _conditions(wanted: Wanted, order: _Order, arguments: list[Any]) -> Iterator[str]:
    def given(value: Any, type_: str) -> str:
        arguments.append(value)
        return f"${len(arguments)}::{type_}"

    status = wanted.status or (Status.ACTIVE if wanted.sort is Sort.ENDING_SOON else None)
    if wanted.sort is Sort.MOST_FUNDED:
        yield "total.listed IS NOT NULL"
        if status is not None:
            yield f"total.listed = {given(status.value, 'text')}"
    else:
        yield f"(page.launched_at IS NOT NULL OR page.creator_id = {given(wanted.viewer, 'uuid')})"
        if status is not None:
            yield f"page.status = {given(status.value, 'text')}"
    if wanted.creator is not None:
        yield f"page.creator_id = {given(wanted.creator, 'uuid')}"
    if wanted.words is not None:
        yield f"page.words @@ websearch_to_tsquery('simple', {given(wanted.words, 'text')})"
    if wanted.after is not None:
        key, last = given(wanted.after.key, order.type), given(wanted.after.campaign_id, "uuid")
        yield f"({order.key}, {order.last}) {'<' if order.descending else '>'} ({key}, {last})"


def _in_list(row: Record) -> CampaignInList:
    campaign = SHOWN.validate_json(row["document"]).campaign
    goal = campaign.terms.goal
    return CampaignInList(
        id=campaign.campaign_id,
        creator_id=campaign.creator_id,
        title=campaign.terms.title,
        status=campaign.status,
        goal=goal,
        pledged=Money(amount=row["pledged_minor"], currency=goal.currency),
        backers=row["backers"],
        percent=percent_of(row["pledged_minor"], goal.amount),
        deadline=campaign.terms.deadline,
        links={"self": address(campaign.campaign_id)},
    )
