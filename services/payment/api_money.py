"""HTTP: refunds of a pledge, disputes and the statement of a campaign (DOMAIN Y8 to Y10)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic_core import to_json

from contracts.ids import PledgeId, new_id
from contracts.money import Money
from eventing.api_page import ALL_LISTED, refusals
from eventing.http import IdempotencyKey, command_fingerprint
from eventing.idempotency import Idempotency
from eventing.refusal import Refusal
from eventing.runtime import Runtime
from eventing.tokens import Forbidden, Principal, Role, require
from payment import domain_refunds, queries, queries_money, statement
from payment.bodies_money import DisputePage, RefundBody, RefundOut, Refunds, ShownDispute, Statement
from payment.handlers_refunds import OrderRefund

PAGE_MAX: Final = 100
PAGE_DEFAULT: Final = 20
_END: Final = (datetime.max.replace(tzinfo=UTC), "")  # before the newest

Creator = Annotated[Principal, require(Role.CREATOR, Role.OPERATOR)]
Anyone = Annotated[Principal, require(Role.BACKER, Role.CREATOR, Role.OPERATOR)]
Cursor = Annotated[str | None, Query(max_length=200, description="As in `links.next`")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


class NoSuchCampaign(Refusal):
    code: ClassVar[str] = "campaign-not-found"
    title: ClassVar[str] = "There is no such campaign"
    status: ClassVar[int] = 404


class CursorUnknown(Refusal):
    code: ClassVar[str] = "cursor-unknown"
    title: ClassVar[str] = "The list cannot go on from there"
    status: ClassVar[int] = 422


_ORDERED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": RefundOut, "description": "Ordered; it is given back in a moment"},
    **refusals(
        Forbidden,
        domain_refunds.NoSuchPledge,
        domain_refunds.NotCaptured,
        domain_refunds.NothingLeft,
        domain_refunds.MoreThanIsLeft,
        domain_refunds.Disputed,
        domain_refunds.WrongCurrency,
    ),
}
_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "One line a movement", "content": {"text/csv": {"schema": {"type": "string"}}}},
    **refusals(Forbidden, NoSuchCampaign),
}


def router(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["money"], responses={**ALL_LISTED})
    _add_refunds(routes, runtime)
    _add_disputes(routes, runtime)
    _add_statement(routes, runtime)
    return routes


def _add_refunds(routes: APIRouter, runtime: Runtime) -> None:
    async def events_of(pledge_id: UUID, reader: Principal) -> tuple[domain_refunds.Refund, ...]:
        whose = await queries_money.whose(runtime.pool, pledge_id)
        if whose is None or not (
            Role.OPERATOR in reader.roles or reader.person_id in {whose.backer_id, whose.creator_id}
        ):
            raise domain_refunds.NoSuchPledge("It may not have been heard of yet.")
        return domain_refunds.listed(await queries_money.refund_events(runtime.pool, pledge_id))

    @routes.post("/pledges/{pledge_id}/refunds", status_code=201, responses=_ORDERED, response_model=None)
    async def refund(pledge_id: UUID, body: RefundBody, creator: Creator, key: IdempotencyKey) -> Response:
        """Give a backer money back, a part or all that is left, at any time."""
        amount = Money(amount=body.amount.amount, currency=body.amount.currency) if body.amount else None
        person_id = None if Role.OPERATOR in creator.roles else creator.person_id
        command = OrderRefund(PledgeId(pledge_id), new_id(), person_id, amount, body.reason)
        fingerprint = command_fingerprint("POST", f"/pledges/{pledge_id}/refunds", body)
        mine = Idempotency(creator.person_id, key, fingerprint)
        answer = await runtime.commit.execute(command, idempotency=mine)
        return Response(to_json(answer), 201, {"Location": answer["links"]["self"]}, "application/json")

    @routes.get("/pledges/{pledge_id}/refunds", responses=refusals(Forbidden, domain_refunds.NoSuchPledge))
    async def refunds(pledge_id: UUID, reader: Anyone) -> Refunds:
        """All refunds of a pledge, for its backer, the campaign's creator and operators."""
        return Refunds(items=[RefundOut.of(pledge_id, one) for one in await events_of(pledge_id, reader)])

    @routes.get(
        "/pledges/{pledge_id}/refunds/{refund_id}",
        responses=refusals(Forbidden, domain_refunds.NoSuchPledge, domain_refunds.NoSuchRefund),
    )
    async def one_refund(pledge_id: UUID, refund_id: UUID, reader: Anyone) -> RefundOut:
        """What became of a refund that was ordered."""
        for one in await events_of(pledge_id, reader):
            if one.refund_id == refund_id:
                return RefundOut.of(pledge_id, one)
        raise domain_refunds.NoSuchRefund("See the pledge's list of refunds.")


def _add_disputes(routes: APIRouter, runtime: Runtime) -> None:
    @routes.get("/campaigns/{campaign_id}/disputes", responses=refusals(Forbidden, NoSuchCampaign, CursorUnknown))
    async def disputes(
        campaign_id: UUID, creator: Creator, cursor: Cursor = None, limit: Limit = PAGE_DEFAULT
    ) -> DisputePage:
        """What backers' banks have taken back from a campaign, newest first."""
        before = _read(cursor)
        await _check(runtime, campaign_id, creator)
        rows = await queries_money.disputes_of(runtime.pool, campaign_id, before, limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        following = None
        if last is not None:
            token = _written(last.opened_at, last.dispute_id)
            following = f"/campaigns/{campaign_id}/disputes?cursor={token}&limit={limit}"
        return DisputePage(items=[ShownDispute.of(row) for row in rows[:limit]], links={"next": following})


def _add_statement(routes: APIRouter, runtime: Runtime) -> None:
    @routes.get("/campaigns/{campaign_id}/statement", responses=refusals(Forbidden, NoSuchCampaign))
    async def show_statement(campaign_id: UUID, creator: Creator) -> Statement:
        """All that was taken, given back, kept and paid out for a campaign; the lines sum to the balance."""
        await _check(runtime, campaign_id, creator)
        async with runtime.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            lines = await queries_money.statement_lines(connection, campaign_id)
            payouts = await queries_money.payouts_of(connection, campaign_id)
            waits = await queries_money.doubt_of(connection, campaign_id)
        return Statement.of(campaign_id, lines, payouts, waits)

    @routes.get("/campaigns/{campaign_id}/statement.csv", responses=_CSV, response_class=StreamingResponse)
    async def statement_csv(campaign_id: UUID, creator: Creator) -> StreamingResponse:
        """The lines of the statement for a spreadsheet."""
        await _check(runtime, campaign_id, creator)
        async with runtime.pool.acquire() as connection:
            lines = await queries_money.statement_lines(connection, campaign_id)
        text: Iterable[str] = statement.as_csv(lines)
        name = f'attachment; filename="statement-{campaign_id}.csv"'
        return StreamingResponse(text, media_type="text/csv", headers={"Content-Disposition": name})


async def _check(runtime: Runtime, campaign_id: UUID, reader: Principal) -> None:
    creator_id = await queries.creator_of(runtime.pool, campaign_id)
    if creator_id is None or (creator_id != reader.person_id and Role.OPERATOR not in reader.roles):
        raise NoSuchCampaign("It may not be launched yet.")


def _written(opened_at: datetime, dispute_id: str) -> str:
    return urlsafe_b64encode(f"{opened_at.isoformat()}|{dispute_id}".encode()).decode().rstrip("=")


def _read(cursor: str | None) -> tuple[datetime, str]:
    """The last dispute of the page before; newer ones move no page."""
    if cursor is None:
        return _END
    try:
        at, _, dispute_id = urlsafe_b64decode(cursor + "==").decode().partition("|")
        opened_at = datetime.fromisoformat(at)
        opened_at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise CursorUnknown("Take the address in `next` as it is, or begin without a cursor.") from None
    if opened_at.tzinfo is None or "\x00" in dispute_id:
        raise CursorUnknown("Take the address in `next` as it is, or begin without a cursor.")
    return opened_at, dispute_id
