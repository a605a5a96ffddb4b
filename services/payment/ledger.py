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
| payouts | sent to creators | debit |

A debit is positive, a credit negative. A campaign's captured sum is `campaign_payable` and `refunds` together, up to
its payout; after it, `campaign_payable + refunds + payouts` is zero.
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
    PaymentFact,
    PaymentRefunded,
    PaymentVoided,
    PayoutSent,
)
from eventing.tables import Table
from eventing.work import Work


class Account(StrEnum):
    HOLDS = "holds"
    HOLD_PROMISES = "hold_promises"
    PROVIDER_RECEIVABLE = "provider_receivable"
    CAMPAIGN_PAYABLE = "campaign_payable"
    PROVIDER_FEES = "provider_fees"
    PLATFORM_FEES = "platform_fees"
    REFUNDS = "refunds"
    PAYOUTS = "payouts"


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
        case PayoutSent():
            return (
                _moved(Account.CAMPAIGN_PAYABLE, Account.PLATFORM_FEES, event.platform_fee.amount)
                + _moved(Account.CAMPAIGN_PAYABLE, Account.PROVIDER_FEES, event.provider_fee.amount)
                + _moved(Account.PAYOUTS, Account.PROVIDER_RECEIVABLE, event.amount.amount)
            )
        case _:
            return ()


def _moved(debit: Account, credit: Account, amount: int) -> Lines:
    return ((debit, amount), (credit, -amount)) if amount else ()


def book(work: Work, operation_id: UUID, event: Event, held: int) -> None:
    """Write a fact's posting in the transaction that records the fact. One without lines moves no money."""
    lines = lines_of(event, held)
    if not lines:
        return
    assert isinstance(event, PaymentFact | PayoutSent)
    pledge_id = None if isinstance(event, PayoutSent) else event.pledge_id
    work.insert(POSTINGS, PostingRow(operation_id, event.campaign_id, pledge_id, event.type, work.now))
    for number, (account, amount) in enumerate(lines, start=1):
        row = EntryRow(operation_id, number, event.campaign_id, account, amount, event.amount.currency)
        work.insert(ENTRIES, row)
