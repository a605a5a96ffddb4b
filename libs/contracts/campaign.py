"""Public events of the campaign service. Stream: the campaign (DOMAIN C1 to C11); of an update, the update itself."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.ids import CampaignId, PersonId, PoolId, TierId, UpdateId
from contracts.money import Money


class FundingModel(StrEnum):
    ALL_OR_NOTHING = "all_or_nothing"
    KEEP_IT_ALL = "keep_it_all"


class PaymentStrategy(StrEnum):
    """How a pledge's money is secured (DOMAIN Y3)."""

    HOLD = "hold"
    EXTENDED_HOLD = "extended_hold"
    SAVED_CARD = "saved_card"
    IMMEDIATE = "immediate"  # keep-it-all: charged when the pledge is placed


class Policy(BaseModel):
    """What the creator and the backers agreed on, frozen at launch (DOMAIN C4)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    cancellation_cutoff_seconds: int = Field(default=48 * 3600, ge=0, description="Before the deadline")
    payment_strategy: PaymentStrategy = PaymentStrategy.HOLD
    fix_payment_seconds: int = Field(default=7 * 86400, ge=0, description="Window to mend a failed capture")
    refund_window_seconds: int = Field(default=14 * 86400, ge=0, description="Keep-it-all, after the pledge")
    platform_fee_bps: int = Field(default=500, ge=0, le=10_000, description="Basis points of what is captured")
    lowest_collectable_bps: int = Field(
        default=10_000, ge=0, le=10_000, description="Share of the goal that must be collectable (DOMAIN S2)"
    )


YearMonth = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2027-03"])]


class RewardTier(BaseModel):
    """A reward for a minimum pledge (DOMAIN C5). A limited tier names its pool and the limit."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tier_id: TierId
    title: str
    description: str = ""
    minimum: Money
    estimated_delivery: YearMonth
    pool_id: PoolId | None = Field(default=None, description="None: unlimited")
    limit: int | None = Field(default=None, ge=1, description="Slots in the pool; None: unlimited")


class StretchGoal(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str
    amount: Money


class _CampaignFact(Event):
    campaign_id: CampaignId

    @property
    def subject(self) -> UUID:
        return self.campaign_id


class CampaignLaunched(_CampaignFact, type="campaign.CampaignLaunched.v1"):
    creator_id: PersonId
    title: str
    goal: Money
    model: FundingModel
    deadline: datetime
    policy: Policy
    tiers: tuple[RewardTier, ...] = ()
    stretch_goals: tuple[StretchGoal, ...] = ()
    launched_at: datetime


class RewardTierAdded(_CampaignFact, type="campaign.RewardTierAdded.v1"):
    """A tier that came after the launch; the launch itself carries those of the draft."""

    tier: RewardTier


class TierLimitRaised(_CampaignFact, type="campaign.TierLimitRaised.v1"):
    pool_id: PoolId
    limit: int = Field(ge=1)


class MilestoneCrossed(_CampaignFact, type="campaign.MilestoneCrossed.v1"):
    """Fires once in the life of a campaign, in ascending order of threshold (DOMAIN C6)."""

    threshold: Money
    percent: int | None = Field(default=None, description="25, 50, 75 or 100; None for a stretch goal")
    stretch_goal: str | None = None
    total: Money
    backers: int


class CampaignClosed(_CampaignFact, type="campaign.CampaignClosed.v1"):
    """The deadline has passed (DOMAIN C11). Excludes CampaignCancelled (C10)."""

    closed_at: datetime


class CampaignCancelled(_CampaignFact, type="campaign.CampaignCancelled.v1"):
    """The creator gave up while the campaign was active (DOMAIN C10)."""

    cancelled_at: datetime
    reason: str = ""


class UpdateKind(StrEnum):
    """What a creator's news is about (DOMAIN C9)."""

    GENERAL = "general"
    PRODUCTION = "production"
    SHIPPING = "shipping"


class UpdatePosted(Event, type="campaign.UpdatePosted.v1"):
    """News from the creator (DOMAIN C9). A stream of its own: a campaign's decisions never load its texts."""

    campaign_id: CampaignId
    update_id: UpdateId
    number: int = Field(ge=1, description="Counts the campaign's updates from 1")
    kind: UpdateKind
    tier_id: TierId | None = Field(default=None, description="For backers of this tier; None: for everybody")
    title: str
    text: str
    posted_at: datetime

    @property
    def subject(self) -> UUID:
        return self.update_id
