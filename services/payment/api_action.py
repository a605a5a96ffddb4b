"""HTTP: how a backer gets to the bank that wants them (DOMAIN P5). The provider's secret goes to that backer alone."""

from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from eventing.api_page import refusals
from eventing.refusal import Refusal, Unavailable
from eventing.runtime import Runtime
from eventing.tokens import Forbidden, Principal, Role, require
from payment.gateway import LookupFailedError, Provider

_AWAITED = """
    SELECT operation.reference
      FROM operation
      JOIN payer ON payer.pledge_id = operation.subject_id
     WHERE operation.subject_id = $1
       AND payer.backer_id = $2
       AND operation.kind = 'follow'
       AND operation.decided_at IS NULL
"""


class NoNextAction(Refusal):
    code: ClassVar[str] = "no-next-action"
    title: ClassVar[str] = "Nothing waits for you here"
    status: ClassVar[int] = 404


class NextAction(BaseModel):
    """Pass `client_secret` to Stripe.js (`handleNextAction`), or bring the backer to `url` where there is one."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"examples": [{"type": "authenticate", "client_secret": "pi_1_secret_2", "url": None}]},
    )

    type: str = Field("authenticate", description="The backer's bank wants to know that it is them (3-D Secure)")
    client_secret: str = Field(description="For this backer's browser alone; it ends with the payment")
    url: str | None = Field(description="A page of the bank's; null: Stripe.js opens one")


def add_action(routes: APIRouter, runtime: Runtime, provider: Provider) -> None:
    @routes.get(
        "/pledges/{pledge_id}/next-action",
        summary="How to get to the bank that waits for you",
        responses=refusals(Forbidden, NoNextAction),
    )
    async def get_next_action(
        pledge_id: UUID, principal: Annotated[Principal, require(Role.BACKER)], response: Response
    ) -> NextAction:
        """While the pledge, or a change of it, waits for you at your bank. Then it goes on by itself."""
        reference = await runtime.pool.fetchval(_AWAITED, pledge_id, principal.person_id)
        try:
            action = await provider.next_action(reference) if reference is not None else None
        except LookupFailedError as error:
            raise Unavailable("The card provider does not answer. Try again in a moment.") from error
        if action is None:
            raise NoNextAction("Your bank is not waiting, or not any more. Look at the pledge itself.")
        response.headers["Cache-Control"] = "no-store"
        return NextAction(type="authenticate", client_secret=action.client_secret, url=action.url)
