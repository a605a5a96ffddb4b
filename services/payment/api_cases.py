"""Cases over HTTP, for operators: seen, commented, resolved (DOMAIN Y6)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.money import Money
from eventing.api_page import refusals
from eventing.http import IdempotencyKey, command_fingerprint
from eventing.idempotency import Idempotency
from eventing.runtime import Runtime
from eventing.tokens import Forbidden, Principal, Role, require
from payment import queries_cases
from payment.cases import CaseKind, CaseRow, CaseState
from payment.domain_events import Kind
from payment.examples import CASE, CASE_EXAMPLE, COMMENT, WHOLE_CASE_EXAMPLE
from payment.handlers_cases import CaseResolved, CommentCase, NoSuchCase, NotResumable, ResolveCase, address
from payment.queries_cases import Cursor, CursorUnknown, Whole
from payment.tables import OperationRow, State

LIST_DEFAULT: Final = 50
LIST_MAX: Final = 200
CURSOR_MAX: Final = 500
TEXT_MAX: Final = 2_000


def _example(*, extra: Any = None, **fields: Any) -> ConfigDict:
    return ConfigDict(frozen=True, extra=extra, json_schema_extra={"examples": [fields]})


class CaseOut(BaseModel):
    """`about` names what differs; `resolved_by` is null for a case that came right by itself."""

    case_id: UUID
    kind: CaseKind
    about: str
    summary: str
    state: CaseState
    opened_at: datetime
    campaign_id: UUID | None
    pledge_id: UUID | None
    operation_id: UUID | None
    resolved_at: datetime | None
    resolved_by: UUID | None
    links: dict[str, str]


class CaseList(BaseModel):
    """`next` is the address of the following page, null on the last one."""

    model_config = _example(items=[CASE_EXAMPLE], next=None)

    items: list[CaseOut]
    next: str | None


class CommentOut(BaseModel):
    """`author` is null for what the platform says by itself."""

    comment_id: UUID
    author: UUID | None
    at: datetime
    text: str


class OperationOut(BaseModel):
    """What was asked of the provider; `reference` is the provider's object."""

    operation_id: UUID
    kind: Kind
    attempt: int
    amount: Money
    state: State
    outcome: str
    sends: int
    reference: str | None
    created_at: datetime
    decided_at: datetime | None


class WholeCase(CaseOut):
    model_config = _example(**WHOLE_CASE_EXAMPLE)

    comments: list[CommentOut]
    operation: OperationOut | None


class CommentBody(BaseModel):
    model_config = _example(extra="forbid", text="The bank says that the card was stolen.")

    text: str = Field(min_length=1, max_length=TEXT_MAX, description="No names, addresses or card data")


class ResolveBody(BaseModel):
    model_config = _example(extra="forbid", text="Refunded by hand, re_3.")

    text: str = Field("", max_length=TEXT_MAX, description="Why; kept as a comment. No names, addresses or card data")
    resume: bool = Field(default=False, description="Let the payment that stopped go on: its step is asked for again")


class CommentAnswer(BaseModel):
    model_config = _example(comment_id=COMMENT, links={"case": f"/operations/cases/{CASE}"})

    comment_id: UUID
    links: dict[str, str]


class ResolveAnswer(BaseModel):
    model_config = _example(case_id=CASE, state="resolved", links={"self": f"/operations/cases/{CASE}"})

    case_id: UUID
    state: CaseState
    links: dict[str, str]


@dataclass(frozen=True)
class OperatorCommand:
    """An operator who sends a command, under which key and to which address (DOMAIN P10)."""

    person_id: UUID
    key: str
    method: str
    path: str

    def idempotency(self, body: BaseModel) -> Idempotency:
        return Idempotency(self.person_id, self.key, command_fingerprint(self.method, self.path, body))


async def _sender(
    operator: Annotated[Principal, require(Role.OPERATOR)], key: IdempotencyKey, request: Request
) -> OperatorCommand:
    return OperatorCommand(operator.person_id, key, request.method, request.url.path)


Sender = Annotated[OperatorCommand, Depends(_sender)]


def add_cases(routes: APIRouter, runtime: Runtime) -> None:
    _add_reads(routes, runtime)
    _add_commands(routes, runtime)


def _add_reads(routes: APIRouter, runtime: Runtime) -> None:
    @routes.get(
        "/operations/cases",
        dependencies=[require(Role.OPERATOR)],
        summary="What a person has to look at",
        responses=refusals(Forbidden, CursorUnknown),
    )
    async def list_cases(
        state: CaseState | None = None,
        kind: CaseKind | None = None,
        cursor: Annotated[str | None, Query(max_length=CURSOR_MAX, description="As given in `next`")] = None,
        limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = LIST_DEFAULT,
    ) -> CaseList:
        """The newest first. A case opens once for each thing that differs, and opens again if it comes again."""
        after = None if cursor is None else Cursor.read(cursor)
        found, following = await queries_cases.listed(runtime.pool, state=state, kind=kind, after=after, limit=limit)
        query = {"state": state, "kind": kind, "cursor": following, "limit": limit}
        address_of_next = f"/operations/cases?{urlencode({name: value for name, value in query.items() if value})}"
        return CaseList(items=[shown(case) for case in found], next=address_of_next if following else None)

    @routes.get(
        "/operations/cases/{case_id}",
        dependencies=[require(Role.OPERATOR)],
        summary="A case, with what was said of it and the operation that it is about",
        responses=refusals(Forbidden, NoSuchCase),
    )
    async def show_case(case_id: UUID) -> WholeCase:
        found = await queries_cases.whole(runtime.pool, case_id)
        if found is None:
            raise NoSuchCase("The list of cases has those that there are.")
        return shown_whole(found)


def _add_commands(routes: APIRouter, runtime: Runtime) -> None:
    @routes.post(
        "/operations/cases/{case_id}/comments",
        status_code=201,
        response_model=CommentAnswer,
        summary="Say something about a case",
        responses=refusals(Forbidden, NoSuchCase),
    )
    async def comment_case(case_id: UUID, body: CommentBody, sender: Sender, response: Response) -> dict[str, Any]:
        """Who said it and when is kept. A resolved case takes comments as well."""
        command = CommentCase(case_id, sender.person_id, body.text)
        answer = await runtime.commit.execute(command, idempotency=sender.idempotency(body))
        response.headers["Location"] = answer["links"]["case"]
        return dict(answer)

    @routes.post(
        "/operations/cases/{case_id}/resolve",
        response_model=ResolveAnswer,
        summary="Resolve a case",
        responses=refusals(Forbidden, NoSuchCase, CaseResolved, NotResumable),
    )
    async def resolve_case(case_id: UUID, body: ResolveBody, sender: Sender) -> dict[str, Any]:
        """Nothing but the case changes: no money is moved to mend a difference (DOMAIN Y6).

        With `resume` a payment that stopped takes its step again: a capture, a release, or a look at the payment, which
        the provider does at most once. A payout that stopped goes on as the same transfer, looked for first. Anything
        else is refused, because it could happen twice.
        """
        command = ResolveCase(case_id, sender.person_id, body.text, resume=body.resume)
        return dict(await runtime.commit.execute(command, idempotency=sender.idempotency(body)))


def shown(case: CaseRow) -> CaseOut:
    return CaseOut.model_validate({**vars(case), "links": {"self": address(case.case_id)}})


def shown_whole(found: Whole) -> WholeCase:
    return WholeCase(
        **shown(found.case).model_dump(),
        comments=[CommentOut.model_validate(one, from_attributes=True) for one in found.comments],
        operation=_operation(found.operation) if found.operation else None,
    )


def _operation(row: OperationRow) -> OperationOut:
    amount = Money(amount=row.amount, currency=row.currency)
    return OperationOut.model_validate({**vars(row), "amount": amount})
