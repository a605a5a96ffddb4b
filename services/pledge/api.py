"""The pledge's HTTP door (DOMAIN P1, P4, P7, P10, H1 to H4)."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Response

from contracts.ids import CampaignId, PledgeId, TierId, new_id
from contracts.money import Money
from eventing.api_page import ALL_LISTED, refusals
from eventing.http import IdempotencyKey, command_fingerprint
from eventing.idempotency import Idempotency
from eventing.lean import LeanRoute
from eventing.runtime import Runtime
from eventing.tokens import Forbidden
from pledge import api_change, api_lists, api_waitlist
from pledge import domain_refusals as rules
from pledge.api_answers import Backer, json_answer
from pledge.bodies import PledgeAnswer, PledgeBody
from pledge.domain_decisions import CancelPledge, PlacePledge
from pledge.hints import PoolHints

_PLACED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": PledgeAnswer, "description": "Placed; its payment is being decided"},
    **refusals(
        Forbidden,
        rules.CampaignUnknown,
        rules.CampaignNotOpen,
        rules.DeadlinePassed,
        rules.WrongCurrency,
        rules.UnknownTier,
        rules.BelowMinimum,
        rules.AlreadyPledged,
        rules.SoldOut,
    ),
}
_CANCELLED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": PledgeAnswer, "description": "Cancelled; its hold is being released, its charge refunded"},
    **refusals(Forbidden, rules.PledgeUnknown, rules.PledgeEnded, rules.CutoffPassed, rules.RefundWindowOver),
}


def router(runtime: Runtime, lease_seconds: int) -> APIRouter:
    routes = APIRouter(tags=["pledges"], responses={**ALL_LISTED})
    _add_commands(routes, runtime, lease_seconds)
    api_change.add_routes(routes, runtime, lease_seconds)
    api_waitlist.add_routes(routes, runtime)
    api_lists.add_routes(routes, runtime)
    return routes


def _add_commands(routes: APIRouter, runtime: Runtime, lease_seconds: int) -> None:
    hints = PoolHints(runtime.pool)

    async def place(campaign_id: UUID, body: PledgeBody, backer: Backer, key: IdempotencyKey) -> Response:
        """Promise an amount to a campaign, for one of its rewards or for none."""
        command = PlacePledge(
            pledge_id=PledgeId(new_id()),
            campaign_id=CampaignId(campaign_id),
            backer_id=backer.person_id,
            tier_id=TierId(body.tier_id) if body.tier_id else None,
            amount=Money(amount=body.amount.amount, currency=body.amount.currency),
            country=body.country,
            payment_method=body.payment_method,
            lease_seconds=lease_seconds,
            pool_hint=await hints.pool_of(body.tier_id),
        )
        fingerprint = command_fingerprint("POST", f"/campaigns/{campaign_id}/pledges", body)
        answer = await runtime.commit.execute(command, idempotency=Idempotency(backer.person_id, key, fingerprint))
        return json_answer(answer, 201, {"Location": answer["links"]["self"]})

    routes.add_api_route(
        "/campaigns/{campaign_id}/pledges",
        place,
        methods=["POST"],
        status_code=201,
        responses=_PLACED,
        response_model=None,
        route_class_override=LeanRoute,
    )

    @routes.post("/pledges/{pledge_id}/cancel", status_code=202, responses=_CANCELLED, response_model=None)
    async def cancel(pledge_id: UUID, backer: Backer, key: IdempotencyKey) -> Response:
        """Take a pledge back: until the campaign's cutoff, with keep-it-all inside the refund window."""
        fingerprint = command_fingerprint("POST", f"/pledges/{pledge_id}/cancel")
        answer = await runtime.commit.execute(
            CancelPledge(PledgeId(pledge_id), backer.person_id),
            idempotency=Idempotency(backer.person_id, key, fingerprint),
        )
        return json_answer(answer, 202)
