"""What can be asked of a campaign. Ids are drawn at the door, so that a command can be decided again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from campaign.domain import Terms
from contracts.campaign import PaymentStrategy, UpdateKind
from contracts.ids import CampaignId, PersonId, PoolId, TierId, UpdateId
from contracts.money import Money


@dataclass(frozen=True)
class Bounds:
    """How far ahead a deadline may lie, in seconds (DOMAIN C3); the service's settings."""

    seconds_min: int
    seconds_max: int


class PolicyChoice(BaseModel):
    """What a creator may choose at launch; the rest of the policy is the platform's (DOMAIN C4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cancellation_cutoff_seconds: int | None = Field(None, ge=0, le=60 * 86_400, strict=True)
    payment_strategy: PaymentStrategy | None = None
    fix_payment_seconds: int | None = Field(None, ge=0, le=30 * 86_400, strict=True)
    refund_window_seconds: int | None = Field(None, ge=0, le=90 * 86_400, strict=True)
    lowest_collectable_bps: int | None = Field(None, ge=0, le=10_000, strict=True)


@dataclass(frozen=True)
class DraftCampaign:
    campaign_id: CampaignId
    person_id: PersonId
    terms: Terms
    bounds: Bounds


@dataclass(frozen=True)
class ChangeDraft:
    """`changes` are fields of `Terms` by name, already checked for kind and size.

    `expected`: tags of the draft as the sender may have read it; None changes whatever there is.
    """

    campaign_id: CampaignId
    person_id: PersonId
    changes: Mapping[str, Any]
    bounds: Bounds
    expected: frozenset[str] | None = None


@dataclass(frozen=True)
class DiscardDraft:
    campaign_id: CampaignId
    person_id: PersonId


@dataclass(frozen=True)
class AddTier:
    """A limited tier gets `new_pool_id`, unless it shares the pool of the tier `pool_of` (DOMAIN C5)."""

    campaign_id: CampaignId
    person_id: PersonId
    tier_id: TierId
    new_pool_id: PoolId
    title: str
    description: str
    minimum: Money
    estimated_delivery: str
    limit: int | None = None
    pool_of: TierId | None = None


@dataclass(frozen=True)
class RemoveTier:
    campaign_id: CampaignId
    person_id: PersonId
    tier_id: TierId


@dataclass(frozen=True)
class ChangeTier:
    """`changes` are fields of `RewardTier` by name, and `pool_of`: another tier whose pool it is to share.

    `expected`: tags of the tier as the sender may have read it; None changes whatever there is.
    """

    campaign_id: CampaignId
    person_id: PersonId
    tier_id: TierId
    new_pool_id: PoolId
    changes: Mapping[str, Any]
    expected: frozenset[str] | None = None


@dataclass(frozen=True)
class PostUpdate:
    """News for everybody, or for those who back one tier (DOMAIN C9)."""

    campaign_id: CampaignId
    person_id: PersonId
    update_id: UpdateId
    kind: UpdateKind
    title: str
    text: str
    tier_id: TierId | None = None


@dataclass(frozen=True)
class LaunchCampaign:
    campaign_id: CampaignId
    person_id: PersonId
    bounds: Bounds
    policy: PolicyChoice = field(default_factory=PolicyChoice)


@dataclass(frozen=True)
class CancelCampaign:
    campaign_id: CampaignId
    person_id: PersonId
    reason: str = ""


@dataclass(frozen=True)
class CloseCampaign:
    """From the timer: the deadline may have come."""

    campaign_id: CampaignId
