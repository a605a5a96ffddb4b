"""Who takes in what: the queues' bindings, declared by every service's `migrate` before any relay runs."""

from collections.abc import Mapping
from types import MappingProxyType

from contracts.campaign import (
    CampaignCancelled,
    CampaignClosed,
    CampaignLaunched,
    MilestoneCrossed,
    RewardTierAdded,
    TierLimitRaised,
    UpdatePosted,
)
from contracts.event import Event
from contracts.payment import (
    PaymentActionRequired,
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentHoldRenewed,
    PaymentRefunded,
    PaymentVoided,
    PayoutSent,
)
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeBookClosed,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeChangeDropped,
    PledgeChangeRequested,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeDropped,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
    SlotOffered,
)
from contracts.settlement import (
    CampaignSettled,
    CaptureRequested,
    DropRequested,
    PayoutRequested,
    VoidRequested,
)

_PLEDGE_LIFE: tuple[type[Event], ...] = (
    PledgePlaced,
    PledgeActionRequired,
    PledgeAuthorized,
    PledgeHoldRenewed,
    PledgeAtRisk,
    PledgeChanged,
    PledgeDeclined,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeVoided,
    PledgeDropped,
    PledgePartlyRefunded,
    PledgeRefunded,
    PledgeDisputeOpened,
    PledgeDisputeClosed,
)
_CAMPAIGN_LIFE: tuple[type[Event], ...] = (
    CampaignLaunched,
    RewardTierAdded,
    TierLimitRaised,
    CampaignClosed,
    CampaignCancelled,
)

SUBSCRIPTIONS: Mapping[str, tuple[type[Event], ...]] = MappingProxyType(
    {
        "campaign": (*_PLEDGE_LIFE, CampaignSettled),
        "pledge": (
            *_CAMPAIGN_LIFE,
            PaymentActionRequired,
            PaymentAuthorized,
            PaymentHoldRenewed,
            PaymentAtRisk,
            PaymentDeclined,
            PaymentCaptured,
            PaymentCaptureFailed,
            PaymentVoided,
            PaymentRefunded,
            PaymentDisputeOpened,
            PaymentDisputeClosed,
            PaymentChangeAuthorized,
            PaymentChangeDeclined,
            DropRequested,
            CampaignSettled,
        ),
        "payment": (
            CampaignLaunched,
            PledgePlaced,
            PledgeDeclined,
            PledgeCancelled,
            PledgeChangeRequested,
            PledgeChanged,
            PledgeChangeDropped,
            CaptureRequested,
            VoidRequested,
            PayoutRequested,
        ),
        "settlement": (*_CAMPAIGN_LIFE, *_PLEDGE_LIFE, PledgeBookClosed),
        "notifier": (
            *_CAMPAIGN_LIFE,
            *_PLEDGE_LIFE,
            SlotOffered,
            MilestoneCrossed,
            UpdatePosted,
            CampaignSettled,
            PayoutSent,
        ),
        "analytics": (*_CAMPAIGN_LIFE, *_PLEDGE_LIFE, MilestoneCrossed, CampaignSettled, PayoutSent),
    }
)
