"""HTTP: the provider's webhooks, a campaign's ledger for its creator, the operations for operators."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.money import Money
from eventing.api_page import ALL_LISTED, refusals
from eventing.refusal import Refusal
from eventing.runtime import Runtime
from eventing.tokens import Forbidden, Principal, Role, public, require
from payment import queries, webhooks
from payment.api_cases import add_cases
from payment.domain_events import Kind
from payment.examples import LEDGER_EXAMPLE, OPERATIONS_EXAMPLE
from payment.ledger import Account
from payment.tables import State
from payment.webhooks import BadSignature, Ours, UnreadableEvent


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

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [LEDGER_EXAMPLE]})

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

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [OPERATIONS_EXAMPLE]})

    counts: tuple[OperationCount, ...]
    oldest_undecided: UndecidedOperation | None


@dataclass(frozen=True)
class WebhookDoor:
    """The active signing secrets, and what an event of our own account says about itself."""

    secrets: Sequence[str]
    ours: Ours


def router(runtime: Runtime, door: WebhookDoor) -> APIRouter:
    routes = APIRouter(tags=["payment"], responses={**ALL_LISTED})
    _add_webhook(routes, runtime, door)
    _add_reads(routes, runtime)
    add_cases(routes, runtime)
    return routes


def _add_webhook(routes: APIRouter, runtime: Runtime, door: WebhookDoor) -> None:
    @routes.post(
        "/webhooks/stripe",
        status_code=204,
        dependencies=[public()],
        summary="Events from Stripe",
        responses=refusals(BadSignature, UnreadableEvent),
    )
    async def take_webhook(
        request: Request,
        signature: Annotated[str, Header(alias="Stripe-Signature", description="Over the raw body")] = "",
    ) -> Response:
        """Only id, type, time and the object's id are kept; it is answered at once and worked afterwards (Y5).

        The body is an event as Stripe sends it, a snapshot or a thin one.
        """
        body = await request.body()
        webhooks.verify(body, signature, door.secrets, time.time())
        await runtime.commit.execute(webhooks.read(body, door.ours))
        return Response(status_code=204)


def _add_reads(routes: APIRouter, runtime: Runtime) -> None:
    @routes.get(
        "/campaigns/{campaign_id}/ledger",
        summary="A campaign's books",
        responses=refusals(Forbidden, NoSuchCampaign),
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

    @routes.get("/operations", summary="What was asked of the provider", responses=refusals(Forbidden))
    async def get_operations(_: Annotated[Principal, require(Role.OPERATOR)]) -> Operations:
        return _operations(
            await queries.operations_by_state(runtime.pool), await queries.oldest_undecided(runtime.pool)
        )


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
