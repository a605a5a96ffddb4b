"""Public events of the payment service (DOMAIN Y1 to Y10).

Stream of `Payment…` events: the pledge. Only the pledge service reads these; it turns them into `pledge.*`.
Stream of `PayoutSent`: the campaign.
"""

from datetime import datetime
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
    """The amount is reserved on the card; every later fact about this hold names the hold."""

    hold_id: str
    capture_before: datetime | None = Field(default=None, description="The provider lets the hold lapse then")


class PaymentDeclined(PaymentFact, type="payment.PaymentDeclined.v1"):
    reason: str = Field(description="The provider's decline code")
    hard: bool = Field(default=False, description="Trying the same card again is forbidden (DOMAIN Y2)")


class PaymentChangeAuthorized(PaymentFact, type="payment.PaymentChangeAuthorized.v1"):
    """A change's own hold was taken, beside the current one, which stays current until `pledge.PledgeChanged`."""

    change_id: ChangeId
    hold_id: str
    capture_before: datetime | None = None


class PaymentChangeDeclined(PaymentFact, type="payment.PaymentChangeDeclined.v1"):
    """No hold for a change: the current one stands."""

    change_id: ChangeId
    reason: str = Field(description="The provider's decline code")


class PaymentCaptured(PaymentFact, type="payment.PaymentCaptured.v1"):
    """Money was taken from a hold, or at once (keep-it-all: hold and charge are booked together)."""

    hold_id: str
    provider_fee: Money


class PaymentCaptureFailed(PaymentFact, type="payment.PaymentCaptureFailed.v1"):
    hold_id: str
    reason: str


class PaymentVoided(PaymentFact, type="payment.PaymentVoided.v1"):
    hold_id: str


class PaymentRefunded(PaymentFact, type="payment.PaymentRefunded.v1"):
    hold_id: str


class PayoutSent(Event, type="payment.PayoutSent.v1"):
    """The main payout of a campaign (DOMAIN Y10): `amount` = captured - platform_fee - provider_fee."""

    campaign_id: CampaignId
    creator_id: PersonId
    amount: Money
    captured: Money
    platform_fee: Money
    provider_fee: Money
    transfer_id: str

    @property
    def subject(self) -> UUID:
        return self.campaign_id
