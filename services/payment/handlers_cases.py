"""What becomes of cases inside the group's transaction: opened and closed by jobs, commented and resolved by people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from contracts.ids import PledgeId
from eventing.definition import Answer, Handler
from eventing.refusal import Refusal
from eventing.work import Need, Work
from payment import cases, domain, handlers_payout
from payment import handlers_steps as steps
from payment.cases import CASES, CaseKind, CaseRow, CaseState, case_id_of
from payment.domain_events import Kind
from payment.tables import OPERATIONS


class NoSuchCase(Refusal):
    code: ClassVar[str] = "case-not-found"
    title: ClassVar[str] = "There is no such case"
    status: ClassVar[int] = 404


class CaseResolved(Refusal):
    code: ClassVar[str] = "case-resolved"
    title: ClassVar[str] = "This case is resolved already"


class NotResumable(Refusal):
    code: ClassVar[str] = "not-resumable"
    title: ClassVar[str] = "This case has no payment that may go on"


# Done at most once at the provider, however often they are asked for. What takes money anew, or gives it back, may have
# had an effect that nobody can explain yet, so that asking again could do it twice (DOMAIN Y2). A payout goes on as the
# operation that stopped.
RESUMABLE: Final = frozenset((Kind.CAPTURE, Kind.VOID, Kind.FOLLOW))


@dataclass(frozen=True)
class OpenCase:
    """A job has found something; see `cases.open_case`."""

    kind: CaseKind
    about: str
    summary: str
    campaign_id: UUID | None = None
    pledge_id: UUID | None = None
    operation_id: UUID | None = None


@dataclass(frozen=True)
class CloseCase:
    """A job has found that it came right by itself."""

    kind: CaseKind
    about: str
    text: str


@dataclass(frozen=True)
class CommentCase:
    case_id: UUID
    person_id: UUID
    text: str


@dataclass(frozen=True)
class ResolveCase:
    case_id: UUID
    person_id: UUID
    text: str  # why; kept as a comment, if it is not empty
    resume: bool = False  # let the payment that stopped go on


def open_case(work: Work, command: OpenCase) -> Answer:
    opened = cases.open_case(
        work,
        command.kind,
        command.about,
        command.summary,
        campaign_id=command.campaign_id,
        pledge_id=command.pledge_id,
        operation_id=command.operation_id,
    )
    return {"opened": opened}


def close_case(work: Work, command: CloseCase) -> Answer:
    return {"closed": cases.close_case(work, command.kind, command.about, command.text)}


def comment_case(work: Work, command: CommentCase) -> Answer:
    case = _case(work, command.case_id)
    comment = cases.comment(work, case.case_id, command.person_id, command.text)
    return {"comment_id": str(comment.comment_id), "links": {"case": address(case.case_id)}}


def resolve_case(work: Work, command: ResolveCase) -> Answer:
    """Who resolves it, and when, is kept. Nothing else changes (DOMAIN Y6), unless they say that it may go on."""
    case = _case(work, command.case_id)
    if case.state is CaseState.RESOLVED:
        raise CaseResolved("Somebody was faster, or it came right by itself: its comments say which.")
    if command.text:
        cases.comment(work, case.case_id, command.person_id, command.text)
    cases.resolve(work, case, command.person_id)
    if command.resume:
        _resume(work, case)
    return {"case_id": str(case.case_id), "state": CaseState.RESOLVED, "links": {"self": address(case.case_id)}}


def _resume(work: Work, case: CaseRow) -> None:
    """What stopped is taken up again, a step as a new attempt. If it still does not fit, a case opens again."""
    row = work.get(OPERATIONS, case.operation_id) if case.operation_id else None
    between = row is None and case.kind is CaseKind.STOPPED and case.pledge_id is None  # a payout's attempts
    if between or (row is not None and row.kind is Kind.PAYOUT):
        _resume_payout(work, case)
        return
    if row is None or case.pledge_id is None or row.kind not in RESUMABLE:
        raise NotResumable("Only a payout, a capture, a release or a look may go on: those cannot happen twice.")
    payment = steps.payment_of(work, case.pledge_id)
    if not payment.stopped:
        raise NotResumable("Its payment has not stopped, or goes on already.")
    steps.wish(work, case.pledge_id, domain.lift_stop(payment, PledgeId(case.pledge_id)))


def _resume_payout(work: Work, case: CaseRow) -> None:
    if case.campaign_id is None or not handlers_payout.resume(work, case.campaign_id):
        raise NotResumable("Its payout has not stopped, or goes on already.")


def address(case_id: UUID) -> str:
    return f"/operations/cases/{case_id}"


def _case(work: Work, case_id: UUID) -> CaseRow:
    case = work.get(CASES, case_id)
    if case is None:
        raise NoSuchCase("The list of cases has those that there are.")
    return case


def _found(command: OpenCase | CloseCase) -> Iterable[Need]:
    return ((CASES, (case_id_of(command.kind, command.about),)),)


def _named(command: CommentCase | ResolveCase) -> Iterable[Need]:
    return ((CASES, (command.case_id,)),)


COMMANDS: Final[Mapping[type[Any], Handler]] = {
    OpenCase: Handler(open_case, _found),
    CloseCase: Handler(close_case, _found),
    CommentCase: Handler(comment_case, _named),
    ResolveCase: Handler(resolve_case, _named),
}
