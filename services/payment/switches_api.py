"""The operator's routes for what is stopped at the provider (`switches.py`)."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar

import structlog
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from eventing.api_page import ALL_LISTED, refusals
from eventing.refusal import Refusal
from eventing.runtime import Runtime
from eventing.tokens import Forbidden, Principal, Role, require
from payment import switches
from payment.switches import REASON_MAX, SWITCHES, Switch

log = structlog.get_logger(__name__)

SwitchKind = Annotated[str, Path(description=f"One of {', '.join(SWITCHES)}", examples=["capture"])]


class NoSuchSwitch(Refusal):
    code: ClassVar[str] = "no-such-switch"
    title: ClassVar[str] = "There is no such kind of call"
    status: ClassVar[int] = 404


class ReasonMissing(Refusal):
    code: ClassVar[str] = "reason-missing"
    title: ClassVar[str] = "Say why"
    status: ClassVar[int] = 422


class ProviderSwitch(BaseModel):
    """Whether calls of one kind are made. `all`: whatever may change something; `reads`: what only looks."""

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "kind": "capture",
                    "stopped_at": "2027-03-01T12:00:00Z",
                    "stopped_by": "01a00000-0000-7000-8000-000000000006",
                    "reason": "captures fail at the provider",
                    "waiting": 412,
                    "under_way": 0,
                }
            ]
        },
    )

    kind: str = Field(examples=["capture"])
    stopped_at: datetime | None
    stopped_by: str | None = Field(description="A person's id, or who ran the command")
    reason: str | None = Field(examples=["captures fail at the provider"])
    waiting: int = Field(description="Operations of this kind that wait")
    under_way: int = Field(description="Operations of this kind that were leased and are not decided")


class Throw(BaseModel):
    """Stop calls of a kind, or let them go on."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"stopped": True, "reason": "captures fail at the provider"}]},
    )

    stopped: bool = Field(examples=[True])
    reason: str = Field(
        "", max_length=REASON_MAX, description="Needed to stop", examples=["captures fail at the provider"]
    )


def switch_router(runtime: Runtime, wake: asyncio.Event) -> APIRouter:
    """`wake` lets this process's worker look at once; others look within half a second."""
    routes = APIRouter(tags=["payment"], responses={**ALL_LISTED})

    @routes.get("/operations/switches", summary="What is stopped at the provider", responses=refusals(Forbidden))
    async def get_switches(_: Annotated[Principal, require(Role.OPERATOR)]) -> Sequence[ProviderSwitch]:
        return list(map(_shown, await switches.states(runtime.pool)))

    @routes.put(
        "/operations/switches/{kind}",
        summary="Stop calls of a kind, or let them go on",
        responses=refusals(Forbidden, NoSuchSwitch, ReasonMissing),
    )
    async def put_switch(
        kind: SwitchKind, throw: Throw, operator: Annotated[Principal, require(Role.OPERATOR)]
    ) -> ProviderSwitch:
        if kind not in SWITCHES:
            raise NoSuchSwitch(f"The kinds are {', '.join(SWITCHES)}.")
        if throw.stopped and not throw.reason.strip():
            raise ReasonMissing("Whoever finds it stopped wants to know the reason.")
        if throw.stopped:
            await switches.stop(runtime.pool, runtime.clock, kind, str(operator.person_id), throw.reason.strip())
        else:
            await switches.go(runtime.pool, kind)
            wake.set()
        log.warning("provider_switch", kind=kind, stopped=throw.stopped, by=str(operator.person_id))
        (state,) = [one for one in await switches.states(runtime.pool) if one.kind == kind]
        return _shown(state)

    return routes


def _shown(state: Switch) -> ProviderSwitch:
    return ProviderSwitch.model_validate(state)
