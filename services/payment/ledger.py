"""The books (DOMAIN M3): every movement of money is a posting whose entries sum to zero.

| account | what it holds | grows on |
| --- | --- | --- |
| holds | reserved on backers' cards, not ours yet: the open pending postings | debit |
| hold_promises | the other side of `holds` | credit |
| provider_receivable | our balance at the provider | debit |
| campaign_payable | captured for the campaign, less the fees and the reserve taken from it at payouts | credit |
| provider_fees | fees that the provider kept and the campaign has not borne yet | debit |
| platform_fees | what the platform earned | credit |
| refunds | given back to backers | debit |
| disputes | taken back by backers' banks and not given back, with the provider's fee for it | debit |
| reserve | kept back from the main payout for disputes to come | credit |
| payouts | sent to creators | debit |
| creator_debts | paid for the creator's other campaigns; a credit: paid by them | debit |

A debit is positive, a credit negative. A hold has two phases: a *pending* posting reserves it, and one *post* (a
capture, which ends all of it) or one *void* resolves it, once. A charge is both at once (M5). A saved card holds
nothing. The database refuses everything else, whoever writes (`migrations/0008_two_phases.sql`).

Of each campaign, per currency, at any moment: holds = -hold_promises = the open pendings, and
provider_receivable = platform_fees + reserve + creator_debts + what the creator still gets, which is
-(campaign_payable + provider_fees + refunds + disputes + payouts + creator_debts); less than zero is a debt.
creator_debts is zero per creator, all campaigns together.

A posting's id is derived from its fact and the provider's object, so that no fact is booked twice, whoever tells it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, TypeAlias
from uuid import UUID

from contracts.event import Event
from contracts.money import Money
from contracts.payment import (
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentFact,
    PaymentHoldRenewed,
    PaymentRefunded,
    PaymentVoided,
    PayoutSent,
)
from eventing.tables import Table
from eventing.work import Work
from payment.domain_payout_events import DebtRecovered, ReserveReleased


class Account(StrEnum):
    HOLDS = "holds"
    HOLD_PROMISES = "hold_promises"
    PROVIDER_RECEIVABLE = "provider_receivable"
    CAMPAIGN_PAYABLE = "campaign_payable"
    PROVIDER_FEES = "provider_fees"
    PLATFORM_FEES = "platform_fees"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    RESERVE = "reserve"
    PAYOUTS = "payouts"
    CREATOR_DEBTS = "creator_debts"


class Phase(StrEnum):
    PLAIN = "plain"
    PENDING = "pending"  # a hold
    POST = "post"  # it was captured, and ends
    VOID = "void"  # it ends


@dataclass(frozen=True)
class Line:
    """Debits are positive."""

    campaign_id: UUID
    account: Account
    amount: int
    currency: str


@dataclass(frozen=True)
class Posting:
    """One movement. `reference` is the provider's object that it is about."""

    posting_id: UUID
    campaign_id: UUID
    pledge_id: UUID | None
    event: str
    phase: Phase
    pending_id: UUID | None
    reference: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Pending:
    posting_id: UUID
    money: Money


Holds: TypeAlias = Mapping[str, Pending]  # the open ones of a pledge, by the provider's id
NO_HOLDS: Final[Holds] = {}
SETUP: Final = "seti_"  # A card that is saved at the provider, and nothing held.

_Booked = PaymentFact | PayoutSent | ReserveReleased | DebtRecovered
_HELD = PaymentAuthorized | PaymentChangeAuthorized | PaymentHoldRenewed
_LET_GO = PaymentVoided | PaymentCaptureFailed | PaymentAtRisk
_RESOLVES = (PaymentCaptured, PaymentVoided, PaymentCaptureFailed, PaymentAtRisk)
# Whatever may book something; an auditor reads these again.
FACTS: Final[tuple[type[Event], ...]] = (
    PaymentAuthorized,
    PaymentChangeAuthorized,
    PaymentHoldRenewed,
    PaymentCaptured,
    PaymentVoided,
    PaymentCaptureFailed,
    PaymentAtRisk,
    PaymentRefunded,
    PaymentDisputeOpened,
    PaymentDisputeClosed,
    PayoutSent,
    ReserveReleased,
    DebtRecovered,
)


# -- what a fact books: pure -----------------------------------------------------------------------------------------


def posting_id_of(event_type: str, reference: str) -> UUID:
    """The id of a fact's posting. The migration derives the same one in SQL."""
    return UUID(bytes=sha256(f"{event_type}:{reference}".encode()).digest()[:16])


def pending_id_of(event_type: str, reference: str) -> UUID:
    """The id of the hold's posting of a charge, which is booked beside its capture."""
    return posting_id_of(f"hold:{event_type}", reference)


def postings_of(event: Event, holds: Holds) -> tuple[Posting, ...]:
    """What a fact books, where `holds` are the pledge's open pendings before it; nothing if it moves no money."""
    match event:
        case PaymentAuthorized() | PaymentChangeAuthorized() | PaymentHoldRenewed():
            return () if event.hold_id.startswith(SETUP) else (_pending(event, event.hold_id),)
        case PaymentCaptured():
            return _captured(event, holds.get(event.hold_id))
        case PaymentVoided() | PaymentCaptureFailed():
            return _let_go(event, holds.get(event.hold_id))
        case PaymentAtRisk():
            return _let_go(event, holds.get(event.hold_id)) if event.lost else ()
        case _:
            lines = _plain(event)
            return (_posting(event, reference_of(event), lines),) if lines else ()


def after(holds: Holds, postings: Iterable[Posting]) -> Holds:
    """The open pendings after these postings."""
    for posting in postings:
        if posting.phase is Phase.PENDING:
            held = next(line for line in posting.lines if line.account is Account.HOLDS)
            pending = Pending(posting.posting_id, Money(amount=held.amount, currency=held.currency))
            holds = {**holds, posting.reference: pending}
        elif posting.pending_id is not None:
            holds = {hold: pending for hold, pending in holds.items() if pending.posting_id != posting.pending_id}
    return holds


def reference_of(event: Event) -> str:
    """The provider's object that a fact about money is about, or the campaign; its postings are named after it."""
    match event:
        case PaymentRefunded():
            return event.refund_id or event.hold_id
        case PaymentDisputeOpened() | PaymentDisputeClosed():
            return event.dispute_id
        case PayoutSent():
            return event.transfer_id or f"{event.campaign_id}:{event.number}"  # one of nothing moves nothing
        case ReserveReleased():
            return str(event.campaign_id)
        case DebtRecovered():
            return f"{event.campaign_id}:{event.number}"
        case _:
            return str(getattr(event, "hold_id", ""))


def _pending(event: _HELD | PaymentCaptured, reference: str) -> Posting:
    return _posting(event, reference, _moved(event, Account.HOLDS, Account.HOLD_PROMISES, event.amount), Phase.PENDING)


def _captured(event: PaymentCaptured, pending: Pending | None) -> tuple[Posting, ...]:
    """What is not captured of a hold is released with it. No hold: hold and capture at once."""
    if pending is None:
        hold = _pending(event, event.hold_id)
        return (hold, *_captured(event, Pending(hold.posting_id, event.amount)))
    lines = (
        *_moved(event, Account.HOLD_PROMISES, Account.HOLDS, pending.money),
        *_moved(event, Account.PROVIDER_RECEIVABLE, Account.CAMPAIGN_PAYABLE, event.amount),
        *_moved(event, Account.PROVIDER_FEES, Account.PROVIDER_RECEIVABLE, event.provider_fee),
    )
    return (_posting(event, event.hold_id, lines, Phase.POST, pending),)


def _let_go(event: _LET_GO, pending: Pending | None) -> tuple[Posting, ...]:
    if pending is None:
        return ()
    lines = _moved(event, Account.HOLD_PROMISES, Account.HOLDS, pending.money)
    return (_posting(event, event.hold_id, lines, Phase.VOID, pending),)


def _plain(event: Event) -> tuple[Line, ...]:  # noqa: PLR0911 - one a kind of fact
    """What a payout settles of refunds, disputes, reserve and debts was booked when it happened."""
    match event:
        case PaymentRefunded():
            return _moved(event, Account.REFUNDS, Account.PROVIDER_RECEIVABLE, event.amount)
        case PaymentDisputeOpened():
            return _moved(event, Account.DISPUTES, Account.PROVIDER_RECEIVABLE, event.amount + event.fee)
        case PaymentDisputeClosed():
            back = event.amount + event.fee_returned if event.won else event.fee_returned
            return _moved(event, Account.PROVIDER_RECEIVABLE, Account.DISPUTES, back)
        case PayoutSent():
            return (
                *_moved(event, Account.CAMPAIGN_PAYABLE, Account.PLATFORM_FEES, event.platform_fee),
                *_moved(event, Account.CAMPAIGN_PAYABLE, Account.PROVIDER_FEES, event.provider_fee),
                *_moved(event, Account.CAMPAIGN_PAYABLE, Account.RESERVE, event.reserve),
                *_moved(event, Account.PAYOUTS, Account.PROVIDER_RECEIVABLE, event.amount),
            )
        case ReserveReleased():
            return _moved(event, Account.RESERVE, Account.CAMPAIGN_PAYABLE, event.amount)
        case DebtRecovered():  # in the books of two campaigns: the one pays what the creator owes from the other
            minor, currency = event.amount.amount, event.amount.currency
            return (
                Line(event.campaign_id, Account.CREATOR_DEBTS, minor, currency),
                Line(event.debtor_id, Account.CREATOR_DEBTS, -minor, currency),
            )
        case _:
            return ()


def _moved(event: _Booked, debit: Account, credit: Account, money: Money | None) -> tuple[Line, ...]:
    if money is None or not money.amount:
        return ()
    return (
        Line(event.campaign_id, debit, money.amount, money.currency),
        Line(event.campaign_id, credit, -money.amount, money.currency),
    )


def _posting(
    event: Event,
    reference: str,
    lines: tuple[Line, ...],
    phase: Phase = Phase.PLAIN,
    pending: Pending | None = None,
) -> Posting:
    assert isinstance(event, _Booked)
    beside = phase is Phase.PENDING and isinstance(event, PaymentCaptured)
    return Posting(
        posting_id=(pending_id_of if beside else posting_id_of)(event.type, reference),
        campaign_id=event.campaign_id,
        pledge_id=event.pledge_id if isinstance(event, PaymentFact) else None,
        event=event.type,
        phase=phase,
        pending_id=pending.posting_id if pending else None,
        reference=reference,
        lines=lines,
    )


# -- the tables ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PostingRow:
    posting_id: UUID
    campaign_id: UUID
    pledge_id: UUID | None
    event: str
    booked_at: datetime
    phase: Phase
    pending_id: UUID | None
    reference: str


@dataclass(frozen=True)
class EntryRow:
    posting_id: UUID
    line: int
    campaign_id: UUID
    account: Account
    amount: int
    currency: str
    booked_at: datetime


POSTINGS = Table("posting", PostingRow, ("posting_id",), lock=False)
ENTRIES = Table("entry", EntryRow, ("posting_id", "line"), lock=False)
TABLES = (POSTINGS, ENTRIES)


def book(work: Work, event: Event) -> None:
    """Write what a fact books in the transaction that records it; the fact stands in its stream already."""
    for posting in postings_of(event, _holds_before(work, event) if isinstance(event, _RESOLVES) else NO_HOLDS):
        work.insert(
            POSTINGS,
            PostingRow(
                posting.posting_id,
                posting.campaign_id,
                posting.pledge_id,
                posting.event,
                work.now,
                posting.phase,
                posting.pending_id,
                posting.reference,
            ),
        )
        for number, line in enumerate(posting.lines, start=1):
            row = EntryRow(
                posting.posting_id, number, line.campaign_id, line.account, line.amount, line.currency, work.now
            )
            work.insert(ENTRIES, row)


def _holds_before(work: Work, event: Event) -> Holds:
    """Folded from the pledge's own facts, as the audit does. Handlers name `("payment", pledge)` among their needs."""
    holds = NO_HOLDS
    for recorded in work.history("payment", event.subject):
        if recorded.event is event:
            break
        holds = after(holds, postings_of(recorded.event, holds))
    return holds
