"""Public events of the settlement service (DOMAIN S1 to S8).

Stream of the requests about a pledge: the pledge. Stream of the rest: the campaign.
"""

from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.ids import CampaignId, PersonId, PledgeId
from contracts.money import Money


class Outcome(StrEnum):
    FUNDED = "funded"
    PARTIALLY_FUNDED = "partially_funded"
    FAILED = "failed"


class Tally(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    count: int = Field(ge=0)
    total: Money


class _PledgeRequest(Event):
    pledge_id: PledgeId
    campaign_id: CampaignId

    @property
    def subject(self) -> UUID:
        return self.pledge_id


class CaptureRequested(_PledgeRequest, type="settlement.CaptureRequested.v1"):
    amount: Money


class VoidRequested(_PledgeRequest, type="settlement.VoidRequested.v1"):
    pass


class DropRequested(_PledgeRequest, type="settlement.DropRequested.v1"):
    """The fix-payment window ran out (DOMAIN S5)."""


class PayoutRequested(Event, type="settlement.PayoutRequested.v1"):
    campaign_id: CampaignId
    creator_id: PersonId
    captured: Money
    platform_fee_bps: int

    @property
    def subject(self) -> UUID:
        return self.campaign_id


class CampaignSettled(Event, type="settlement.CampaignSettled.v1"):
    """Everything is captured, dropped or voided; the outcome is decided (DOMAIN S6, S7)."""

    campaign_id: CampaignId
    creator_id: PersonId
    outcome: Outcome
    captured: Tally
    dropped: Tally
    voided: Tally

    @property
    def subject(self) -> UUID:
        return self.campaign_id
