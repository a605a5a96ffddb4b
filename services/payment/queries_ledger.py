"""The ledger as it was at any moment, and its postings, page by page (DOMAIN M3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Final
from uuid import UUID

from asyncpg import Record

from eventing.database import Connection, Pool
from payment.ledger import Account, Line, Phase, Posting

_BALANCES_AT: Final = """
    SELECT currency, account, sum(amount)::bigint AS balance
      FROM entry
     WHERE campaign_id = $1 AND booked_at <= $2
     GROUP BY currency, account
     ORDER BY currency, account
"""

_COLUMNS: Final = "posting_id, campaign_id, pledge_id, event, booked_at, phase, pending_id, reference"

_POSTINGS: Final = f"""
    SELECT {_COLUMNS}
      FROM posting
     WHERE posting_id = ANY($1::uuid[])
"""  # noqa: S608 - names from the code

_NEWEST: Final = f"""
    SELECT {_COLUMNS}
      FROM posting
     WHERE campaign_id = $1 AND (booked_at, posting_id) < ($2, $3)
     ORDER BY booked_at DESC, posting_id DESC
     LIMIT $4
"""  # noqa: S608 - names from the code

_IN_ORDER: Final = f"""
    SELECT {_COLUMNS}
      FROM posting
     WHERE (campaign_id, booked_at, posting_id) > ($1, $2, $3) AND campaign_id <= $4
     ORDER BY campaign_id, booked_at, posting_id
     LIMIT $5
"""  # noqa: S608 - names from the code

_ENTRIES: Final = """
    SELECT posting_id, campaign_id, account, amount, currency, booked_at
      FROM entry
     WHERE posting_id = ANY($1::uuid[])
     ORDER BY posting_id, line
"""


@dataclass(frozen=True)
class Booked:
    """A posting as it stands in the ledger. `entries_at`: the times of its entries, which are its own."""

    posting: Posting
    at: datetime
    entries_at: frozenset[datetime]

    @property
    def key(self) -> tuple[UUID, datetime, UUID]:
        return self.posting.campaign_id, self.at, self.posting.posting_id

    @property
    def subject(self) -> UUID:
        """The stream of its fact."""
        return self.posting.pledge_id or self.posting.campaign_id


async def balances_at(connection: Connection, campaign_id: UUID, at: datetime) -> Sequence[tuple[str, Account, int]]:
    """By currency and account; debits are positive."""
    rows = await connection.fetch(_BALANCES_AT, campaign_id, at)
    return [(row["currency"], Account(row["account"]), row["balance"]) for row in rows]


async def postings(pool: Pool, ids: Iterable[UUID]) -> dict[UUID, Booked]:
    found = await _with_entries(pool, await pool.fetch(_POSTINGS, list(ids)))
    return {one.posting.posting_id: one for one in found}


async def newest(pool: Pool, campaign_id: UUID, before: tuple[datetime, UUID], limit: int) -> list[Booked]:
    return await _with_entries(pool, await pool.fetch(_NEWEST, campaign_id, *before, limit))


async def in_order(pool: Pool, after: tuple[UUID, datetime, UUID], last: UUID, limit: int) -> list[Booked]:
    """All campaigns' postings up to the campaign `last`, campaign by campaign."""
    return await _with_entries(pool, await pool.fetch(_IN_ORDER, *after, last, limit))


async def _with_entries(pool: Pool, rows: Sequence[Record]) -> list[Booked]:
    """Entries come with their posting, so that whoever sees the one sees all of the others."""
    entries = await pool.fetch(_ENTRIES, [row["posting_id"] for row in rows])
    by_posting = {key: list(group) for key, group in groupby(entries, itemgetter("posting_id"))}
    return [_booked(row, by_posting.get(row["posting_id"], [])) for row in rows]


def _booked(row: Record, entries: Sequence[Record]) -> Booked:
    lines = tuple(
        Line(entry["campaign_id"], Account(entry["account"]), entry["amount"], entry["currency"]) for entry in entries
    )
    posting = Posting(
        posting_id=row["posting_id"],
        campaign_id=row["campaign_id"],
        pledge_id=row["pledge_id"],
        event=row["event"],
        phase=Phase(row["phase"]),
        pending_id=row["pending_id"],
        reference=row["reference"],
        lines=lines,
    )
    return Booked(posting, row["booked_at"], frozenset(entry["booked_at"] for entry in entries))
