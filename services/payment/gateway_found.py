"""What is found at the provider without our having asked for it: refunds made in its dashboard, and disputes."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from contracts.money import Money


class RefundStatus(StrEnum):
    GIVEN = "given"  # the money has left the balance
    UNDECIDED = "undecided"
    FAILED = "failed"  # it came back, or never left


@dataclass(frozen=True)
class SeenRefund:
    """`operation_id` is of the operation of ours that made it; None: somebody else."""

    refund_id: str
    amount: Money
    status: RefundStatus
    operation_id: UUID | None = None
    failure: str = ""

    @property
    def given(self) -> bool:
        return self.status is RefundStatus.GIVEN


@dataclass(frozen=True)
class RefundsFound:
    """All refunds of a pledge's payment, oldest first."""

    pledge_id: UUID
    payment_id: str
    refunds: tuple[SeenRefund, ...]


class DisputeStatus(StrEnum):
    INQUIRY = "inquiry"  # the bank only asks: no money moves
    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True)
class SeenDispute:
    """`taken` and `returned` are what has moved by now without fees; None: nothing yet."""

    dispute_id: str
    pledge_id: UUID
    payment_id: str
    status: DisputeStatus
    reason: str  # the provider's word
    taken: Money | None
    fee: Money
    returned: Money | None
    fee_returned: Money
