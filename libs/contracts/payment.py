"""Public events of the payment service (DOMAIN Y1 to Y10).

Stream of `Payment…` events: the pledge. Only the pledge service reads these; it turns them into `pledge.*`.
Stream of `PayoutSent`: the campaign.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId
from contracts.money import Money


class PaymentFact(Event):
    pledge_id: PledgeId
    campaign_id: CampaignId
    amount: Money

    @property
    def subject(self) -> UUID:
        return self.pledge_id


class PaymentAuthorized(PaymentFact, type="payment.PaymentAuthorized.v1"):
    """The amount is reserved on the card, or the card is saved; every later fact about this hold names the hold."""

    hold_id: str
    capture_before: datetime | None = Field(default=None, description="The provider lets the hold lapse then")
    payment_method: str = Field(default="", description="The provider's opaque id of the card, good for a later hold")


class PaymentActionRequired(PaymentFact, type="payment.PaymentActionRequired.v1"):
    """The bank wants the backer (3-D Secure). How to get there is for the backer alone and in no event (DOMAIN N4)."""

    hold_id: str = Field(description="The provider's object that waits")
    change_id: ChangeId | None = Field(default=None, description="The change whose hold it is; None: the pledge's own")


class PaymentDeclined(PaymentFact, type="payment.PaymentDeclined.v1"):
    reason: str = Field(description="The provider's decline code")
    hard: bool = Field(default=False, description="Trying the same card again is forbidden (DOMAIN Y2)")


class PaymentChangeAuthorized(PaymentFact, type="payment.PaymentChangeAuthorized.v1"):
    """A change's own hold was taken, beside the current one, which stays current until `pledge.PledgeChanged`."""

    change_id: ChangeId
    hold_id: str
    capture_before: datetime | None = None
    payment_method: str = ""


class PaymentChangeDeclined(PaymentFact, type="payment.PaymentChangeDeclined.v1"):
    """No hold for a change: the current one stands."""

    change_id: ChangeId
    reason: str = Field(description="The provider's decline code")


class PaymentHoldRenewed(PaymentFact, type="payment.PaymentHoldRenewed.v1"):
    """A new hold is the current one from now on, in place of the old, which is released or lost (DOMAIN Y3)."""

    previous_hold_id: str
    hold_id: str
    capture_before: datetime | None = None
    payment_method: str = ""


class PaymentAtRisk(PaymentFact, type="payment.PaymentAtRisk.v1"):
    """The current hold cannot be renewed for now, or is gone; a new one is being sought (DOMAIN Y4)."""

    hold_id: str
    reason: str = Field(description="The provider's decline code, or `hold_lost`")
    hard: bool = Field(default=False, description="Only another card helps: this one is not tried again")
    lost: bool = Field(default=False, description="The hold is gone already: nothing is collectable")


class PaymentCaptured(PaymentFact, type="payment.PaymentCaptured.v1"):
    """Money was taken from a hold, or at once (keep-it-all: hold and charge are booked together)."""

    hold_id: str
    provider_fee: Money


class PaymentCaptureFailed(PaymentFact, type="payment.PaymentCaptureFailed.v1"):
    hold_id: str
    reason: str


class PaymentVoided(PaymentFact, type="payment.PaymentVoided.v1"):
    hold_id: str
    spare: bool = Field(default=False, description="It was not the current hold any more, or never was: nothing ends")


class PaymentRefunded(PaymentFact, type="payment.PaymentRefunded.v1"):
    """`amount` went back to the backer, asked for here or in the provider's own dashboard (DOMAIN Y8)."""

    hold_id: str
    refund_id: str = Field(default="", description="The provider's id")
    reason: str = ""
    refunded: Money | None = Field(default=None, description="Given back in all, this included; None: only this")


class PaymentDisputeOpened(PaymentFact, type="payment.PaymentDisputeOpened.v1"):
    """The backer's bank took `amount` back, and the provider its `fee` (DOMAIN Y9)."""

    dispute_id: str
    reason: str = Field(description="The provider's word, such as `fraudulent`")
    fee: Money


class PaymentDisputeClosed(PaymentFact, type="payment.PaymentDisputeClosed.v1"):
    """Decided: won gives `amount` back, lost leaves it with the backer (DOMAIN Y9)."""

    dispute_id: str
    won: bool
    fee_returned: Money = Field(description="Of the fee that was taken when it opened; zero if it is kept")


class PayoutKind(StrEnum):
    """What a payout is made of (DOMAIN Y10): one main payout a campaign, later ones named as such."""

    MAIN = "main"
    RESERVE = "reserve"  # what was kept back for disputes, released
    LATER = "later"  # what came in afterwards, such as a dispute that was won


class PayoutSent(Event, type="payment.PayoutSent.v1"):
    """A payout of a campaign (DOMAIN Y10).

    `amount` = captured + released - platform_fee - provider_fee - refunded - disputed - reserve - recovered, each as
    far as this payout settles it; None is none.
    """

    campaign_id: CampaignId
    creator_id: PersonId
    amount: Money
    captured: Money
    platform_fee: Money
    provider_fee: Money
    transfer_id: str
    kind: PayoutKind = PayoutKind.MAIN
    number: int = Field(default=1, ge=1, description="Counts the campaign's payouts from 1")
    refunded: Money | None = Field(default=None, description="Given back to backers")
    disputed: Money | None = Field(default=None, description="Taken back by their banks, fees included")
    reserve: Money | None = Field(default=None, description="Kept back for disputes to come")
    released: Money | None = Field(default=None, description="Of an earlier reserve, added to this payout")
    recovered: Money | None = Field(default=None, description="Owed by the creator from an earlier campaign")

    @property
    def subject(self) -> UUID:
        return self.campaign_id
