"""The auditor: the ledger against the service's own events and against the provider's movements (DOMAIN M3, Y6).

Events are folded again, stream by stream, by the function that booked them, and every posting is compared whole; then
every posting must have its fact, every entry its posting, every movement its posting and the other way round. It
reads in chunks, changes nothing, and may run beside the service: a fact and its posting are one transaction.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from contracts.event import Event
from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.work import Recorded, recorded_of
from payment import queries_ledger
from payment.audit_replay import Replay, unlike
from payment.gateway import Movement, MovementKind, Provider
from payment.ledger import FACTS
from payment.matching import moved_at_provider, posting_ids_of
from payment.queries_ledger import Booked

CHUNK_ROWS: Final = 5_000  # Short reads: snapshot xmin is cluster-wide.
POSTINGS_CHUNK: Final = 500  # The facts of their pledges are read with them, a handful each.
DIFFERENCES_MAX: Final = 1_000  # Kept for the table; past this they are counted.
CLOCKS: Final = timedelta(days=1)  # The provider's movements around the books: operations may take hours to settle.

_FIRST, _LAST = UUID(int=0), UUID(int=2**128 - 1)
_BEGINNING: Final = datetime(1, 1, 2, tzinfo=UTC)
_MODELS: Final[dict[str, type[Event]]] = {fact.type: fact for fact in FACTS}

# Another campaign's facts come without their data, so that a page is never more than a chunk of the table.
_FACTS: Final = """
    SELECT event_id, source, stream_id, version, type,
           CASE WHEN $4::text IS NULL OR data->>'campaign_id' = $4 THEN data END AS data,
           meta->>'time' AS time
      FROM event
     WHERE source = 'payment' AND (stream_id, version) > ($1, $2) AND type = ANY($3::text[])
     ORDER BY stream_id, version
     LIMIT $5
"""
_FACTS_OF: Final = """
    SELECT event_id, source, stream_id, version, type, data, meta->>'time' AS time
      FROM event
     WHERE source = 'payment' AND stream_id = ANY($1::uuid[]) AND type = ANY($2::text[])
     ORDER BY stream_id, version
"""
_ORPHANS: Final = """
    SELECT page.posting_id, line, account, amount, currency, page.campaign_id, posting.posting_id IS NULL AS orphan
      FROM (SELECT posting_id, line, account, amount, currency, campaign_id
              FROM entry
             WHERE (posting_id, line) > ($1, $2)
             ORDER BY posting_id, line
             LIMIT $3) AS page
      LEFT JOIN posting USING (posting_id)
     ORDER BY page.posting_id, line
"""
_SINCE: Final = "SELECT min(booked_at) FROM posting"
_UNDECIDED: Final = "SELECT subject_id FROM operation WHERE subject_id = ANY($1::uuid[]) AND decided_at IS NULL"


class Wrong(StrEnum):
    NOT_BOOKED = "not booked"
    BOOKED_OTHERWISE = "booked otherwise"
    NO_FACT = "no fact"  # a posting that nothing explains
    NO_POSTING = "no posting"  # an entry without one
    RULE = "against the rules"  # the facts themselves do not add up
    UNKNOWN_MOVEMENT = "unknown movement"
    OTHER_AMOUNT = "other amount at the provider"
    NO_MOVEMENT = "no movement"
    MOVED_TWICE = "moved twice"


@dataclass(frozen=True)
class Difference:
    """`about` is the provider's object, or the posting."""

    kind: Wrong
    about: str
    campaign_id: UUID | None
    pledge_id: UUID | None
    expected: str
    found: str


@dataclass
class Report:
    facts: int = 0
    postings: int = 0
    entries: int = 0
    movements: int | None = None  # None: the provider was not asked
    own_movements: int = 0  # between our balance and our bank, or the provider's bills: of no campaign
    found: int = 0
    differences: list[Difference] = field(default_factory=list)

    def add(self, difference: Difference) -> None:
        self.found += 1
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(difference)


Progress = Callable[[str, int], None]  # (what is read, how much of it by now)


@dataclass
class Auditor:
    """`provider` None: the ledger is compared with the events only. `campaign_id` None: all of them."""

    pool: Pool
    provider: Provider | None
    campaign_id: UUID | None = None
    progress: Progress = lambda _what, _count: None
    report: Report = field(default_factory=Report)

    async def run(self) -> Report:
        await self._facts_are_booked()
        with closing(sqlite3.connect("")) as seen:  # on disk once it is large, and gone at the end
            seen.execute("CREATE TABLE seen (posting_id BLOB PRIMARY KEY) WITHOUT ROWID")
            started = await self._movements_are_booked(self.provider, seen) if self.provider else None
            await self._postings_have_facts(seen, started)
        await self._entries_have_postings()
        return self.report

    # -- the events ----------------------------------------------------------------------------------------------

    async def _facts_are_booked(self) -> None:
        replay = Replay()
        async for page in self._facts():
            expected = list(replay.booked(page))
            for about, campaign_id, pledge_id, rule, found in replay.broken():
                self.report.add(Difference(Wrong.RULE, about, campaign_id, pledge_id, rule, found))
            ledger = await queries_ledger.postings(self.pool, [one.posting.posting_id for one in expected])
            for one in expected:
                self._compare(one, ledger.get(one.posting.posting_id))
            self.report.facts += len(page)
            self.progress("facts", self.report.facts)

    async def _facts(self) -> AsyncIterator[list[Recorded]]:
        stream, version = _FIRST, 0
        campaign, types = self.campaign_id and str(self.campaign_id), list(_MODELS)
        while rows := await self.pool.fetch(_FACTS, stream, version, types, campaign, CHUNK_ROWS):
            stream, version = rows[-1]["stream_id"], rows[-1]["version"]
            mine = (recorded_of(row, _MODELS) for row in rows if row["data"] is not None)
            yield [recorded for recorded in mine if recorded]

    def _compare(self, expected: Booked, found: Booked | None) -> None:
        if found == expected:
            return
        kind = Wrong.NOT_BOOKED if found is None else Wrong.BOOKED_OTHERWISE
        self.report.add(_difference(kind, expected, *unlike(expected, found)))

    # -- the ledger ----------------------------------------------------------------------------------------------

    async def _postings_have_facts(self, seen: sqlite3.Connection, started: datetime | None) -> None:
        """And movements, those booked before the provider was asked."""
        after, last = (self.campaign_id or _FIRST, _BEGINNING, _FIRST), self.campaign_id or _LAST
        while page := await queries_ledger.in_order(self.pool, after, last, POSTINGS_CHUNK):
            after = page[-1].key
            rows = await self.pool.fetch(_FACTS_OF, sorted({one.subject for one in page}), list(_MODELS))
            facts = [recorded for row in rows if (recorded := recorded_of(row, _MODELS))]
            explained = {one.posting.posting_id for one in Replay().booked(facts)}
            for one in page:
                if one.posting.posting_id not in explained:
                    self.report.add(_difference(Wrong.NO_FACT, one, "nothing", unlike(one, None)[0]))
                elif started and one.at < started:
                    self._has_moved(one, seen)
            self.report.postings += len(page)
            self.progress("postings", self.report.postings)

    def _has_moved(self, one: Booked, seen: sqlite3.Connection) -> None:
        moved = moved_at_provider(one.posting.lines)
        query = "SELECT 1 FROM seen WHERE posting_id = ?"
        if moved and moved[0] and not seen.execute(query, (one.posting.posting_id.bytes,)).fetchone():
            self.report.add(_difference(Wrong.NO_MOVEMENT, one, "{} {}".format(*moved), "nothing"))

    async def _entries_have_postings(self) -> None:
        posting_id, line = _FIRST, -1
        while rows := await self.pool.fetch(_ORPHANS, posting_id, line, CHUNK_ROWS):
            posting_id, line = rows[-1]["posting_id"], rows[-1]["line"]
            for row in rows:
                if row["orphan"] and self.campaign_id in {None, row["campaign_id"]}:
                    found = f"{row['account']} {row['amount']} {row['currency']}"
                    about = str(row["posting_id"])
                    self.report.add(Difference(Wrong.NO_POSTING, about, row["campaign_id"], None, "nothing", found))
            self.report.entries += len(rows)
            self.progress("entries", self.report.entries)

    # -- the provider --------------------------------------------------------------------------------------------

    async def _movements_are_booked(self, provider: Provider, seen: sqlite3.Connection) -> datetime:
        """When the provider was asked; what was booked before it has a movement that was listed."""
        async with self.pool.acquire() as connection:
            now = await DatabaseClock().now(connection)
        since = await self.pool.fetchval(_SINCE) or now
        self.report.movements = 0
        async for page in provider.movements(since - CLOCKS, now + CLOCKS):
            await self._match(page, seen)
            self.report.movements += len(page)
            self.progress("movements", self.report.movements)
        return now

    async def _match(self, page: Sequence[Movement], seen: sqlite3.Connection) -> None:
        subjects = {one for movement in page for one in (movement.pledge_id, movement.campaign_id) if one}
        # First, so that what is decided meanwhile is found booked.
        undecided = {row["subject_id"] for row in await self.pool.fetch(_UNDECIDED, sorted(subjects))}
        ids = {posting_id for movement in page for posting_id in posting_ids_of(movement)}
        ledger = await queries_ledger.postings(self.pool, ids)
        for movement in page:
            booked = next((ledger[one] for one in posting_ids_of(movement) if one in ledger), None)
            campaign_id = booked.posting.campaign_id if booked else movement.campaign_id
            if movement.kind is MovementKind.OWN:
                self.report.own_movements += 1
            elif self.campaign_id not in {None, campaign_id}:
                continue
            elif booked is not None:
                self._matches(movement, booked, seen)
            elif not {movement.pledge_id, movement.campaign_id} & undecided:
                self.report.add(_of_movement(Wrong.UNKNOWN_MOVEMENT, movement, "nothing"))

    def _matches(self, movement: Movement, booked: Booked, seen: sqlite3.Connection) -> None:
        ours = moved_at_provider(booked.posting.lines) or (0, movement.currency)
        if ours != (movement.net, movement.currency):
            self.report.add(_of_movement(Wrong.OTHER_AMOUNT, movement, "{} {}".format(*ours)))
        statement = "INSERT OR IGNORE INTO seen VALUES (?)"
        if not seen.execute(statement, (booked.posting.posting_id.bytes,)).rowcount:
            self.report.add(_of_movement(Wrong.MOVED_TWICE, movement, "one movement"))


def _difference(kind: Wrong, one: Booked, expected: str, found: str) -> Difference:
    posting = one.posting
    about = posting.reference or str(posting.posting_id)
    return Difference(kind, about, posting.campaign_id, posting.pledge_id, expected, found)


def _of_movement(kind: Wrong, movement: Movement, expected: str) -> Difference:
    found = f"{movement.type} {movement.amount} less {movement.fee} {movement.currency}, {movement.movement_id}"
    about = movement.payment or movement.source
    return Difference(kind, about, movement.campaign_id, movement.pledge_id, expected, found)


def rows_of(report: Report) -> Iterator[tuple[str, ...]]:
    """The differences as a table, its headings first."""
    yield ("what", "about", "campaign", "expected", "found")
    for one in report.differences:
        yield one.kind, one.about, str(one.campaign_id or ""), one.expected, one.found
