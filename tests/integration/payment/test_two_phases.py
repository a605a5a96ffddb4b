"""What the database itself refuses to have in the ledger, whoever writes (DOMAIN M3)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from contracts.ids import new_id
from deploy.local.provision import Provisioned
from eventing.database import Pool, connect_pool

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
POST = """
    INSERT INTO posting (posting_id, campaign_id, event, booked_at, phase, pending_id, reference)
    VALUES ($1, $2, 'test', $3, $4, $5, 'pi_1')
"""
ENTER = """
    INSERT INTO entry (posting_id, line, account, amount, campaign_id, currency, booked_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
CAMPAIGN, OTHER = UUID(int=1), UUID(int=2)
HOLD = (("holds", 5_000), ("hold_promises", -5_000))
END = (("hold_promises", 5_000), ("holds", -5_000))


def taken(minor: int) -> tuple[tuple[str, int], ...]:
    return ("provider_receivable", minor), ("campaign_payable", -minor)


@dataclass(frozen=True)
class Draft:
    """A posting as a test wants to smuggle it in; `first` is what the first of its entries has otherwise."""

    phase: str
    lines: tuple[tuple[str, int], ...]
    pending_id: UUID | None = None
    campaign_id: UUID = CAMPAIGN
    currency: str = "EUR"
    first: tuple[UUID, str, datetime] | None = None
    posting_id: UUID = field(default_factory=new_id)

    def entries(self) -> list[tuple[object, ...]]:
        usual = (self.campaign_id, self.currency, NOW)
        return [
            (self.posting_id, number, account, amount, *(self.first if self.first and not number else usual))
            for number, (account, amount) in enumerate(self.lines)
        ]


@dataclass(frozen=True)
class Books:
    pool: Pool

    async def post(self, *drafts: Draft) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            for draft in drafts:
                values = (draft.posting_id, draft.campaign_id, NOW, draft.phase, draft.pending_id)
                await connection.execute(POST, *values)
                await connection.executemany(ENTER, draft.entries())

    async def refuses(self, draft: Draft, reason: str) -> None:
        with pytest.raises(asyncpg.PostgresError, match=reason):
            await self.post(draft)

    async def count(self) -> int:
        found: int = await self.pool.fetchval("SELECT count(*) FROM posting")
        return found


@pytest.fixture
async def books(database: Provisioned) -> AsyncIterator[Books]:
    url = database.database_urls["payment"]
    async with await connect_pool(url, "test") as pool:
        yield Books(pool)


@pytest.fixture
async def hold(books: Books) -> UUID:
    """An open hold of 50 euros."""
    pending = Draft("pending", HOLD)
    await books.post(pending)
    return pending.posting_id


async def test_a_hold_is_posted_or_voided_once(books: Books, hold: UUID) -> None:
    await books.post(Draft("post", END + taken(4_000), hold))
    for again in (Draft("post", END + taken(1_000), hold), Draft("void", END, hold)):
        await books.refuses(again, "posting_resolves_once")
    assert await books.count() == 2


async def test_a_hold_and_its_capture_may_come_at_once(books: Books) -> None:
    pending = Draft("pending", HOLD)
    await books.post(pending, Draft("post", END + taken(5_000), pending.posting_id))
    await books.refuses(Draft("void", END, pending.posting_id), "posting_resolves_once")


async def test_two_that_resolve_the_same_hold_side_by_side_are_one(books: Books, hold: UUID) -> None:
    """The second waits for the first, and then is refused."""
    outcomes = await asyncio.gather(*(books.post(Draft("void", END, hold)) for _ in range(5)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, asyncpg.UniqueViolationError)]
    assert (len(refused), await books.count()) == (4, 2)


@pytest.mark.parametrize(
    ("phase", "lines", "reason"),
    [
        ("post", END + taken(5_001), "posts 5001 of 5000 held"),
        ("post", END, "posts nothing"),
        ("post", (("hold_promises", 4_000), ("holds", -4_000), *taken(4_000)), "ends 4000 of 5000 held"),
        ("void", (("hold_promises", 6_000), ("holds", -6_000)), "ends 6000 of 5000 held"),
        ("void", taken(5_000), "ends 0 of 5000 held"),
        ("void", END + taken(1), "is a void, and moves money"),
        ("post", (("hold_promises", 5_000), ("holds", -4_999), *taken(1)), "off by 1 EUR"),
        ("post", (("holds", -5_000), *taken(5_000), ("refunds", 5_000)), "promises another amount"),
    ],
)
async def test_what_a_hold_cannot_be_resolved_by(
    books: Books, hold: UUID, phase: str, lines: tuple[tuple[str, int], ...], reason: str
) -> None:
    await books.refuses(Draft(phase, lines, hold), reason)
    assert await books.count() == 1
    await books.post(Draft("void", END, hold))


async def test_only_a_hold_of_the_same_campaign_and_currency_is_resolved(books: Books, hold: UUID) -> None:
    await books.refuses(Draft("void", END, hold, campaign_id=OTHER), "of another campaign")
    await books.refuses(Draft("void", END, hold, currency="USD"), "in another currency")


async def test_only_what_is_pending_is_resolved(books: Books, hold: UUID) -> None:
    plain, void = Draft("plain", taken(5_000)), Draft("void", END, hold)
    await books.post(plain, void)
    for other in (plain, void):
        await books.refuses(Draft("void", END, other.posting_id), "not pending")
    await books.refuses(Draft("void", END, new_id()), "foreign key")


@pytest.mark.parametrize(
    ("phase", "lines", "reason"),
    [
        ("plain", HOLD, "neither pending nor resolves one"),
        ("plain", END, "neither pending nor resolves one"),
        ("pending", taken(5_000), "is pending, and no hold"),
        ("pending", END, "is pending, and no hold"),
        ("pending", HOLD + taken(1), "is pending, and no hold"),
        ("plain", (("refunds", 100), ("provider_receivable", -99)), "off by 1 EUR"),
        ("plain", (), "no entries"),
        ("post", END + taken(5_000), "check constraint"),
        ("other", taken(5_000), "check constraint"),
        ("plain", (("elsewhere", 1), ("refunds", -1)), "check constraint"),
        ("plain", (("refunds", 0),), "check constraint"),
    ],
)
async def test_what_is_no_posting(books: Books, phase: str, lines: tuple[tuple[str, int], ...], reason: str) -> None:
    await books.refuses(Draft(phase, lines), reason)
    assert await books.count() == 0


async def test_the_entries_of_a_posting_are_in_one_currency_and_of_one_time(books: Books) -> None:
    for first, reason in (
        ((CAMPAIGN, "USD", NOW), "in 2 currencies"),
        ((CAMPAIGN, "EUR", NOW + timedelta(seconds=1)), "another time"),
    ):
        await books.refuses(Draft("plain", taken(100), first=first), reason)


async def test_the_entries_of_a_hold_are_of_its_campaign(books: Books) -> None:
    await books.refuses(Draft("pending", HOLD, first=(OTHER, "EUR", NOW)), "entries of another campaign")


async def test_nothing_is_added_to_a_posting_that_is_complete(books: Books, hold: UUID) -> None:
    more = Draft("pending", (("refunds", 5),), posting_id=hold)
    with pytest.raises(asyncpg.PostgresError, match="nothing is added"):
        await books.pool.executemany(ENTER, [(hold, 9, *entry[2:]) for entry in more.entries()])


async def test_nothing_is_changed_or_deleted(books: Books, hold: UUID) -> None:
    for change in (
        "UPDATE entry SET amount = amount + 1",
        "DELETE FROM entry",
        "TRUNCATE entry",
        "UPDATE posting SET event = 'other'",
        "DELETE FROM posting",
        "TRUNCATE posting CASCADE",
    ):
        with pytest.raises(asyncpg.PostgresError, match="never changed"):
            await books.pool.execute(change)
    assert await books.pool.fetchval("SELECT count(*) FROM entry WHERE posting_id = $1", hold) == 2
