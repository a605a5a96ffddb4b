"""HTTP: a campaign's books for its creator and for operators, as they are and as they were (DOMAIN M3)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.money import Money
from eventing.api_page import refusals
from eventing.refusal import Refusal
from eventing.runtime import Runtime
from eventing.tokens import Forbidden, Principal, Role, require
from payment import queries, queries_ledger
from payment.examples import LEDGER_EXAMPLE, POSTINGS_EXAMPLE
from payment.ledger import Account, Line, Phase
from payment.queries_ledger import Booked

PAGE_MAX: Final = 100
PAGE_DEFAULT: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LAST: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=0))


class NoSuchCampaign(Refusal):
    code: ClassVar[str] = "campaign-not-found"
    title: ClassVar[str] = "There is no such campaign"
    status: ClassVar[int] = 404


class CursorUnknown(Refusal):
    code: ClassVar[str] = "cursor-unknown"
    title: ClassVar[str] = "The list cannot go on from there"
    status: ClassVar[int] = 422


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class Amount(_Shown):
    """On one side of an account. Never negative: `side` says on which side it stands."""

    account: Account = Field(examples=["campaign_payable"])
    side: Literal["debit", "credit"] = Field(examples=["credit"])
    balance: Money

    @classmethod
    def of(cls, account: Account, minor: int, currency: str) -> "Amount":
        side: Literal["debit", "credit"] = "credit" if minor < 0 else "debit"
        return cls(account=account, side=side, balance=Money(amount=abs(minor), currency=currency))


class Ledger(_Shown):
    """A campaign's books, per account and currency."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [LEDGER_EXAMPLE]})

    campaign_id: UUID
    at: datetime = Field(description="The moment that they are of")
    accounts: tuple[Amount, ...]


class ShownPosting(_Shown):
    """One movement; its entries sum to zero."""

    posting_id: UUID
    booked_at: datetime
    event: str = Field(examples=["payment.PaymentCaptured.v1"])
    phase: Phase = Field(description="A hold is pending until one post or void ends it")
    pending_id: UUID | None = Field(description="The hold that this ends")
    pledge_id: UUID | None
    reference: str | None = Field(description="The provider's object; for operators")
    entries: tuple[Amount, ...]

    @classmethod
    def of(cls, booked: Booked, *, whole: bool) -> "ShownPosting":
        posting = booked.posting

        def shown(line: Line) -> Amount:
            return Amount.of(line.account, line.amount, line.currency)

        return cls(
            posting_id=posting.posting_id,
            booked_at=booked.at,
            event=posting.event,
            phase=posting.phase,
            pending_id=posting.pending_id,
            pledge_id=posting.pledge_id,
            reference=posting.reference if whole else None,
            entries=tuple(map(shown, posting.lines)),
        )


class PageLinks(_Shown):
    next: str | None = Field(description="The address of the next page; null on the last one")


class PostingPage(_Shown):
    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [POSTINGS_EXAMPLE]})

    items: tuple[ShownPosting, ...]
    links: PageLinks


Owner = Annotated[Principal, require(Role.CREATOR, Role.OPERATOR)]


def add_routes(routes: APIRouter, runtime: Runtime) -> None:
    async def check(campaign_id: UUID, principal: Principal) -> None:
        creator_id = await queries.creator_of(runtime.pool, campaign_id)
        if creator_id is None or (creator_id != principal.person_id and Role.OPERATOR not in principal.roles):
            raise NoSuchCampaign("It may not be launched yet.")

    @routes.get("/campaigns/{campaign_id}/ledger", responses=refusals(Forbidden, NoSuchCampaign))
    async def ledger(
        campaign_id: UUID,
        principal: Owner,
        at: Annotated[AwareDatetime | None, Query(description="RFC 3339; as the books were then. Default: now")] = None,
    ) -> Ledger:
        """A campaign's books, now or at any past moment."""
        await check(campaign_id, principal)
        async with runtime.pool.acquire() as connection:
            now = await runtime.clock.now(connection)
            moment = max(_EPOCH, min(at, now)) if at else now  # the first years have no time in UTC
            balances = await queries_ledger.balances_at(connection, campaign_id, moment)
        accounts = tuple(Amount.of(account, minor, currency) for currency, account, minor in balances)
        return Ledger(campaign_id=campaign_id, at=moment, accounts=accounts)

    @routes.get(
        "/campaigns/{campaign_id}/ledger/postings", responses=refusals(Forbidden, NoSuchCampaign, CursorUnknown)
    )
    async def postings(
        campaign_id: UUID,
        principal: Owner,
        cursor: Annotated[str | None, Query(max_length=64, description="As in `links.next`")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    ) -> PostingPage:
        """What was booked for a campaign, newest first."""
        await check(campaign_id, principal)
        found = await queries_ledger.newest(runtime.pool, campaign_id, _read(cursor), limit + 1)
        following = None
        if len(found) > limit:
            following = f"/campaigns/{campaign_id}/ledger/postings?cursor={_cursor(found[limit - 1])}&limit={limit}"
        whole = Role.OPERATOR in principal.roles
        items = tuple(ShownPosting.of(one, whole=whole) for one in found[:limit])
        return PostingPage(items=items, links=PageLinks(next=following))


def _cursor(last: Booked) -> str:
    """Opaque: time in microseconds and id of the last posting that was shown."""
    raw = ((last.at - _EPOCH) // _MICROSECOND).to_bytes(8, "big", signed=True) + last.posting.posting_id.bytes
    return urlsafe_b64encode(raw).decode()


def _read(cursor: str | None) -> tuple[datetime, UUID]:
    if cursor is None:
        return _LAST
    try:
        raw = urlsafe_b64decode(cursor)
        return _EPOCH + int.from_bytes(raw[:8], "big", signed=True) * _MICROSECOND, UUID(bytes=raw[8:])
    except (ValueError, OverflowError):
        raise CursorUnknown("Take it from the links of the page before.") from None
