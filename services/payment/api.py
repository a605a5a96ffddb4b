"""HTTP: the provider's webhooks and the operations for operators. The ledger: `api_ledger.py`."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from eventing.runtime import Runtime
from eventing.tokens import Principal, Role, public, require
from payment import api_ledger, queries, webhooks
from payment.domain_events import Kind
from payment.tables import State


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

    api_ledger.add_routes(routes, runtime)

    @routes.get("/operations", summary="What was asked of the provider")
    async def get_operations(_: Annotated[Principal, require(Role.OPERATOR)]) -> Operations:
        return _operations(
            await queries.operations_by_state(runtime.pool), await queries.oldest_undecided(runtime.pool)
        )

    return routes


def _operations(counts: Sequence[queries.StateCount], oldest: queries.Undecided | None) -> Operations:
    return Operations(
        counts=tuple(OperationCount(kind=c.kind, state=c.state, operations=c.operations) for c in counts),
        oldest_undecided=UndecidedOperation.model_validate(oldest, from_attributes=True) if oldest else None,
    )
