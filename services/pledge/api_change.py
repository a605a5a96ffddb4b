"""One pledge: read with its ETag, changed with If-Match (DOMAIN P6, P10)."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Response

from contracts.ids import ChangeId, PledgeId, TierId, new_id
from contracts.money import Money
from eventing.api_page import refusals
from eventing.http import IdempotencyKey, command_fingerprint
from eventing.idempotency import Idempotency
from eventing.preconditions import IfMatch, expected_by
from eventing.runtime import Runtime
from eventing.tokens import Forbidden
from pledge import domain_refusals as rules
from pledge import queries
from pledge.api_answers import Backer, etag, json_answer
from pledge.bodies import ChangeAnswer, ChangeBody, ShownPledge
from pledge.domain_change import ChangePledge

_CHANGED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": ChangeAnswer, "description": "Done: no money had to move, or nothing was to be changed"},
    202: {"model": ChangeAnswer, "description": "A new hold is being taken; the pledge stands as it was until then"},
    **refusals(
        Forbidden,
        rules.PledgeUnknown,
        rules.PledgeEnded,
        rules.PaymentUndecided,
        rules.ChangeUndecided,
        rules.PledgeChangedMeanwhile,
        rules.CampaignNotOpen,
        rules.DeadlinePassed,
        rules.WrongCurrency,
        rules.UnknownTier,
        rules.BelowMinimum,
        rules.AmountFixed,
        rules.CutoffPassed,
        rules.SoldOut,
        rules.TooManyChanges,
    ),
}


def add_routes(routes: APIRouter, runtime: Runtime, lease_seconds: int) -> None:
    @routes.get("/pledges/{pledge_id}", responses=refusals(Forbidden, rules.PledgeUnknown))
    async def read(pledge_id: UUID, backer: Backer, response: Response) -> ShownPledge:
        """One of the backer's own pledges, and what may still be done with it."""
        async with runtime.pool.acquire() as connection:
            now = await runtime.clock.now(connection)
            found = await queries.pledge(connection, pledge_id, backer.person_id, now)
        if found is None:
            raise rules.PledgeUnknown("Check the id. Pledges are shown to their backers only.")
        response.headers["ETag"] = etag(found[0].version)
        return ShownPledge.of(*found)

    @routes.patch("/pledges/{pledge_id}", status_code=202, responses=_CHANGED, response_model=None)
    async def change(
        pledge_id: UUID, body: ChangeBody, backer: Backer, key: IdempotencyKey, if_match: IfMatch = None
    ) -> Response:
        """Change amount, reward or card: until the deadline; giving up something only until the cutoff."""
        command = ChangePledge(
            change_id=ChangeId(new_id()),
            pledge_id=PledgeId(pledge_id),
            person_id=backer.person_id,
            amount=Money(amount=body.amount.amount, currency=body.amount.currency) if body.amount else None,
            tier_id=TierId(body.tier_id) if body.tier_id else None,
            moves_tier="tier_id" in body.model_fields_set,
            payment_method=body.payment_method,
            versions=expected_by(if_match),
            lease_seconds=lease_seconds,
        )
        # A field that is null and one that is left out are different wishes.
        path = f"/pledges/{pledge_id}?{','.join(sorted(body.model_fields_set))}"
        mine = Idempotency(backer.person_id, key, command_fingerprint("PATCH", path, body))
        answer = await runtime.commit.execute(command, idempotency=mine)
        return json_answer(answer, 202 if answer["undecided"] else 200, {"ETag": etag(answer["version"])})
