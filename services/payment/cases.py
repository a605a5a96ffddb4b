"""Cases for a person to look at (DOMAIN Y6): a difference opens one; money is never moved to mend it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from eventing.tables import Table
from eventing.work import Work


class CaseKind(StrEnum):
    MISMATCH = "mismatch"  # the provider's answer is about something else than what was asked
    STOPPED = "stopped"  # a payment or payout that cannot go on by itself
    UNKNOWN_OPERATION = "unknown_operation"  # still unknown after hours of reading back
    DRIFT = "drift"  # the ledger and the provider's movements differ
    REFUND_FAILED = "refund_failed"  # a refund that was given came back to us
    FOREIGN_EVENT = "foreign_event"  # the provider told us of something that is not ours


class CaseState(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class CaseRow:
    """`about` names what differs, such as an operation or a provider's object; one case per kind and about."""

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


CASES: Final = Table("payment_case", CaseRow, ("case_id",))
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
) -> None:
    """Open a case, or open it again. One that is open already stays as it is."""
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
