"""What has happened to a campaign so far, as its clients know it: the player writes, progress and checks read."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from scenarios.model import PledgeAnswer, PledgeGroup, Scenario, Tally
from scenarios.people import Cast, Person
from scenarios.visibility import Visibility

UNDECIDED: Final = frozenset({"pending", "action_required"})
STANDING: Final = frozenset({"authorized", "at_risk", "captured"})
NOT_STARTED: Final = uuid.UUID(int=0)


@dataclass
class PlacedPledge:
    """One that the platform took; `status` is what its backer was told last."""

    id: str
    group: PledgeGroup
    backer: Person
    country: str
    sent_at: float
    status: str = "pending"

    @property
    def stands(self) -> bool:
        return self.status in STANDING


@dataclass
class Play:
    """`deadline` is in Unix seconds; `page` is the public page as it came last, `page_at_rest` after the last phase."""

    scenario: Scenario
    cast: Cast
    campaign_id: uuid.UUID = NOT_STARTED
    tier_ids: dict[str, str] = field(default_factory=dict)
    deadline: float = 0.0
    stage: str = "draft"
    attempted: int = 0
    pledges: list[PlacedPledge] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0
    page: dict[str, Any] = field(default_factory=dict)
    page_at_rest: dict[str, Any] = field(default_factory=dict)
    settlement: dict[str, Any] = field(default_factory=dict)
    visibility: Visibility = field(default_factory=Visibility)

    @property
    def cutoff(self) -> float:
        return self.deadline - (self.scenario.campaign.policy.cancellation_cutoff_seconds or 0)

    def undecided(self) -> Iterator[PlacedPledge]:
        return (pledge for pledge in self.pledges if pledge.status in UNDECIDED)

    def standing(self) -> Iterator[PlacedPledge]:
        return (pledge for pledge in self.pledges if pledge.stands)

    def standing_of(self, group: str) -> list[PlacedPledge]:
        return [pledge for pledge in self.standing() if pledge.group.group == group]

    @property
    def declined(self) -> int:
        return sum(pledge.status == PledgeAnswer.DECLINED for pledge in self.pledges)

    @property
    def total(self) -> Tally:
        """Of the pledges that stand, by what their backers were told."""
        amounts = [pledge.group.amount for pledge in self.standing()]
        return Tally(count=len(amounts), amount=sum(amounts))


def tally_on(page: dict[str, Any]) -> Tally:
    """The total that a public page shows."""
    return Tally(count=page["backers"], amount=page["pledged"]["amount"]) if page else Tally()
