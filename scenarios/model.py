"""What a scenario file may say: a campaign, the phases in which people act on it, and what must come of it.

Counts and phases decide what happens, never timing: every run ends with the same outcome and the same sums.
docs/guides/scenarios.md explains the fields with examples; `scenarios.loading` turns mistakes into clear errors.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from contracts.campaign import FundingModel, YearMonth
from contracts.money import AMOUNT_MINOR_MAX, Currency
from contracts.pledge import CountryCode
from contracts.settlement import Outcome
from stripe_sandbox.cards import CARDS

DEADLINE_SECONDS_MIN: Final = 5  # What the demo tells the campaign service to allow.
DEADLINE_SECONDS_MAX: Final = 600  # A demo is watched; ten minutes are more than anybody does.
BACKERS_MAX: Final = 5_000  # In one group. More is a load test, for which there is `make bench`.
GROUPS_MAX: Final = 50
PHASES_MAX: Final = 20
SECOND_LIMIT_MARGIN: Final = 3  # Seconds that must lie between launch and cutoff, or nobody could cancel.

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Minor = Annotated[int, Field(ge=1, le=AMOUNT_MINOR_MAX, strict=True, description="In minor units: 2500 is 25.00 EUR")]
Count = Annotated[int, Field(ge=1, le=BACKERS_MAX, strict=True)]
Seconds = Annotated[int, Field(ge=0, le=DEADLINE_SECONDS_MAX, strict=True)]


class PledgeAnswer(StrEnum):
    """What becomes of an attempt to pledge: it stands, the card is declined, or the platform refuses it."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    SOLD_OUT = "sold-out"
    BELOW_MINIMUM = "below-minimum"


class CancelAnswer(StrEnum):
    CANCELLED = "cancelled"
    CUTOFF_PASSED = "cutoff-passed"
    REFUND_WINDOW_OVER = "refund-window-over"


class Part(BaseModel):
    """Frozen, and an unknown field is an error that names those that are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, value: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        if isinstance(value, dict) and (unknown := [name for name in value if name not in known]):
            raise PydanticCustomError(
                "unknown_field",
                "has no field {unknown}; allowed are {known}",
                {"unknown": ", ".join(map(repr, unknown)), "known": ", ".join(known)},
            )
        return value


class Tier(Part):
    """A reward. `limit` makes it limited; `pool_of` lets it share the slots of an earlier tier."""

    key: Name = Field(description="How pledges of this file name the tier")
    title: Title
    description: str = Field("", max_length=2_000)
    minimum: Minor
    estimated_delivery: YearMonth
    limit: Count | None = None
    pool_of: Name | None = Field(None, description="Key of the tier whose slots this one shares")

    @model_validator(mode="after")
    def _limit_or_pool(self) -> Self:
        if self.limit is not None and self.pool_of is not None:
            raise ValueError("a tier that shares a pool has that pool's limit: give limit or pool_of, not both")
        return self


class StretchGoal(Part):
    title: Title
    amount: Minor


class PolicyChoice(Part):
    """What the creator chooses at launch (DOMAIN C4); what is left out is the platform's default."""

    cancellation_cutoff_seconds: Seconds | None = Field(None, description="Before the deadline")
    fix_payment_seconds: Seconds | None = Field(None, description="How long a failed capture can be mended")
    refund_window_seconds: Seconds | None = Field(None, description="Keep-it-all: after the pledge")
    lowest_collectable_bps: int | None = Field(None, ge=0, le=10_000, strict=True)


class Campaign(Part):
    title: Title
    story: str = Field(max_length=20_000)
    goal: Minor
    currency: Currency
    model: FundingModel
    deadline_seconds: int = Field(
        ge=DEADLINE_SECONDS_MIN, le=DEADLINE_SECONDS_MAX, strict=True, description="After the launch"
    )
    policy: PolicyChoice = PolicyChoice()
    tiers: tuple[Tier, ...] = Field((), max_length=GROUPS_MAX)
    stretch_goals: tuple[StretchGoal, ...] = Field((), max_length=20)

    @property
    def cutoff_seconds(self) -> int:
        """From launch to the cutoff; the deadline itself where none is chosen."""
        return self.deadline_seconds - (self.policy.cancellation_cutoff_seconds or 0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        keys = [tier.key for tier in self.tiers]
        if len(set(keys)) < len(keys):
            raise ValueError("two tiers have the same key")
        for number, tier in enumerate(self.tiers):
            if tier.pool_of is not None and tier.pool_of not in keys[:number]:
                raise ValueError(f"tier {tier.key!r} shares the pool of {tier.pool_of!r}, which is no earlier tier")
        if self.cutoff_seconds < SECOND_LIMIT_MARGIN:
            raise ValueError("the cutoff must lie some seconds after the launch: make deadline_seconds longer")
        return self


class PledgeGroup(Part):
    """So many backers who pledge the same, all at once; their number in each country."""

    group: Name = Field(description="How cancellations of this file name these backers")
    backers: dict[CountryCode, Count] = Field(min_length=1, description="Country to number of backers")
    amount: Minor
    tier: Name | None = Field(None, description="Key of a tier; without it a pledge without a reward")
    card: str = Field("pm_card_visa", description="One of the Stripe sandbox's test payment methods")
    expect: dict[PledgeAnswer, Count] = Field(
        default_factory=dict, description="Answers to how many; left out: all are accepted"
    )

    @property
    def size(self) -> int:
        return sum(self.backers.values())

    def expected(self, answer: PledgeAnswer) -> int:
        return (self.expect or {PledgeAnswer.ACCEPTED: self.size}).get(answer, 0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.expect and sum(self.expect.values()) != self.size:
            raise ValueError(f"expect adds up to {sum(self.expect.values())}, but there are {self.size} backers")
        if self.card not in CARDS:
            raise ValueError(f"card {self.card!r} is not known; allowed are {', '.join(CARDS)}")
        return self


class CancelGroup(Part):
    """So many backers of a group who take their pledges back."""

    group: Name
    count: Count
    expect: dict[CancelAnswer, Count] = Field(
        default_factory=dict, description="Answers to how many; left out: all are cancelled"
    )

    def expected(self, answer: CancelAnswer) -> int:
        return (self.expect or {CancelAnswer.CANCELLED: self.count}).get(answer, 0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.expect and sum(self.expect.values()) != self.count:
            raise ValueError(f"expect adds up to {sum(self.expect.values())}, but count is {self.count}")
        return self


class Phase(Part):
    """What happens at the same time. A phase starts when everything of the one before is decided and shown."""

    name: Title
    after: Literal["cutoff"] | None = Field(None, description="Wait for the cancellation cutoff first")
    pledge: tuple[PledgeGroup, ...] = Field((), max_length=GROUPS_MAX)
    cancel: tuple[CancelGroup, ...] = Field((), max_length=GROUPS_MAX)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.pledge) == bool(self.cancel):
            raise ValueError("a phase has either pledge or cancel: together their order would be left to chance")
        return self


class Tally(Part):
    count: int = Field(0, ge=0, strict=True)
    amount: int = Field(0, ge=0, strict=True, description="In minor units")

    def __add__(self, other: Tally) -> Tally:
        return Tally(count=self.count + other.count, amount=self.amount + other.amount)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(count=self.count - other.count, amount=self.amount - other.amount)


class Expected(Part):
    """What must come of it, by the author's own reckoning. What is left out must not happen at all."""

    outcome: Outcome
    pledged: Tally = Field(Tally(), description="On the campaign's page when the last phase is over")
    captured: Tally = Field(Tally(), description="Taken from cards, also what was given back later")
    voided: Tally = Field(Tally(), description="Holds that were released")
    refunded: Tally = Tally()
    dropped: Tally = Field(Tally(), description="Captures that failed and were never mended")
    declined: int = Field(0, ge=0, strict=True)
    cancelled: int = Field(0, ge=0, strict=True)
    refused: dict[str, int] = Field(default_factory=dict, description="Problem code to number of refusals")
    milestones: tuple[int | str, ...] = Field((), description="25, 50, 75, 100 and titles of stretch goals, in order")


class Scenario(Part):
    """One file: one campaign from draft to payout."""

    json_schema: str = Field("", alias="$schema", description="For editors; not read")
    name: Name
    about: str = Field("", max_length=2_000)
    campaign: Campaign
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=PHASES_MAX)
    expect: Expected

    @property
    def backers(self) -> int:
        return sum(group.size for phase in self.phases for group in phase.pledge)
