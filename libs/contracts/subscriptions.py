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
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
    PayoutSent,
)
from contracts.pledge import (
    PledgeAuthorized,
    PledgeBookClosed,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeChangeDropped,
    PledgeChangeRequested,
    PledgeDeclined,
    PledgeDropped,
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
    PledgeAuthorized,
    PledgeChanged,
    PledgeDeclined,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeVoided,
    PledgeDropped,
    PledgeRefunded,
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
            PaymentAuthorized,
            PaymentDeclined,
            PaymentCaptured,
            PaymentCaptureFailed,
            PaymentVoided,
            PaymentRefunded,
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
