"""What is read from the payment service's own tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from eventing.database import Connection, Pool
from payment.domain_events import Kind
from payment.domain_payout import Books
from payment.ledger import Account
from payment.tables import State

_BALANCES = """
    SELECT currency, account, sum(amount)::bigint AS balance
      FROM entry
     WHERE campaign_id = $1
     GROUP BY currency, account
     ORDER BY currency, account
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


class AboutCampaign(Protocol):
    @property
    def campaign_id(self) -> UUID: ...


async def balances(connection: Connection, campaign_id: UUID) -> list[Balance]:
    rows = await connection.fetch(_BALANCES, campaign_id)
    return [Balance(row["currency"], Account(row["account"]), row["balance"]) for row in rows]


async def books_of(connection: Connection, command: AboutCampaign) -> Mapping[str, Books]:
    """What the ledger says about a campaign, by currency, for its payout."""
    captured: dict[str, int] = {}
    fees: dict[str, int] = {}
    for balance in await balances(connection, command.campaign_id):
        if balance.account in {Account.CAMPAIGN_PAYABLE, Account.REFUNDS}:
            captured[balance.currency] = captured.get(balance.currency, 0) - balance.amount
        elif balance.account is Account.PROVIDER_FEES:
            fees[balance.currency] = balance.amount
    return {currency: Books(minor, fees.get(currency, 0)) for currency, minor in captured.items()}


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
