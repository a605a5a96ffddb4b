"""What is read from the payment service's own tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from eventing.database import Connection, Pool
from payment.domain_events import Kind
from payment.domain_payout import Totals
from payment.ledger import Account
from payment.tables import State

_BALANCES = """
    SELECT currency, account, sum(amount)::bigint AS balance
      FROM entry
     WHERE campaign_id = $1
     GROUP BY currency, account
     ORDER BY currency, account
"""

_BOOKS = """
    SELECT campaign_id, account,
           sum(amount)::bigint AS balance,
           coalesce(sum(amount) FILTER (WHERE amount > 0), 0)::bigint AS debits
      FROM entry
     WHERE currency = $3
       AND (campaign_id = $1
            OR campaign_id IN (SELECT campaign_id FROM payout WHERE creator_id = $2 AND currency = $3 AND sent > 0))
     GROUP BY campaign_id, account
"""

_OPERATIONS_BY_STATE = """
    SELECT kind, state, count(*) AS operations
      FROM operation
     GROUP BY kind, state
     ORDER BY kind, state
"""

_OLDEST_UNDECIDED = """
    SELECT operation_id, kind, state, outcome, sends, created_at
      FROM operation
     WHERE state IN ('waiting', 'leased')
     ORDER BY created_at
     LIMIT 1
"""


@dataclass(frozen=True)
class Balance:
    """Minor units; debits are positive."""

    currency: str
    account: Account
    amount: int


@dataclass(frozen=True)
class StateCount:
    kind: Kind
    state: State
    operations: int


@dataclass(frozen=True)
class Undecided:
    operation_id: UUID
    kind: Kind
    state: State
    outcome: str
    sends: int
    created_at: datetime


class AboutPayout(Protocol):
    @property
    def campaign_id(self) -> UUID: ...

    @property
    def creator_id(self) -> UUID: ...

    @property
    def currency(self) -> str: ...


async def balances(connection: Connection, campaign_id: UUID) -> list[Balance]:
    rows = await connection.fetch(_BALANCES, campaign_id)
    return [Balance(row["currency"], Account(row["account"]), row["balance"]) for row in rows]


async def books_of(connection: Connection, command: AboutPayout) -> Mapping[UUID, Totals]:
    """What the ledger says of a campaign and of the creator's others that have been paid out, in one currency."""
    accounts: dict[UUID, dict[str, tuple[int, int]]] = {}
    for row in await connection.fetch(_BOOKS, command.campaign_id, command.creator_id, command.currency):
        accounts.setdefault(row["campaign_id"], {})[row["account"]] = (row["balance"], row["debits"])
    return {campaign_id: totals_of(found) for campaign_id, found in accounts.items()}


def totals_of(accounts: Mapping[str, tuple[int, int]]) -> Totals:
    """By account its balance and the sum of its debits. See `payment.ledger` for what each account holds.

    The payable account has lost what payouts have settled of fees and kept back, so that is added again.
    """

    def balance(account: Account) -> int:
        return accounts.get(account, (0, 0))[0]

    fees_unborne, fees = accounts.get(Account.PROVIDER_FEES, (0, 0))
    platform_fees, reserve = -balance(Account.PLATFORM_FEES), -balance(Account.RESERVE)
    return Totals(
        captured=-balance(Account.CAMPAIGN_PAYABLE) + platform_fees + fees - fees_unborne + reserve,
        refunded=balance(Account.REFUNDS),
        disputed=balance(Account.DISPUTES),
        provider_fees=fees,
        platform_fees=platform_fees,
        reserve=reserve,
        paid=balance(Account.PAYOUTS),
        recovered=balance(Account.CREATOR_DEBTS),
    )


async def creator_of(pool: Pool, campaign_id: UUID) -> UUID | None:
    creator: UUID | None = await pool.fetchval("SELECT creator_id FROM campaign WHERE campaign_id = $1", campaign_id)
    return creator


async def operations_by_state(pool: Pool) -> list[StateCount]:
    rows = await pool.fetch(_OPERATIONS_BY_STATE)
    return [StateCount(Kind(row["kind"]), State(row["state"]), row["operations"]) for row in rows]


async def oldest_undecided(pool: Pool) -> Undecided | None:
    row = await pool.fetchrow(_OLDEST_UNDECIDED)
    if row is None:
        return None
    return Undecided(
        row["operation_id"], Kind(row["kind"]), State(row["state"]), row["outcome"], row["sends"], row["created_at"]
    )
