"""Cases for a person to look at (DOMAIN Y6): a difference opens one; money is never moved to mend it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from contracts.ids import new_id
from eventing.tables import Table
from eventing.work import Work


class CaseKind(StrEnum):
    MISMATCH = "mismatch"  # the provider's answer is about something else than what was asked
    STOPPED = "stopped"  # a payment or payout that cannot go on by itself
    UNKNOWN_OPERATION = "unknown_operation"  # still unknown after hours of reading back
    DRIFT = "drift"  # the ledger and the provider's movements differ
    REFUND_FAILED = "refund_failed"  # a refund that was given came back to us
    FOREIGN_EVENT = "foreign_event"  # the provider told us of something that is not ours
    WEBHOOK = "webhook"  # an event of the provider's that could not be worked for hours


class CaseState(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class CaseRow:
    """`about` names what differs, such as an operation or a provider's object; one case per kind and about.

    `resolved_by` is None for a case that resolved itself.
    """

    case_id: UUID
    kind: CaseKind
    about: str
    summary: str
    opened_at: datetime
    state: CaseState = CaseState.OPEN
    campaign_id: UUID | None = None
    pledge_id: UUID | None = None
    operation_id: UUID | None = None
    resolved_at: datetime | None = None
    resolved_by: UUID | None = None


@dataclass(frozen=True)
class CommentRow:
    """`author` is None for what the platform says by itself."""

    comment_id: UUID
    case_id: UUID
    author: UUID | None
    at: datetime
    text: str


CASES: Final = Table("payment_case", CaseRow, ("case_id",))
COMMENTS: Final = Table("payment_case_comment", CommentRow, ("comment_id",), lock=False)
TABLES: Final = (CASES, COMMENTS)
_CASES: Final = UUID("5c0d6a52-8f3e-5d1b-b1a4-07e6c2f94a3d")  # The namespace of case ids; any constant.


def case_id_of(kind: CaseKind, about: str) -> UUID:
    return uuid5(_CASES, f"{kind}:{about}")


def open_case(
    work: Work,
    kind: CaseKind,
    about: str,
    summary: str,
    *,
    campaign_id: UUID | None = None,
    pledge_id: UUID | None = None,
    operation_id: UUID | None = None,
) -> bool:
    """Open a case, or open it again. One that is open already stays as it is: then the answer is False."""
    case_id = case_id_of(kind, about)
    known = work.get(CASES, case_id)
    if known is None:
        row = CaseRow(
            case_id,
            kind,
            about,
            summary,
            work.now,
            campaign_id=campaign_id,
            pledge_id=pledge_id,
            operation_id=operation_id,
        )
        work.put(CASES, row)
    elif known.state is CaseState.RESOLVED:
        again = replace(known, state=CaseState.OPEN, summary=summary, opened_at=work.now)
        work.put(CASES, replace(again, resolved_at=None, resolved_by=None))
    else:
        return False
    return True


def close_case(work: Work, kind: CaseKind, about: str, text: str) -> bool:
    """What the case was about has come right by itself: resolve it and say why. False if none is open."""
    known = work.get(CASES, case_id_of(kind, about))
    if known is None or known.state is CaseState.RESOLVED:
        return False
    comment(work, known.case_id, None, text)
    resolve(work, known, None)
    return True


def comment(work: Work, case_id: UUID, author: UUID | None, text: str) -> CommentRow:
    row = CommentRow(new_id(), case_id, author, work.now, text)
    work.insert(COMMENTS, row)
    return row


def resolve(work: Work, case: CaseRow, person_id: UUID | None) -> None:
    work.put(CASES, replace(case, state=CaseState.RESOLVED, resolved_at=work.now, resolved_by=person_id))
