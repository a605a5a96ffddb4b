"""What stands in a payment's stream beside the facts: the wishes as they came in, and the steps taken (DOMAIN Y1)."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId
from contracts.money import Money


class Kind(StrEnum):
    """What can be asked of the provider."""

    AUTHORIZE = "authorize"
    CHARGE = "charge"
    SAVE = "save"  # a card for a later charge
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    FOLLOW = "follow"  # look at what the provider has until it is decided: moves nothing
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
    backer_id: PersonId | None = None
    placed_at: datetime | None = None
    told_anew: bool = False  # to a restored database, which may have asked the provider before and forgotten it


class CaptureOrdered(_Private, type="payment.CaptureOrdered.v1"):
    amount: Money
    may_be_forgotten: bool = False  # or the hold that it is of: the pledge is older than a restore of the database


class ReleaseOrdered(_Private, type="payment.ReleaseOrdered.v1"):
    """Nothing of this pledge may stay held or taken: void what is held, refund what was taken."""

    reason: str


class RefundOrdered(_Private, type="payment.RefundOrdered.v1"):
    """A part or all of what was taken is to be given back (DOMAIN Y8)."""

    refund_id: UUID
    amount: Money
    reason: str


class RefundFailed(_Private, type="payment.RefundFailed.v1"):
    """The provider does not give it back; a person has a case."""

    refund_id: UUID
    reason: str


class RefundFound(_Private, type="payment.RefundFound.v1"):
    """The refund that is recorded next was made by nobody here, so it ends no step (DOMAIN Y8)."""

    refund_id: str = Field(description="The provider's id")


class RenewalDue(_Private, type="payment.RenewalDue.v1"):
    """The current hold is to be replaced by a new one before it lapses, or was lost (DOMAIN Y3, Y4)."""

    hold_id: str


class RenewalFailed(_Private, type="payment.RenewalFailed.v1"):
    """One more try that took no hold, while the pledge is at risk already."""

    reason: str
    hard: bool = Field(description="Never again with this card")


class HoldDoubted(_Private, type="payment.HoldDoubted.v1"):
    """Somebody says that the current hold has ended: look."""

    hold_id: str


class ActionEnded(_Private, type="payment.ActionEnded.v1"):
    """What waited for the backer at the bank was cancelled: no hold came of it."""

    hold_id: str


class ChangeOrdered(_Private, type="payment.ChangeOrdered.v1"):
    """A pledge is to be changed: take a hold for it beside the current one (DOMAIN P6)."""

    change_id: ChangeId
    amount: Money
    payment_method: str
    version: int = Field(default=0, description="Of the pledge: in which order changes were asked for")
    told_anew: bool = False  # as in PaymentOrdered


class ChangeEnded(_Private, type="payment.ChangeEnded.v1"):
    """The pledge service has decided: the change's hold is the current one now, or is to be released."""

    change_id: ChangeId
    accepted: bool


class StepStarted(_Private, type="payment.StepStarted.v1"):
    """An operation was written down; from now on the provider may have seen it."""

    kind: Kind
    attempt: int = Field(ge=1, description="Counts the operations of this kind for this pledge, or change of it")
    amount: Money
    change_id: ChangeId | None = Field(default=None, description="The change that a hold is taken for")
    hold_id: str = Field(default="", description="The hold that is voided, followed, or replaced by a new one")
    refund_id: UUID | None = Field(default=None, description="The refund that was ordered; None: all that is left")


class StepEnded(_Private, type="payment.StepEnded.v1"):
    """An operation ended without a fact: never sent, or proven to have had no effect."""

    reason: str


class StepStopped(_Private, type="payment.StepStopped.v1"):
    """The provider's answer does not fit: nothing more is done for this pledge until a person has looked."""

    reason: str


class StopLifted(_Private, type="payment.StopLifted.v1"):
    """A person has looked and says: go on (DOMAIN Y6)."""


PRIVATE_EVENTS = (
    PaymentOrdered,
    CaptureOrdered,
    ReleaseOrdered,
    RefundOrdered,
    RefundFailed,
    RefundFound,
    RenewalDue,
    RenewalFailed,
    HoldDoubted,
    ActionEnded,
    ChangeOrdered,
    ChangeEnded,
    StepStarted,
    StepEnded,
    StepStopped,
    StopLifted,
)
