"""HTTP: the provider's webhooks, a campaign's ledger for its creator, the operations for operators."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.money import Money
from eventing.refusal import Refusal
from eventing.runtime import Runtime
from eventing.tokens import Principal, Role, public, require
from payment import queries, webhooks
from payment.domain_events import Kind
from payment.ledger import Account
from payment.tables import State


class NoSuchCampaign(Refusal):
    code: ClassVar[str] = "campaign-not-found"
    title: ClassVar[str] = "There is no such campaign"
    status: ClassVar[int] = 404


class AccountBalance(BaseModel):
    model_config = ConfigDict(frozen=True)

    account: Account = Field(examples=["campaign_payable"])
    side: Literal["debit", "credit"] = Field(examples=["credit"])
    balance: Money = Field(description="Never negative: `side` says on which side of the account it stands")


class Ledger(BaseModel):
    """A campaign's books, per account and currency (DOMAIN M3)."""

    model_config = ConfigDict(frozen=True)

    campaign_id: UUID
    accounts: tuple[AccountBalance, ...]


class OperationCount(BaseModel):
    model_config = ConfigDict(frozen=True)

    kind: Kind
    state: State
    operations: int


class UndecidedOperation(BaseModel):
    model_config = ConfigDict(frozen=True)

    operation_id: UUID
    kind: Kind
    state: State
    outcome: str = Field(description="The last one", examples=["unknown: APIConnectionError None"])
    sends: int
    created_at: datetime


class Operations(BaseModel):
    """What was asked of the provider, by kind and state (DOMAIN Y1)."""

    model_config = ConfigDict(frozen=True)

    counts: tuple[OperationCount, ...]
    oldest_undecided: UndecidedOperation | None


def router(runtime: Runtime, webhook_secrets: Sequence[str]) -> APIRouter:
    routes = APIRouter(tags=["payment"])

    @routes.post(
        "/webhooks/stripe",
        status_code=204,
        dependencies=[public()],
        summary="Events from Stripe",
        responses={400: {"description": "The signature does not hold, or the body is not an event"}},
    )
    async def take_webhook(request: Request) -> Response:
        body = await request.body()
        webhooks.verify(body, request.headers.get("stripe-signature", ""), webhook_secrets, time.time())
        await runtime.commit.execute(webhooks.read(body))
        return Response(status_code=204)

    @routes.get(
        "/campaigns/{campaign_id}/ledger",
        summary="A campaign's books",
        responses={404: {"description": "No such campaign, or somebody else's"}},
    )
    async def get_ledger(
        campaign_id: UUID, principal: Annotated[Principal, require(Role.CREATOR, Role.OPERATOR)]
    ) -> Ledger:
        creator_id = await queries.creator_of(runtime.pool, campaign_id)
        if creator_id is None or (creator_id != principal.person_id and Role.OPERATOR not in principal.roles):
            raise NoSuchCampaign("It may not be launched yet.")
        async with runtime.pool.acquire() as connection:
            balances = await queries.balances(connection, campaign_id)
        return Ledger(campaign_id=campaign_id, accounts=tuple(map(_account, balances)))

    @routes.get("/operations", summary="What was asked of the provider")
    async def get_operations(_: Annotated[Principal, require(Role.OPERATOR)]) -> Operations:
        return _operations(
            await queries.operations_by_state(runtime.pool), await queries.oldest_undecided(runtime.pool)
        )

    return routes


def _account(balance: queries.Balance) -> AccountBalance:
    return AccountBalance(
        account=balance.account,
        side="credit" if balance.amount < 0 else "debit",
        balance=Money(amount=abs(balance.amount), currency=balance.currency),
    )


def _operations(counts: Sequence[queries.StateCount], oldest: queries.Undecided | None) -> Operations:
    return Operations(
        counts=tuple(OperationCount(kind=c.kind, state=c.state, operations=c.operations) for c in counts),
        oldest_undecided=UndecidedOperation.model_validate(oldest, from_attributes=True) if oldest else None,
    )
