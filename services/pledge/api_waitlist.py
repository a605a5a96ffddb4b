"""The waitlist over HTTP (DOMAIN P3): get in line for a sold-out tier, get out, see where one stands."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Response

from contracts.ids import CampaignId, OfferId, TierId, new_id
from eventing.api_page import refusals
from eventing.http import IdempotencyKey, command_fingerprint
from eventing.idempotency import Idempotency
from eventing.runtime import Runtime
from eventing.tokens import Forbidden
from pledge import domain_refusals as rules
from pledge import queries
from pledge.api_answers import Backer, json_answer
from pledge.bodies import ShownWait, WaitAnswer, WaitPage
from pledge.domain_waitlist import JoinWaitlist, LeaveWaitlist

WAITS_MAX: Final = 100  # Nobody waits in more places; older ones are not shown.
_JOINED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": WaitAnswer, "description": "In line; being there already is fine"},
    **refusals(
        Forbidden,
        rules.CampaignUnknown,
        rules.CampaignNotOpen,
        rules.DeadlinePassed,
        rules.UnknownTier,
        rules.NotSoldOut,
        rules.AlreadyPledged,
        rules.WaitlistFull,
    ),
}


def add_routes(routes: APIRouter, runtime: Runtime) -> None:
    path = "/campaigns/{campaign_id}/tiers/{tier_id}/waitlist"

    @routes.post(path, status_code=201, responses=_JOINED, response_model=None)
    async def join(campaign_id: UUID, tier_id: UUID, backer: Backer, key: IdempotencyKey) -> Response:
        """Wait for a reward of a sold-out tier. Who is first is offered the next one that comes free."""
        command = JoinWaitlist(OfferId(new_id()), CampaignId(campaign_id), TierId(tier_id), backer.person_id)
        fingerprint = command_fingerprint("POST", path.format(campaign_id=campaign_id, tier_id=tier_id))
        mine = Idempotency(backer.person_id, key, fingerprint)
        return json_answer(await runtime.commit.execute(command, idempotency=mine), 201)

    @routes.delete(path, status_code=204, responses=refusals(Forbidden), response_model=None)
    async def leave(campaign_id: UUID, tier_id: UUID, backer: Backer, key: IdempotencyKey) -> Response:
        """Wait no longer, or give an offer back."""
        command = LeaveWaitlist(CampaignId(campaign_id), TierId(tier_id), backer.person_id)
        fingerprint = command_fingerprint("DELETE", path.format(campaign_id=campaign_id, tier_id=tier_id))
        await runtime.commit.execute(command, idempotency=Idempotency(backer.person_id, key, fingerprint))
        return Response(status_code=204)

    @routes.get("/me/waitlist", responses=refusals(Forbidden))
    async def mine(backer: Backer) -> WaitPage:
        """Where the backer waits, how many are ahead, and which reward is kept for them until when."""
        waits = await queries.waiting_of(runtime.pool, backer.person_id, WAITS_MAX)
        return WaitPage(items=[ShownWait.of(*wait) for wait in waits])
