"""What stands in a payment's stream beside the facts: the wishes as they came in, and the steps taken (DOMAIN Y1)."""

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PledgeId
from contracts.money import Money


class Kind(StrEnum):
    """What can be asked of the provider."""

    AUTHORIZE = "authorize"
    CHARGE = "charge"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    PAYOUT = "payout"  # about a campaign, see domain_payout


class _Private(Event):
    pledge_id: PledgeId

    @property
    def subject(self) -> UUID:
        return self.pledge_id


class PaymentOrdered(_Private, type="payment.PaymentOrdered.v1"):
    """A pledge was placed: hold its amount or take it."""

    campaign_id: CampaignId
    amount: Money
    payment_method: str
    strategy: PaymentStrategy


class CaptureOrdered(_Private, type="payment.CaptureOrdered.v1"):
    amount: Money


class ReleaseOrdered(_Private, type="payment.ReleaseOrdered.v1"):
    """Nothing of this pledge may stay held or taken: void what is held, refund what was taken."""

    reason: str


class ChangeOrdered(_Private, type="payment.ChangeOrdered.v1"):
    """A pledge is to be changed: take a hold for it beside the current one (DOMAIN P6)."""

    change_id: ChangeId
    amount: Money
    payment_method: str


class ChangeEnded(_Private, type="payment.ChangeEnded.v1"):
    """The pledge service has decided: the change's hold is the current one now, or is to be released."""

    change_id: ChangeId
    accepted: bool


class StepStarted(_Private, type="payment.StepStarted.v1"):
    """An operation was written down; from now on the provider may have seen it."""

    kind: Kind
    attempt: int = Field(ge=1, description="Counts the operations of this kind for this pledge")
    amount: Money
    change_id: ChangeId | None = Field(default=None, description="The change that a hold is taken for")
    hold_id: str = Field(default="", description="The hold that is voided")


class StepEnded(_Private, type="payment.StepEnded.v1"):
    """An operation ended without a fact: never sent, or proven to have had no effect."""

    reason: str


class StepStopped(_Private, type="payment.StepStopped.v1"):
    """The provider's answer does not fit: nothing more is done for this pledge until a person has looked."""

    reason: str


PRIVATE_EVENTS = (
    PaymentOrdered,
    CaptureOrdered,
    ReleaseOrdered,
    ChangeOrdered,
    ChangeEnded,
    StepStarted,
    StepEnded,
    StepStopped,
)
