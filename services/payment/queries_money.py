"""What people read about refunds, disputes and statements."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic_core import from_json

from contracts.event import Event
from contracts.money import Money
from contracts.payment import PaymentRefunded, PayoutSent
from eventing.database import Connection, Pool
from payment.domain_events import RefundFailed, RefundFound, RefundOrdered, StepStarted
from payment.domain_payout_events import ReserveReleased
from payment.ledger import Account
from payment.statement import KINDS, Line, line_of
from payment.tables import DISPUTES, DisputeRow

REFUND_LINES_MAX: Final = 1_000  # A campaign that is cancelled refunds all: that many are told by day.

_WHOSE: Final = """
    SELECT payer.backer_id, campaign.creator_id
      FROM payer
      JOIN campaign USING (campaign_id)
     WHERE payer.pledge_id = $1
"""
_STREAM: Final = """
    SELECT type, data, meta->>'time' AS time
      FROM event
     WHERE source = 'payment' AND stream_id = $1 AND type = ANY($2::text[])
     ORDER BY version
"""
_DISPUTES: Final = f"""
    SELECT {", ".join(column.name for column in DISPUTES.columns)}
      FROM dispute
     WHERE campaign_id = $1 AND (opened_at, dispute_id) < ($2, $3)
     ORDER BY opened_at DESC, dispute_id DESC
     LIMIT $4
"""  # noqa: S608 - names from the code

# What payouts move between accounts of the same campaign is no line of its own: the fees that they settle are told when
# the provider takes them, and captures as captures.
_LINES: Final = """
    SELECT (booked_at AT TIME ZONE 'UTC')::date AS day, account, currency,
           sum(amount)::bigint AS amount, count(*) AS count,
           CASE WHEN count(*) = 1 THEN min(posting.pledge_id::text)::uuid END AS pledge_id
      FROM entry
      JOIN posting USING (posting_id)
     WHERE entry.campaign_id = $1
       AND account = ANY($2::text[])
       AND NOT (account IN ('campaign_payable', 'provider_fees') AND event = ANY($3::text[]))
     GROUP BY day, account, currency,
              CASE WHEN account IN ('campaign_payable', 'provider_fees') OR (account = 'refunds' AND $4) THEN NULL
                   ELSE posting_id END
     ORDER BY day, min(booked_at), array_position($2::text[], account)
"""
_REFUNDS: Final = "SELECT count(*) FROM entry WHERE campaign_id = $1 AND account = 'refunds'"

_REFUND_EVENTS: Final[dict[str, type[Event]]] = {
    event.type: event for event in (RefundOrdered, RefundFailed, RefundFound, StepStarted, PaymentRefunded)
}


@dataclass(frozen=True)
class Whose:
    backer_id: UUID | None
    creator_id: UUID


async def whose(pool: Pool, pledge_id: UUID) -> Whose | None:
    row = await pool.fetchrow(_WHOSE, pledge_id)
    return Whose(row["backer_id"], row["creator_id"]) if row else None


async def refund_events(pool: Pool, pledge_id: UUID) -> list[tuple[Event, datetime]]:
    rows = await pool.fetch(_STREAM, pledge_id, list(_REFUND_EVENTS))
    return [
        (_REFUND_EVENTS[row["type"]].model_validate(from_json(row["data"])), datetime.fromisoformat(row["time"]))
        for row in rows
    ]


async def disputes_of(pool: Pool, campaign_id: UUID, before: tuple[datetime, str], limit: int) -> list[DisputeRow]:
    """Newest first."""
    return [DISPUTES.load(row) for row in await pool.fetch(_DISPUTES, campaign_id, *before, limit)]


async def statement_lines(connection: Connection, campaign_id: UUID) -> list[Line]:
    by_day = await connection.fetchval(_REFUNDS, campaign_id) > REFUND_LINES_MAX
    settling = [PayoutSent.type, ReserveReleased.type]
    rows = await connection.fetch(_LINES, campaign_id, [account.value for account in KINDS], settling, by_day)
    return [
        line_of(
            row["day"],
            Account(row["account"]),
            Money(amount=row["amount"], currency=row["currency"]),
            row["count"],
            row["pledge_id"],
        )
        for row in rows
    ]


async def payouts_of(connection: Connection, campaign_id: UUID) -> list[tuple[PayoutSent, datetime]]:
    rows = await connection.fetch(_STREAM, campaign_id, [PayoutSent.type])
    return [(PayoutSent.model_validate(from_json(row["data"])), datetime.fromisoformat(row["time"])) for row in rows]


async def doubt_of(connection: Connection, campaign_id: UUID) -> str | None:
    """Why the campaign's payout waits; None: it does not, or nobody has asked for it."""
    query = "SELECT nullif(doubt, '') FROM payout WHERE campaign_id = $1"
    doubt: str | None = await connection.fetchval(query, campaign_id)
    return doubt
