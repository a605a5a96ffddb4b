"""HTTP: the provider's webhooks and the operations for operators. The ledger: `api_ledger.py`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from eventing.api_page import ALL_LISTED, refusals
from eventing.runtime import Runtime
from eventing.tokens import Forbidden, Principal, Role, public, require
from payment import api_ledger, queries, webhooks
from payment.api_action import add_action
from payment.api_cases import add_cases
from payment.domain_events import Kind
from payment.examples import OPERATIONS_EXAMPLE
from payment.gateway import Provider
from payment.tables import State
from payment.webhooks import BadSignature, Ours, UnreadableEvent


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


def router(runtime: Runtime, door: WebhookDoor, provider: Provider) -> APIRouter:
    routes = APIRouter(tags=["payment"], responses={**ALL_LISTED})
    _add_webhook(routes, runtime, door)
    _add_reads(routes, runtime)
    add_cases(routes, runtime)
    add_action(routes, runtime, provider)
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
    api_ledger.add_routes(routes, runtime)

    @routes.get("/operations", summary="What was asked of the provider", responses=refusals(Forbidden))
    async def get_operations(_: Annotated[Principal, require(Role.OPERATOR)]) -> Operations:
        return _operations(
            await queries.operations_by_state(runtime.pool), await queries.oldest_undecided(runtime.pool)
        )


def _operations(counts: Sequence[queries.StateCount], oldest: queries.Undecided | None) -> Operations:
    return Operations(
        counts=tuple(OperationCount(kind=c.kind, state=c.state, operations=c.operations) for c in counts),
        oldest_undecided=UndecidedOperation.model_validate(oldest, from_attributes=True) if oldest else None,
    )
