"""A database with books of one phase is brought to two phases: same balances, and its holds can be captured."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from asyncpg import Record
from pydantic_core import to_json

import payment
from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, new_id
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentRefunded,
    PaymentVoided,
    PayoutSent,
)
from deploy.local.provision import Provisioned
from eventing import migrations
from eventing.database import Pool, connect_pool
from payment.ledger import NO_HOLDS, Holds, Posting, after, postings_of
from tests.integration.payment.platform import euros

MIGRATIONS = Path(payment.__file__).parent / "migrations"
START = datetime(2027, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
CAMPAIGN, PLEDGE = CampaignId(new_id()), PledgeId(new_id())

Entries = tuple[tuple[str, int], ...]
HOLD: Entries = (("holds", 5_000), ("hold_promises", -5_000))
END: Entries = (("hold_promises", 5_000), ("holds", -5_000))
TAKEN: Entries = (("provider_receivable", 4_000), ("campaign_payable", -4_000))
FEE: Entries = (("provider_fees", 85), ("provider_receivable", -85))


def fact(kind: type[Event], minor: int, hold_id: str, **more: object) -> Any:
    about = {"pledge_id": PLEDGE, "campaign_id": CAMPAIGN, "amount": euros(minor), "hold_id": hold_id}
    return kind.model_validate({**about, **more})


SENT = PayoutSent(
    campaign_id=CAMPAIGN,
    creator_id=PersonId(new_id()),
    amount=euros(3_715),
    captured=euros(4_000),
    platform_fee=euros(200),
    provider_fee=euros(85),
    transfer_id="tr_1",
)
PAID: Entries = (
    ("campaign_payable", 200),
    ("platform_fees", -200),
    ("campaign_payable", 85),
    ("provider_fees", -85),
    ("payouts", 3_715),
    ("provider_receivable", -3_715),
)
# Each with what was booked for it before: a fact, its entries.
STORIES: dict[str, tuple[tuple[Event, Entries], ...]] = {
    "held": ((fact(PaymentAuthorized, 5_000, "pi_held"), HOLD),),
    "voided": ((fact(PaymentAuthorized, 5_000, "pi_v"), HOLD), (fact(PaymentVoided, 5_000, "pi_v"), END)),
    "captured": (
        (fact(PaymentAuthorized, 5_000, "pi_c"), HOLD),
        (fact(PaymentCaptured, 4_000, "pi_c", provider_fee=euros(85)), END + TAKEN + FEE),
    ),
    "failed": (
        (fact(PaymentAuthorized, 5_000, "pi_f"), HOLD),
        (fact(PaymentCaptureFailed, 5_000, "pi_f", reason="hold_expired"), END),
    ),
    "charged": (
        (
            fact(PaymentCaptured, 4_000, "pi_now", provider_fee=euros(85)),
            (("holds", 4_000), ("hold_promises", -4_000), ("hold_promises", 4_000), ("holds", -4_000), *TAKEN, *FEE),
        ),
        (fact(PaymentRefunded, 4_000, "pi_now"), (("refunds", 4_000), ("provider_receivable", -4_000))),
    ),
    "changed": (
        (fact(PaymentAuthorized, 5_000, "pi_old"), HOLD),
        (fact(PaymentChangeAuthorized, 5_000, "pi_new", change_id=ChangeId(new_id())), HOLD),
        (fact(PaymentVoided, 5_000, "pi_old"), END),
    ),
    "paid": ((SENT, PAID),),
}


@dataclass
class Old:
    """A database as it was before, and what was booked in it."""

    url: str
    pool: Pool
    version: int = 0
    facts: list[tuple[Event, UUID]] = field(default_factory=list)

    async def tell(self, story: str) -> None:
        subject = CAMPAIGN if story == "paid" else PledgeId(new_id())
        for event, entries in STORIES[story]:
            self.version += 1
            at = START + timedelta(seconds=self.version)
            meta = to_json({"time": at}).decode()
            await self.pool.execute(
                "INSERT INTO event (event_id, source, stream_id, version, type, data, meta)"
                " VALUES ($1, 'payment', $2, $3, $4, $5, $6)",
                *(new_id(), subject, self.version, event.type, event.model_dump_json(), meta),
            )
            self.facts.append((event, subject))
            await self._book(event, subject, at, entries)

    async def _book(self, event: Event, subject: UUID, at: datetime, entries: Entries) -> None:
        posting_id, pledge_id = new_id(), None if event is SENT else subject
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO posting (posting_id, campaign_id, pledge_id, event, booked_at)"
                " VALUES ($1, $2, $3, $4, $5)",
                *(posting_id, CAMPAIGN, pledge_id, event.type, at),
            )
            await connection.executemany(
                "INSERT INTO entry (posting_id, line, campaign_id, account, amount, currency)"
                " VALUES ($1, $2, $3, $4, $5, 'EUR')",
                [(posting_id, line, CAMPAIGN, *entry) for line, entry in enumerate(entries, start=1)],
            )

    async def balances(self) -> list[Record]:
        """Every balance at every moment at which something was booked."""
        return await self.pool.fetch(
            "SELECT moment, account, sum(amount)"
            "  FROM entry JOIN posting USING (posting_id),"
            "       (SELECT DISTINCT booked_at AS moment FROM posting) AS moments"
            " WHERE posting.booked_at <= moment GROUP BY moment, account HAVING sum(amount) <> 0 ORDER BY 1, 2"
        )

    async def migrate(self) -> None:
        await migrations.migrate(self.url, migrations.CORE, MIGRATIONS)


@pytest.fixture
async def old(empty: Provisioned, tmp_path: Path) -> AsyncIterator[Old]:
    folder = tmp_path / "payment" / "migrations"
    folder.mkdir(parents=True)
    for name in sorted(MIGRATIONS.glob("*.sql")):
        if "two_phases" in name.name:
            break
        copy(name, folder)
    url = empty.database_urls["payment"]
    await migrations.migrate(url, migrations.CORE, folder)
    async with await connect_pool(url, "test") as pool:
        yield Old(url, pool)


async def booked(pool: Pool) -> dict[UUID, tuple[Any, ...]]:
    rows = await pool.fetch(
        "SELECT posting_id, event, phase, pending_id, reference, pledge_id,"
        "       array_agg(account || ' ' || amount ORDER BY line) AS lines"
        "  FROM posting JOIN entry USING (posting_id) GROUP BY posting_id"
    )
    return {row["posting_id"]: tuple(row.values())[1:] for row in rows}


def expected(facts: list[tuple[Event, UUID]]) -> dict[UUID, tuple[Any, ...]]:
    """What the code of today books for the same facts."""
    holds: dict[UUID, Holds] = {}
    made: list[tuple[Posting, UUID | None]] = []
    for event, subject in facts:
        postings = postings_of(event, holds.get(subject, NO_HOLDS))
        holds[subject] = after(holds.get(subject, NO_HOLDS), postings)
        made += [(posting, posting.pledge_id and subject) for posting in postings]
    return {
        one.posting_id: (
            one.event,
            one.phase.value,
            one.pending_id,
            one.reference,
            subject,
            [f"{line.account} {line.amount}" for line in one.lines],
        )
        for one, subject in made
    }


async def test_old_books_become_what_would_be_booked_today_and_no_balance_changes(old: Old) -> None:
    for story in STORIES:
        await old.tell(story)
    before = await old.balances()
    await old.migrate()
    assert await old.balances() == before
    assert await booked(old.pool) == expected(old.facts)


async def test_an_old_hold_can_be_resolved_once_and_the_books_are_guarded_again(old: Old) -> None:
    await old.tell("held")
    await old.migrate()
    ((hold, _),) = (await booked(old.pool)).items()
    resolve = (
        "INSERT INTO posting (posting_id, campaign_id, event, booked_at, phase, pending_id, reference)"
        " VALUES ($1, $2, 'test', $3, 'void', $4, 'pi_held')"
    )
    with pytest.raises(asyncpg.PostgresError, match="no entries"):
        await old.pool.execute(resolve, new_id(), CAMPAIGN, START, hold)
    for change in ("DELETE FROM entry", "UPDATE posting SET reference = 'other'"):
        with pytest.raises(asyncpg.PostgresError, match="never changed"):
            await old.pool.execute(change)


async def test_a_posting_that_no_fact_explains_stops_the_migration(old: Old) -> None:
    await old.tell("captured")
    await old.pool.execute("UPDATE event SET meta = jsonb_set(meta, '{time}', '\"2027-01-01T00:00:00Z\"')")
    with pytest.raises(migrations.MigrationError, match="no fact of its own"):
        await old.migrate()
    assert await old.pool.fetchval("SELECT count(*) FROM posting") == 2
