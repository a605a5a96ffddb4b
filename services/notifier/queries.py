"""The SQL of the timers and of HTTP. Times come in from the database clock that the caller has read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from asyncpg import Record

from contracts.campaign import FundingModel
from contracts.money import Money
from eventing.database import Connection, Pool
from eventing.tables import transposed
from notifier.domain import Facts, Kind, Verdict
from notifier.domain_fan_out import AUDIENCE

NoticeKey: TypeAlias = tuple[str, UUID, UUID]  # kind, person, about

# What all are told stands once, in the fan-out: with 200 000 backers, an update's text in each notice is 400 MB.
_LEASE: Final = """
    WITH due AS (
        SELECT kind, person_id, about_id
        FROM notice
        WHERE status = 'waiting' AND urgent = $1 AND due_at <= $2
        ORDER BY due_at
        LIMIT $3
        FOR UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE notice
        SET lease = $4, due_at = $5
        FROM due
        WHERE (notice.kind, notice.person_id, notice.about_id) = (due.kind, due.person_id, due.about_id)
        RETURNING notice.*
    )
    SELECT
        n.kind, n.person_id, n.about_id, n.campaign_id, n.pledge_id, n.created_at, n.attempts,
        coalesce(fan_out.facts, n.facts) AS facts,
        contact.email, contact.name, contact.locale,
        campaign.title, campaign.model, campaign.deadline,
        backing.amount_minor, backing.currency, backing.tier_id,
        tier.title AS tier_title, tier.estimated_delivery
    FROM leased n
    LEFT JOIN fan_out ON fan_out.kind = n.kind AND fan_out.about_id = n.about_id
    LEFT JOIN contact USING (person_id)
    LEFT JOIN campaign ON campaign.campaign_id = n.campaign_id
    LEFT JOIN backing ON backing.pledge_id = n.pledge_id
    LEFT JOIN tier ON tier.tier_id = backing.tier_id
    ORDER BY n.created_at, n.person_id
"""
# Only while the lease is still this sender's: once it is over, another may have taken the notice.
_RECORD: Final = """
    UPDATE notice
    SET status = given.status, due_at = given.due_at, reason = given.reason, attempts = given.attempts, lease = NULL,
        ended_at = CASE WHEN given.status IN ('sent', 'skipped', 'given_up') THEN given.due_at END
    FROM unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::text[], $8::bigint[])
        AS given(kind, person_id, about_id, status, due_at, reason, attempts)
    WHERE (notice.kind, notice.person_id, notice.about_id) = (given.kind, given.person_id, given.about_id)
      AND notice.lease = $1
"""
_WAKE: Final = """
    UPDATE notice
    SET status = 'waiting', due_at = $1, reason = ''
    FROM contact
    WHERE contact.changed_at >= $2 AND notice.person_id = contact.person_id AND notice.status = 'contactless'
"""
_SKIP: Final = """
    UPDATE notice
    SET status = 'skipped', ended_at = $1
    WHERE (kind, person_id, about_id) IN (
        SELECT kind, person_id, about_id
        FROM notice
        WHERE status = 'contactless' AND due_at <= $1
        ORDER BY due_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
"""
_NEXT_FAN_OUT: Final = """
    SELECT kind, about_id, campaign_id, tier_id, after_backer
    FROM fan_out
    WHERE NOT done
    ORDER BY batches, created_at, about_id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
"""
# Backers whatever their tier, by the newest pledge: who has the tier is sorted out after the limit, so that a tier of
# few among 200 000 makes no batch longer than another.
_RECIPIENTS: Final = """
    SELECT DISTINCT ON (backer_id) backer_id, pledge_id, tier_id
    FROM backing
    WHERE campaign_id = $1 AND backer_id > $2 AND standing = ANY($3::text[])
    ORDER BY backer_id, pledge_id DESC
    LIMIT $4
"""
_NOTIFY_ALL: Final = """
    INSERT INTO notice (kind, person_id, about_id, campaign_id, pledge_id, facts, urgent, created_at, due_at)
    SELECT $1, given.person_id, $2, $3, given.pledge_id, '{}', false, $4, $4
    FROM unnest($5::uuid[], $6::uuid[]) AS given(person_id, pledge_id)
    ORDER BY given.person_id
    ON CONFLICT DO NOTHING
"""
_ADVANCE: Final = """
    UPDATE fan_out
    SET after_backer = $3, batches = batches + 1, done = $4
    WHERE kind = $1 AND about_id = $2
"""


@dataclass(frozen=True)
class Addressee:
    email: str
    name: str
    locale: str


@dataclass(frozen=True)
class Reward:
    title: str
    estimated_delivery: str  # year and month


@dataclass(frozen=True)
class Due:
    """A leased notice with all that its mail says. None: not known (yet)."""

    key: NoticeKey
    kind: Kind
    campaign_id: UUID
    pledge_id: UUID | None
    facts: Facts
    created_at: datetime
    attempts: int
    to: Addressee | None
    title: str | None
    model: FundingModel | None
    deadline: datetime | None
    amount: Money | None
    reward: Reward | None
    reward_missing: bool  # there is one, but its tier has not come in yet


async def lease_due(pool: Pool, now: datetime, until: datetime, lease: UUID, limit: int) -> list[Due]:
    """Take what is due for this sender alone until then: what concerns one person before what goes to all."""
    for urgent in (True, False):
        rows = await pool.fetch(_LEASE, urgent, now, limit, lease, until)
        if rows:
            return [_due(row) for row in rows]
    return []


def _due(row: Record) -> Due:
    known = row["email"] is not None
    priced = row["amount_minor"] is not None
    return Due(
        key=(row["kind"], row["person_id"], row["about_id"]),
        kind=Kind(row["kind"]),
        campaign_id=row["campaign_id"],
        pledge_id=row["pledge_id"],
        facts=Facts.model_validate_json(row["facts"]),
        created_at=row["created_at"],
        attempts=row["attempts"],
        to=Addressee(row["email"], row["name"], row["locale"]) if known else None,
        title=row["title"],
        model=FundingModel(row["model"]) if row["model"] else None,
        deadline=row["deadline"],
        amount=Money(amount=row["amount_minor"], currency=row["currency"]) if priced else None,
        reward=Reward(row["tier_title"], row["estimated_delivery"]) if row["tier_title"] is not None else None,
        reward_missing=row["tier_id"] is not None and row["tier_title"] is None,
    )


async def record(pool: Pool, lease: UUID, verdicts: Sequence[tuple[NoticeKey, Verdict]]) -> None:
    rows = [(*key, one.status, one.due_at, one.reason, one.attempts) for key, one in verdicts]
    await pool.execute(_RECORD, lease, *transposed(rows, 7))


async def wake(pool: Pool, now: datetime, changed_since: datetime) -> None:
    """What waits for an address that was given since then is due now."""
    await pool.execute(_WAKE, now, changed_since)


async def skip(pool: Pool, now: datetime, limit: int) -> int:
    """End what waited for an address for too long. Returns how many."""
    done: str = await pool.execute(_SKIP, now, limit)
    return int(done.rsplit(maxsplit=1)[-1])


async def fan_out_next(connection: Connection, now: datetime, limit: int) -> bool:
    """One batch of the fan-out that has had the fewest, in the caller's transaction. False: there is none."""
    row = await connection.fetchrow(_NEXT_FAN_OUT)
    if row is None:
        return False
    kind = Kind(row["kind"])
    recipients = await connection.fetch(
        _RECIPIENTS, row["campaign_id"], row["after_backer"], sorted(AUDIENCE[kind]), limit
    )
    told = [(one["backer_id"], one["pledge_id"]) for one in recipients if row["tier_id"] in (None, one["tier_id"])]
    await connection.execute(_NOTIFY_ALL, kind, row["about_id"], row["campaign_id"], now, *transposed(told, 2))
    last = recipients[-1]["backer_id"] if recipients else row["after_backer"]
    await connection.execute(_ADVANCE, kind, row["about_id"], last, len(recipients) < limit)
    return True


async def contact(pool: Pool, person_id: UUID) -> Addressee | None:
    row = await pool.fetchrow("SELECT email, name, locale FROM contact WHERE person_id = $1", person_id)
    return Addressee(*row) if row else None
