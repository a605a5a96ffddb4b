"""Public events of the pledge service (DOMAIN P1 to P11).

Stream of `Pledge…` events: the pledge. Stream of `PledgeBookClosed`: the campaign whose book it is. Stream of
`SlotOffered`: the offer.
Everyone but the payment service follows a pledge by these events alone.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from contracts.campaign import PaymentStrategy
from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, OfferId, PersonId, PledgeId, TierId
from contracts.money import Money

CountryCode = Annotated[str, Field(pattern="^[A-Z]{2}$", examples=["DE"])]


class PledgeFact(Event):
    """What every fact about a pledge carries: a reader can place it without having seen the others."""

    pledge_id: PledgeId
    campaign_id: CampaignId
    backer_id: PersonId
    tier_id: TierId | None = None
    amount: Money
    country: CountryCode

    @property
    def subject(self) -> UUID:
        return self.pledge_id


class PledgePlaced(PledgeFact, type="pledge.PledgePlaced.v1"):
    payment_method: str = Field(description="The provider's opaque id of the payment method")
    strategy: PaymentStrategy
    placed_at: datetime
    lease_until: datetime = Field(description="Undecided by then: declined, slot freed (DOMAIN P2)")


class PledgeAuthorized(PledgeFact, type="pledge.PledgeAuthorized.v1"):
    hold_id: str = Field(description="The provider's id of the hold that is current now")
    capture_before: datetime | None = None


class PledgeActionRequired(PledgeFact, type="pledge.PledgeActionRequired.v1"):
    """The bank wants the backer (3-D Secure), for the pledge itself or for a change of it (DOMAIN P5)."""

    change_id: ChangeId | None = None


class PledgeHoldRenewed(PledgeFact, type="pledge.PledgeHoldRenewed.v1"):
    """A new hold is the current one; if the pledge was at risk, it is no longer (DOMAIN Y3, Y4)."""

    previous_hold_id: str
    hold_id: str
    capture_before: datetime | None = None


class PledgeAtRisk(PledgeFact, type="pledge.PledgeAtRisk.v1"):
    """The hold could not be renewed, or is gone; a new one is being sought (DOMAIN Y4)."""

    reason: str = Field(description="The provider's decline code, or `hold_lost`")
    lost: bool = Field(default=False, description="The hold is gone: the pledge does not count as collectable")
    hard: bool = Field(default=False, description="Only another card helps: this one is not tried again")


class PledgeDeclined(PledgeFact, type="pledge.PledgeDeclined.v1"):
    reason: str = Field(description="The provider's decline code, or `lease_expired`")


class PledgeCancelled(PledgeFact, type="pledge.PledgeCancelled.v1"):
    """By its backer before the cutoff, or with the campaign: void the hold, refund the charge."""

    cancelled_at: datetime
    reason: str = Field(description="`backer` or `campaign_cancelled`")


class PledgeCaptured(PledgeFact, type="pledge.PledgeCaptured.v1"):
    pass


class PledgeCaptureFailed(PledgeFact, type="pledge.PledgeCaptureFailed.v1"):
    reason: str


class PledgeVoided(PledgeFact, type="pledge.PledgeVoided.v1"):
    """The hold was released because the campaign failed."""


class PledgeDropped(PledgeFact, type="pledge.PledgeDropped.v1"):
    """The payment was never mended: the slot is free again (DOMAIN S5)."""


class PledgeRefunded(PledgeFact, type="pledge.PledgeRefunded.v1"):
    pass


class PledgePartlyRefunded(PledgeFact, type="pledge.PledgePartlyRefunded.v1"):
    """A part of what was captured went back; the rest stays (DOMAIN M4, Y8)."""

    refunded: Money = Field(description="Given back in all so far")


class PledgeDisputeOpened(PledgeFact, type="pledge.PledgeDisputeOpened.v1"):
    """The backer's bank took the money back for now (DOMAIN Y9)."""

    creator_id: PersonId = Field(description="Whose campaign it is, and who is told")
    dispute_id: str
    disputed: Money
    reason: str


class PledgeDisputeClosed(PledgeFact, type="pledge.PledgeDisputeClosed.v1"):
    creator_id: PersonId
    dispute_id: str
    disputed: Money
    won: bool = Field(description="True: the money is the creator's again")


class PledgeChangeRequested(PledgeFact, type="pledge.PledgeChangeRequested.v1"):
    """Its backer wants another amount or card: the pledge stands as it is until a new hold is taken (DOMAIN P6)."""

    change_id: ChangeId
    new_amount: Money
    new_tier_id: TierId | None = None
    payment_method: str = Field(description="What the new hold is to be taken on")
    lease_until: datetime = Field(description="Undecided by then: dropped (DOMAIN P2)")


class PledgeChanged(PledgeFact, type="pledge.PledgeChanged.v1"):
    """The pledge with its new amount and tier; a hold other than `hold_id` is to be released."""

    change_id: ChangeId
    hold_id: str | None = Field(default=None, description="The hold that is current now; None: charged already")
    capture_before: datetime | None = None
    previous_amount: Money
    previous_tier_id: TierId | None = None


class PledgeChangeDropped(PledgeFact, type="pledge.PledgeChangeDropped.v1"):
    """The pledge stands as it was; a hold of the change is to be released, also one that is still to come."""

    change_id: ChangeId
    reason: str = Field(description="The provider's decline code, `lease_expired`, `cancelled` or `payment_ended`")


class SlotOffered(Event, type="pledge.SlotOffered.v1"):
    """A slot came free and is kept for the first on the waitlist, for a while (DOMAIN P3)."""

    offer_id: OfferId
    campaign_id: CampaignId
    tier_id: TierId
    backer_id: PersonId
    offered_until: datetime

    @property
    def subject(self) -> UUID:
        return self.offer_id


class PledgeBookClosed(Event, type="pledge.PledgeBookClosed.v1"):
    """The manifest of a closed book: nothing comes in any more and every pledge is decided (DOMAIN P9)."""

    campaign_id: CampaignId
    count: int = Field(ge=0, description="Live pledges")
    total: Money
    digest: str = Field(description="sha256 over the lines `pledge_id|amount|currency|tier`, sorted by id, hex")
    closed_at: datetime

    @property
    def subject(self) -> UUID:
        return self.campaign_id
