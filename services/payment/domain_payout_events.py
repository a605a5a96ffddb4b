"""What stands in a campaign's payout stream beside `PayoutSent`: attempts, and what moves between books only."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from contracts.event import Event
from contracts.ids import CampaignId, PersonId
from contracts.money import Money
from contracts.payment import PayoutKind


class _Private(Event):
    campaign_id: CampaignId

    @property
    def subject(self) -> UUID:
        return self.campaign_id


class PayoutStarted(_Private, type="payment.PayoutStarted.v1"):
    """An attempt was written down; what it is made of does not change any more."""

    creator_id: PersonId
    attempt: int = Field(ge=1, description="Counts the attempts of all the campaign's payouts")
    amount: Money
    captured: Money
    platform_fee: Money
    provider_fee: Money
    kind: PayoutKind = PayoutKind.MAIN
    number: int = Field(default=1, ge=1)
    refunded: Money | None = None
    disputed: Money | None = None
    reserve: Money | None = None
    released: Money | None = None
    recovered: Money | None = None
    reserve_until: datetime | None = None


class PayoutAttemptEnded(_Private, type="payment.PayoutAttemptEnded.v1"):
    """Proven to have moved nothing; another attempt may follow."""

    reason: str


class PayoutStopped(_Private, type="payment.PayoutStopped.v1"):
    """The provider's answer does not fit: a person has to look before anything more is sent."""

    reason: str


class PayoutStopLifted(_Private, type="payment.PayoutStopLifted.v1"):
    """A person has looked and says: go on (DOMAIN Y6)."""


class ReserveReleased(_Private, type="payment.ReserveReleased.v1"):
    """What was kept back for disputes is the campaign's again."""

    amount: Money


class DebtRecovered(_Private, type="payment.DebtRecovered.v1"):
    """`amount` of this campaign pays what its creator owes from the campaign `debtor_id`."""

    debtor_id: CampaignId
    amount: Money
    number: int = Field(ge=1, description="Counts the recoveries from this campaign")


PRIVATE_EVENTS = (
    PayoutStarted,
    PayoutAttemptEnded,
    PayoutStopped,
    PayoutStopLifted,
    ReserveReleased,
    DebtRecovered,
)
