"""The books (DOMAIN M3): every movement of money is a posting whose entries sum to zero per currency.

| account | what it holds | grows on |
| --- | --- | --- |
| holds | reserved on backers' cards, not ours yet | debit |
| hold_promises | the other side of `holds` | credit |
| provider_receivable | our balance at the provider | debit |
| campaign_payable | captured for the campaign, less the fees taken from it at the payout | credit |
| provider_fees | fees that the provider kept and the campaign has not borne yet | debit |
| platform_fees | what the platform earned | credit |
| refunds | given back to backers | debit |
| disputes | taken back by backers' banks and not given back, with the provider's fee for it | debit |
| reserve | kept back from the main payout for disputes to come | credit |
| payouts | sent to creators | debit |
| creator_debts | paid for the creator's other campaigns; a credit: paid by them. Zero per creator | debit |

A debit is positive, a credit negative. What a campaign's creator still gets is what `campaign_payable`,
`provider_fees`, `refunds`, `disputes`, `payouts` and `creator_debts` sum to, less the platform's fee: right after a
payout it is zero, and a debit then is what the creator owes.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.event import Event
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentFact,
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


@dataclass(frozen=True)
class PostingRow:
    """One movement. Its id is the operation's, so that no operation is booked twice."""

    posting_id: UUID
    campaign_id: UUID
    pledge_id: UUID | None
    event: str
    booked_at: datetime


@dataclass(frozen=True)
class EntryRow:
    posting_id: UUID
    line: int
    campaign_id: UUID
    account: Account
    amount: int
    currency: str


POSTINGS = Table("posting", PostingRow, ("posting_id",), lock=False)
ENTRIES = Table("entry", EntryRow, ("posting_id", "line"), lock=False)
TABLES = (POSTINGS, ENTRIES)

Lines = tuple[tuple[Account, int], ...]


def lines_of(event: Event, held: int) -> Lines:  # noqa: PLR0911 - one a kind of fact
    """The entries of a fact, in minor units of its currency. `held`: what its current hold was before it."""
    match event:
        case PaymentAuthorized() | PaymentChangeAuthorized():
            return _moved(Account.HOLDS, Account.HOLD_PROMISES, event.amount.amount)
        case PaymentCaptured():
            amount, fee = event.amount.amount, event.provider_fee.amount
            hold = _moved(Account.HOLD_PROMISES, Account.HOLDS, held)
            if not held:  # a charge is a hold and its capture at once (M5)
                hold = _moved(Account.HOLDS, Account.HOLD_PROMISES, amount)
                hold += _moved(Account.HOLD_PROMISES, Account.HOLDS, amount)
            taken = _moved(Account.PROVIDER_RECEIVABLE, Account.CAMPAIGN_PAYABLE, amount)
            return hold + taken + _moved(Account.PROVIDER_FEES, Account.PROVIDER_RECEIVABLE, fee)
        case PaymentVoided():  # of a hold that need not be the current one
            return _moved(Account.HOLD_PROMISES, Account.HOLDS, event.amount.amount)
        case PaymentCaptureFailed():
            return _moved(Account.HOLD_PROMISES, Account.HOLDS, held)
        case PaymentRefunded():
            return _moved(Account.REFUNDS, Account.PROVIDER_RECEIVABLE, event.amount.amount)
        case PaymentDisputeOpened() | PaymentDisputeClosed():
            return _disputed(event)
        case PayoutSent() | ReserveReleased():
            return _paid_out(event)
        case _:
            return ()


def _disputed(event: PaymentDisputeOpened | PaymentDisputeClosed) -> Lines:
    """A lost dispute stays as it was booked when it opened."""
    if isinstance(event, PaymentDisputeOpened):
        return _moved(Account.DISPUTES, Account.PROVIDER_RECEIVABLE, event.amount.amount + event.fee.amount)
    back = event.amount.amount + event.fee_returned.amount if event.won else 0
    return _moved(Account.PROVIDER_RECEIVABLE, Account.DISPUTES, back)


def _paid_out(event: PayoutSent | ReserveReleased) -> Lines:
    if isinstance(event, ReserveReleased):
        return _moved(Account.RESERVE, Account.CAMPAIGN_PAYABLE, event.amount.amount)
    return (
        _moved(Account.CAMPAIGN_PAYABLE, Account.PLATFORM_FEES, event.platform_fee.amount)
        + _moved(Account.CAMPAIGN_PAYABLE, Account.PROVIDER_FEES, event.provider_fee.amount)
        + _moved(Account.CAMPAIGN_PAYABLE, Account.RESERVE, event.reserve.amount if event.reserve else 0)
        + _moved(Account.PAYOUTS, Account.PROVIDER_RECEIVABLE, event.amount.amount)
    )


def _moved(debit: Account, credit: Account, amount: int) -> Lines:
    return ((debit, amount), (credit, -amount)) if amount else ()


def book(work: Work, operation_id: UUID, event: Event, held: int) -> None:
    """Write a fact's posting in the transaction that records the fact. One without lines moves no money."""
    lines = lines_of(event, held)
    if not lines:
        return
    assert isinstance(event, PaymentFact | PayoutSent | ReserveReleased)
    pledge_id = event.pledge_id if isinstance(event, PaymentFact) else None
    work.insert(POSTINGS, PostingRow(operation_id, event.campaign_id, pledge_id, event.type, work.now))
    for number, (account, amount) in enumerate(lines, start=1):
        row = EntryRow(operation_id, number, event.campaign_id, account, amount, event.amount.currency)
        work.insert(ENTRIES, row)


def book_recovery(work: Work, posting_id: UUID, event: DebtRecovered) -> None:
    """One posting in the books of two campaigns: the one pays what the creator owes from the other."""
    work.insert(POSTINGS, PostingRow(posting_id, event.campaign_id, None, event.type, work.now))
    minor, currency = event.amount.amount, event.amount.currency
    for line, (campaign_id, amount) in enumerate(((event.campaign_id, minor), (event.debtor_id, -minor)), start=1):
        work.insert(ENTRIES, EntryRow(posting_id, line, campaign_id, Account.CREATOR_DEBTS, amount, currency))
