"""The world around settlement in tests: a campaign with its book, and the answers that pledges give to requests."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID

from contracts.campaign import CampaignClosed, CampaignLaunched, FundingModel, PaymentStrategy, Policy
from contracts.envelope import Envelope
from contracts.event import Event
from contracts.ids import CampaignId, PersonId, PledgeId, TierId, new_id
from contracts.manifest import digest
from contracts.money import Money
from contracts.pledge import (
    PledgeAuthorized,
    PledgeBookClosed,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeDeclined,
    PledgeDropped,
    PledgePlaced,
    PledgeVoided,
)
from contracts.settlement import CampaignSettled, CaptureRequested, DropRequested, VoidRequested
from settlement.jobs import Settler
from tests.integration.house import START, House, Stories

Told: TypeAlias = tuple[Envelope, Event]
FIX_SECONDS: Final = 3600
ROUNDS_MAX: Final = 200  # More than any of these settlements needs: then it hangs.


def eur(minor: int) -> Money:
    return Money(amount=minor, currency="EUR")


@dataclass
class World:
    """One campaign. `failing`: pledges whose capture fails and whose payment nobody mends."""

    goal: int
    amounts: Sequence[int]
    model: FundingModel = FundingModel.ALL_OR_NOTHING
    failing: int = 0
    campaign_id: CampaignId = field(default_factory=lambda: CampaignId(new_id()))
    creator_id: PersonId = field(default_factory=lambda: PersonId(new_id()))
    stories: Stories = field(default_factory=Stories)

    def __post_init__(self) -> None:
        self.facts: dict[UUID, dict[str, Any]] = {}
        for index, amount in enumerate(self.amounts):
            pledge_id = PledgeId(new_id())
            tier_id = TierId(new_id()) if index % 2 else None
            self.facts[pledge_id] = {
                "pledge_id": pledge_id,
                "campaign_id": self.campaign_id,
                "backer_id": PersonId(new_id()),
                "tier_id": tier_id,
                "amount": eur(amount),
                "country": "DE",
            }
        self.will_fail = set(list(self.facts)[: self.failing])

    @property
    def pledge_ids(self) -> list[UUID]:
        return list(self.facts)

    def launched(self, **policy: Any) -> CampaignLaunched:
        return CampaignLaunched(
            campaign_id=self.campaign_id,
            creator_id=self.creator_id,
            title="A board game",
            goal=eur(self.goal),
            model=self.model,
            deadline=START,
            policy=Policy(fix_payment_seconds=FIX_SECONDS, **policy),
            launched_at=START - timedelta(days=1),
        )

    def campaign(self, **policy: Any) -> list[Told]:
        return self.stories.tell(self.launched(**policy), CampaignClosed(campaign_id=self.campaign_id, closed_at=START))

    def pledges(self) -> list[Told]:
        """All pledges secured, and one that was declined."""
        declined = self._placed({**next(iter(self.facts.values()), self._nobody()), "pledge_id": PledgeId(new_id())})
        told = self.stories.tell(declined, PledgeDeclined(**_shared(declined), reason="card_declined"))
        secured: type[Any] = PledgeCaptured if self.model is FundingModel.KEEP_IT_ALL else PledgeAuthorized
        for fact in self.facts.values():
            hold = {} if secured is PledgeCaptured else {"hold_id": f"pi_{fact['pledge_id']}"}
            told += self.stories.tell(self._placed(fact), secured(**fact, **hold))
        return told

    def _nobody(self) -> dict[str, Any]:
        return {
            "campaign_id": self.campaign_id,
            "backer_id": PersonId(new_id()),
            "amount": eur(700),
            "country": "FR",
        }

    def _placed(self, fact: dict[str, Any]) -> PledgePlaced:
        return PledgePlaced(
            **fact,
            payment_method="pm_card_visa",
            strategy=PaymentStrategy.HOLD,
            placed_at=START,
            lease_until=START,
        )

    def manifest(self, **changed: Any) -> list[Told]:
        facts = self.facts.values()
        lines = ((f["pledge_id"], f["amount"].amount, f["amount"].currency, f["tier_id"]) for f in facts)
        given: dict[str, Any] = {
            "campaign_id": self.campaign_id,
            "count": len(self.facts),
            "total": eur(sum(self.amounts)),
            "digest": digest(lines),
            "closed_at": START,
        }
        return self.stories.tell(PledgeBookClosed(**(given | changed)))

    def everything(self) -> list[Told]:
        return [*self.campaign(), *self.pledges(), *self.manifest()]

    def tell(self, kind: type[Event], pledge_id: UUID, **more: Any) -> list[Told]:
        """One more fact about a pledge."""
        return self.stories.tell(kind(**self.facts[pledge_id], **more))

    def answers(self, requests: Iterable[Event]) -> list[Told]:
        """What the pledge service says after payment has done what was asked."""
        told: list[Told] = []
        for request in requests:
            match request:
                case CaptureRequested(pledge_id=one) if one in self.will_fail:
                    told += self.tell(PledgeCaptureFailed, one, reason="card_declined")
                case CaptureRequested(pledge_id=one):
                    told += self.tell(PledgeCaptured, one)
                case VoidRequested(pledge_id=one):
                    told += self.tell(PledgeVoided, one)
                case DropRequested(pledge_id=one):
                    told += self.tell(PledgeDropped, one)
                case _:
                    pass
        return told


def _shared(placed: PledgePlaced) -> dict[str, Any]:
    names = ("pledge_id", "campaign_id", "backer_id", "tier_id", "amount", "country")
    return {name: getattr(placed, name) for name in names}


async def tick(*settlers: Settler) -> None:
    """Each timer of each replica once."""
    for settler in settlers:
        await settler.start_due()
        await settler.request_due()
        await settler.drop_due()


async def play(
    house: House, world: World, *settlers: Settler, disorder: Callable[[list[Told]], list[Told]] = list
) -> list[Event]:
    """Timers and answers until the campaign is settled; returns all that the service said."""
    said: list[Event] = []
    for _ in range(ROUNDS_MAX):
        await tick(*settlers)
        new = await house.said()
        said += new
        if any(isinstance(event, CampaignSettled) for event in said):
            return said
        await house.take_in(*disorder(world.answers(new)))
        if not new:
            house.pass_time(timedelta(seconds=FIX_SECONDS))
    raise AssertionError(f"not settled after {ROUNDS_MAX} rounds: {said}")


def shuffled_and_doubled(seed: int) -> Callable[[list[Told]], list[Told]]:
    draw = random.Random(seed)

    def disorder(told: list[Told]) -> list[Told]:
        twice = told * 2
        draw.shuffle(twice)
        return twice

    return disorder
