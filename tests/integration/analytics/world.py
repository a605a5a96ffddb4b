"""A campaign as analytics hears of it: launch, tiers, lives of pledges, milestones."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from contracts.campaign import (
    CampaignClosed,
    CampaignLaunched,
    FundingModel,
    MilestoneCrossed,
    PaymentStrategy,
    Policy,
    RewardTier,
    RewardTierAdded,
    StretchGoal,
    TierLimitRaised,
)
from contracts.envelope import Envelope
from contracts.event import Event
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, PoolId, TierId, new_id
from contracts.money import Money
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeDropped,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)
from contracts.settlement import CampaignSettled, Outcome, Tally
from tests.integration.house import START, Stories

Told: TypeAlias = tuple[Envelope, Event]
CREATOR = PersonId(new_id())
CAN: dict[type[Event], tuple[type[Event], ...]] = {
    PledgePlaced: (PledgeAuthorized, PledgeAuthorized, PledgeActionRequired, PledgeDeclined, PledgeCaptured),
    PledgeActionRequired: (PledgeAuthorized, PledgeDeclined),
    PledgeAuthorized: (PledgeCancelled, PledgeCaptured, PledgeChanged, PledgeCaptureFailed, PledgeVoided, PledgeAtRisk),
    PledgeAtRisk: (PledgeHoldRenewed, PledgeChanged, PledgeCaptured, PledgeCaptureFailed, PledgeCancelled),
    PledgeHoldRenewed: (PledgeHoldRenewed, PledgeAtRisk, PledgeCaptured, PledgeVoided),
    PledgeChanged: (PledgeChanged, PledgeCancelled, PledgeCaptured, PledgeVoided),
    PledgeCaptureFailed: (PledgeDropped, PledgeCaptured),
    PledgeCaptured: (PledgeRefunded, PledgePartlyRefunded, PledgeDisputeOpened),
    PledgePartlyRefunded: (PledgeRefunded, PledgeDisputeOpened),
    PledgeDisputeOpened: (PledgeDisputeClosed,),
}


def eur(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


DISPUTE = {"creator_id": CREATOR, "dispute_id": "dp_1", "disputed": eur(400)}
MORE: dict[type[Event], dict[str, Any]] = {
    PledgeAuthorized: {"hold_id": "pi_1"},
    PledgeHoldRenewed: {"previous_hold_id": "pi_1", "hold_id": "pi_2"},
    PledgeAtRisk: {"reason": "card_declined"},
    PledgePartlyRefunded: {"refunded": eur(300)},
    PledgeDisputeOpened: {**DISPUTE, "reason": "fraudulent"},
    PledgeDisputeClosed: {**DISPUTE, "won": False},
    PledgeDeclined: {"reason": "card_declined"},
    PledgeCancelled: {"reason": "backer", "cancelled_at": START},
    PledgeCaptureFailed: {"reason": "card_declined"},
}


CHANGED = {"change_id": ChangeId(new_id()), "hold_id": "pi_2"}


@dataclass
class World:
    seed: int = 1
    title: str = "A board game <b>about</b> lighthouses"
    campaign_id: CampaignId = field(default_factory=lambda: CampaignId(new_id()))
    creator_id: PersonId = field(default_factory=lambda: PersonId(new_id()))
    stories: Stories = field(default_factory=Stories)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        pool = PoolId(new_id())
        self.tiers = [
            _tier("Postcard", 500),
            _tier("The game", 4000),
            _tier("Signed, red", 9000, pool_id=pool, limit=10),
            _tier("Signed, blue", 9000, pool_id=pool, limit=10),
        ]
        self.pool = pool

    def launched(self) -> CampaignLaunched:
        return CampaignLaunched(
            campaign_id=self.campaign_id,
            creator_id=self.creator_id,
            title=self.title,
            goal=eur(200_000),
            model=FundingModel.ALL_OR_NOTHING,
            deadline=START + timedelta(days=20),
            policy=Policy(),
            tiers=tuple(self.tiers[:3]),
            stretch_goals=(StretchGoal(title="Wooden pieces", amount=eur(300_000)),),
            launched_at=START,
        )

    def campaign(self) -> list[Told]:
        return self.stories.tell(
            self.launched(),
            RewardTierAdded(campaign_id=self.campaign_id, tier=self.tiers[3]),
            TierLimitRaised(campaign_id=self.campaign_id, pool_id=self.pool, limit=40),
            TierLimitRaised(campaign_id=self.campaign_id, pool_id=self.pool, limit=50),
            self._milestone(50_000, 25, None),
            self._milestone(300_000, None, "Wooden pieces"),
        )

    def _milestone(self, minor: int, percent: int | None, stretch_goal: str | None) -> MilestoneCrossed:
        return MilestoneCrossed(
            campaign_id=self.campaign_id,
            threshold=eur(minor),
            percent=percent,
            stretch_goal=stretch_goal,
            total=eur(minor + 10),
            backers=minor // 5000,
        )

    def ending(self) -> list[Told]:
        none = Tally(count=0, total=eur(0))
        settled = CampaignSettled(
            campaign_id=self.campaign_id,
            creator_id=self.creator_id,
            outcome=Outcome.FUNDED,
            captured=none,
            dropped=none,
            voided=none,
        )
        return self.stories.tell(CampaignClosed(campaign_id=self.campaign_id, closed_at=START), settled)

    def facts(self, tier: RewardTier | None, minor: int, country: str) -> dict[str, Any]:
        return {
            "pledge_id": PledgeId(new_id()),
            "campaign_id": self.campaign_id,
            "backer_id": PersonId(new_id()),
            "tier_id": tier and tier.tier_id,
            "amount": eur(minor),
            "country": country,
        }

    def tell(self, facts: dict[str, Any], kinds: Iterable[type[Event]], day: int = 0) -> list[Told]:
        """A pledge's life: placed on that day of the campaign, then these."""
        placed = PledgePlaced(
            **facts,
            payment_method="pm_card_visa",
            strategy=PaymentStrategy.HOLD,
            placed_at=START + timedelta(days=day),
            lease_until=START,
        )
        return self.stories.tell(placed, *(kind(**facts, **MORE.get(kind, {})) for kind in kinds))

    def any_pledge(self) -> list[Told]:
        """A pledge with a life drawn by chance; some change amount and tier on the way."""
        tier = self.draw.choice([None, *self.tiers])
        facts = self.facts(tier, (tier.minimum.amount if tier else 500) + self.draw.randrange(300), self._country())
        told = self.tell(facts, (), day=self.draw.randrange(12))
        last: type[Event] = PledgePlaced
        while last in CAN and self.draw.random() < 0.8:
            last, before = self.draw.choice(CAN[last]), facts["amount"]
            if last is PledgeChanged:
                facts |= {
                    "amount": eur(self.draw.randrange(500, 9000)),
                    "tier_id": self.draw.choice(self.tiers).tier_id,
                }
            more = {**CHANGED, "previous_amount": before} if last is PledgeChanged else MORE.get(last, {})
            told += self.stories.tell(last(**facts, **more))
        return told

    def _country(self) -> str:
        return self.draw.choice(["DE", "DE", "DE", "FR", "US", "GB", "JP", "NL"])

    def pledges(self, number: int) -> list[Told]:
        return [told for _ in range(number) for told in self.any_pledge()]


def _tier(title: str, minor: int, **pool: Any) -> RewardTier:
    return RewardTier(tier_id=TierId(new_id()), title=title, minimum=eur(minor), estimated_delivery="2027-09", **pool)
