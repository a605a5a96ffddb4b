"""A campaign with its backers, as the notifier hears of it, and the contact book's entries for them."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from contracts.campaign import (
    CampaignLaunched,
    FundingModel,
    MilestoneCrossed,
    PaymentStrategy,
    Policy,
    RewardTier,
    UpdateKind,
    UpdatePosted,
)
from contracts.envelope import Envelope
from contracts.event import Event
from contracts.ids import CampaignId, PersonId, PledgeId, TierId, UpdateId, new_id
from contracts.money import Money
from contracts.payment import PayoutSent
from contracts.pledge import PledgeAuthorized, PledgeCancelled, PledgeCaptured, PledgeDeclined, PledgePlaced
from contracts.settlement import CampaignSettled, Outcome, Tally
from notifier.domain import SetContact
from tests.integration.house import START, House, Stories

Told: TypeAlias = tuple[Envelope, Event]


def eur(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


@dataclass
class World:
    backers: int = 0
    model: FundingModel = FundingModel.ALL_OR_NOTHING
    campaign_id: CampaignId = field(default_factory=lambda: CampaignId(new_id()))
    creator_id: PersonId = field(default_factory=lambda: PersonId(new_id()))
    tier_id: TierId = field(default_factory=lambda: TierId(new_id()))
    tier_of: dict[PersonId, TierId] = field(default_factory=dict)  # who has another tier than `tier_id`
    stories: Stories = field(default_factory=Stories)

    def __post_init__(self) -> None:
        self.people = [PersonId(new_id()) for _ in range(self.backers)]
        self.pledge_ids = {person: PledgeId(new_id()) for person in self.people}

    def fact(self, person: PersonId) -> dict[str, Any]:
        return {
            "pledge_id": self.pledge_ids[person],
            "campaign_id": self.campaign_id,
            "backer_id": person,
            "tier_id": self.tier_of.get(person, self.tier_id),
            "amount": eur(2500),
            "country": "DE",
        }

    def launched(self) -> list[Told]:
        reward = RewardTier(tier_id=self.tier_id, title="The box", minimum=eur(2000), estimated_delivery="2027-09")
        launched = CampaignLaunched(
            campaign_id=self.campaign_id,
            creator_id=self.creator_id,
            title="A board game",
            goal=eur(100_000),
            model=self.model,
            deadline=START + timedelta(days=30),
            policy=Policy(),
            tiers=(reward,),
            launched_at=START,
        )
        return self.stories.tell(launched)

    def placed(self, person: PersonId) -> list[Told]:
        placed = PledgePlaced(
            **self.fact(person),
            payment_method="pm_card_visa",
            strategy=PaymentStrategy.HOLD,
            placed_at=START,
            lease_until=START,
        )
        return self.stories.tell(placed)

    def authorized(self, person: PersonId) -> list[Told]:
        told = self.placed(person)
        return told + self.stories.tell(PledgeAuthorized(**self.fact(person), hold_id=f"pi_{person}"))

    def all_authorized(self) -> list[Told]:
        return [told for person in self.people for told in self.authorized(person)]

    def declined(self, person: PersonId) -> list[Told]:
        return self.placed(person) + self.stories.tell(PledgeDeclined(**self.fact(person), reason="card_declined"))

    def cancelled(self, person: PersonId) -> list[Told]:
        return self.stories.tell(PledgeCancelled(**self.fact(person), cancelled_at=START, reason="backer"))

    def captured(self, person: PersonId) -> list[Told]:
        return self.stories.tell(PledgeCaptured(**self.fact(person)))

    def tell(self, kind: type[Event], person: PersonId, **more: Any) -> list[Told]:
        return self.stories.tell(kind(**self.fact(person), **more))

    def milestone(self, percent: int = 50) -> list[Told]:
        crossed = MilestoneCrossed(
            campaign_id=self.campaign_id,
            threshold=eur(1000 * percent),
            percent=percent,
            total=eur(1000 * percent),
            backers=self.backers,
        )
        return self.stories.tell(crossed)

    def update(self, tier_id: TierId | None = None) -> list[Told]:
        posted = UpdatePosted(
            campaign_id=self.campaign_id,
            update_id=UpdateId(new_id()),
            number=1,
            kind=UpdateKind.PRODUCTION,
            tier_id=tier_id,
            title="The moulds are here",
            text="We cast the first ones on Monday.",
            posted_at=START,
        )
        return self.stories.tell(posted)

    def settled(self, outcome: Outcome, captured: int = 0) -> list[Told]:
        none = Tally(count=0, total=eur(0))
        settled = CampaignSettled(
            campaign_id=self.campaign_id,
            creator_id=self.creator_id,
            outcome=outcome,
            captured=Tally(count=captured, total=eur(2500 * captured)),
            dropped=none,
            voided=none,
        )
        return self.stories.tell(settled)

    def paid_out(self) -> list[Told]:
        sent = PayoutSent(
            campaign_id=self.campaign_id,
            creator_id=self.creator_id,
            amount=eur(2300),
            captured=eur(2500),
            platform_fee=eur(125),
            provider_fee=eur(75),
            transfer_id="tr_1",
        )
        return self.stories.tell(sent)


def address(person: PersonId) -> str:
    return f"p-{person}@example.org"


async def introduce(core: House, *people: PersonId) -> None:
    """Everybody has an entry in the contact book."""
    commands = (SetContact(person, address(person), "Ada", "en-GB") for person in people)
    await asyncio.gather(*(core.execute(command) for command in commands))


def shuffled_and_doubled(told: list[Told], seed: int) -> list[Told]:
    twice = told * 2
    random.Random(seed).shuffle(twice)
    return twice
