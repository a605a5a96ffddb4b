"""What comes in over HTTP, checked for kind and size; rules are the domain's (DOMAIN H4)."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from campaign.domain import Campaign, Status
from campaign.domain_commands import PolicyChoice
from campaign.examples import ID, PATH, TERMS, TIER, TIER_EXAMPLE, UPDATE_EXAMPLE, eur
from campaign.pages import address
from contracts.campaign import FundingModel, RewardTier, StretchGoal, UpdateKind, YearMonth
from contracts.money import AMOUNT_MINOR_MAX, Currency, Money

TITLE_MAX: Final = 200
STORY_MAX: Final = 20_000  # With every character escaped it still fits the body limit of 64 KB.
DESCRIPTION_MAX: Final = 2_000
TEXT_MAX: Final = 10_000  # An update is an event, and a message carries a hundred of them.
REASON_MAX: Final = 500
STRETCH_GOALS_MAX: Final = 20
SLOTS_MAX: Final = 1_000_000  # Five times the backers of the largest campaign there was.


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _example(**fields: Any) -> ConfigDict:
    """A body's configuration with an example for the API page."""
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [fields]})


class Price(_Body):
    """Money to be paid, in minor units."""

    amount: int = Field(ge=1, le=AMOUNT_MINOR_MAX, strict=True, examples=[2500])
    currency: Currency

    def money(self) -> Money:
        return Money(amount=self.amount, currency=self.currency)


def _check_pool(limit: int | None, pool_of: UUID | None) -> None:
    if limit is not None and pool_of is not None:
        raise ValueError("A tier that shares a pool has that pool's limit: give limit or pool_of, not both")


def _text_only(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic answers a ValueError to the client
            "Input should be a time such as 2027-03-01T12:00:00Z"
        )
    return value


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("Input is beyond the calendar") from None


Instant = Annotated[
    AwareDatetime, BeforeValidator(_text_only), AfterValidator(_utc), Field(examples=["2027-03-01T12:00:00Z"])
]
Title = Annotated[str, Field(min_length=1, max_length=TITLE_MAX, pattern=r"\S")]
Slots = Annotated[int, Field(ge=1, le=SLOTS_MAX, strict=True, examples=[500])]


class StretchGoalBody(_Body):
    title: Title
    amount: Price

    def stretch_goal(self) -> StretchGoal:
        return StretchGoal(title=self.title, amount=self.amount.money())


class DraftBody(_Body):
    model_config = _example(
        title="A lamp for night walkers",
        story="It glows for a week on one charge.",
        goal=eur(1_000_000),
        model="all_or_nothing",
        deadline="2027-03-01T12:00:00Z",
        stretch_goals=[{"title": "A second colour", "amount": eur(2_000_000)}],
    )

    title: Title
    story: str = Field(max_length=STORY_MAX)
    goal: Price
    model: FundingModel
    deadline: Instant
    stretch_goals: tuple[StretchGoalBody, ...] = Field((), max_length=STRETCH_GOALS_MAX)


class ChangeBody(_Body):
    """Only what is named changes."""

    model_config = _example(title="A lamp for night walkers and readers")

    title: Title | None = None
    story: str | None = Field(None, max_length=STORY_MAX)
    goal: Price | None = None
    model: FundingModel | None = None
    deadline: Instant | None = None
    stretch_goals: tuple[StretchGoalBody, ...] | None = Field(None, max_length=STRETCH_GOALS_MAX)


def terms_of(body: DraftBody | ChangeBody) -> dict[str, Any]:
    """The fields of `campaign.domain.Terms` that the body names."""
    given = {name: value for name in type(body).model_fields if (value := getattr(body, name)) is not None}
    if body.goal is not None:
        given["goal"] = body.goal.money()
    if body.stretch_goals is not None:
        given["stretch_goals"] = tuple(one.stretch_goal() for one in body.stretch_goals)
    return given


class TierBody(_Body):
    """`limit`: so many, and no more. `pool_of`: shares the slots of that tier. Neither: unlimited."""

    model_config = _example(
        title="One lamp",
        description="In the colour of your choice.",
        minimum=eur(2_500),
        estimated_delivery="2027-12",
        limit=500,
    )

    title: Title
    description: str = Field("", max_length=DESCRIPTION_MAX)
    minimum: Price
    estimated_delivery: YearMonth
    limit: Slots | None = None
    pool_of: UUID | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        _check_pool(self.limit, self.pool_of)
        return self


class TierChangeBody(_Body):
    """Only what is named changes: in a draft everything, while the campaign is active only to a higher limit.

    `limit: null` makes a draft's tier unlimited. `pool_of` shares the slots of that tier from now on.
    """

    model_config = _example(limit=800)

    title: Title | None = None
    description: str | None = Field(None, max_length=DESCRIPTION_MAX)
    minimum: Price | None = None
    estimated_delivery: YearMonth | None = None
    limit: Slots | None = None
    pool_of: UUID | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        _check_pool(self.limit, self.pool_of)
        return self

    def changes(self) -> dict[str, Any]:
        """The fields of `contracts.campaign.RewardTier` that the body names, and `pool_of`."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if self.minimum is not None:
            given["minimum"] = self.minimum.money()
        return {name: value for name, value in given.items() if value is not None or name == "limit"}


class UpdateBody(_Body):
    """News for everybody, or with `tier_id` for those who back that tier."""

    model_config = _example(kind="production", title="The moulds are here", text="We cast the first lamps on Monday.")

    kind: UpdateKind
    title: Title
    text: str = Field(min_length=1, max_length=TEXT_MAX, pattern=r"\S")
    tier_id: UUID | None = None


class LaunchBody(_Body):
    model_config = _example(policy={"cancellation_cutoff_seconds": 172_800})

    policy: PolicyChoice = Field(default_factory=PolicyChoice)


class CancelBody(_Body):
    model_config = _example(reason="The part that everything hangs on is not made any more.")

    reason: str = Field("", max_length=REASON_MAX)


def _answer(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [{"id": ID} | TERMS | fields]})


class CommandAnswer(BaseModel):
    """What a command answers: the campaign as it is now, in short, and what can be done next.

    `etag` is a draft's: its next change may carry it as If-Match. An answer that was stored before a field was
    added has it as null.
    """

    model_config = _answer(
        status="draft",
        etag='"5d41402abc4b2a76"',
        links={"self": PATH, "tiers": f"{PATH}/tiers", "launch": f"{PATH}/launch"},
    )

    id: UUID
    status: Status
    title: str | None = None
    goal: Money | None = None
    model: FundingModel | None = None
    deadline: datetime | None = None
    etag: str | None = None
    links: dict[str, str]


class TierInShort(BaseModel):
    title: str
    minimum: Money
    limit: int | None


class TierAnswer(CommandAnswer):
    """The same for a command about a tier, with the tier. `tier_etag` may go into its next change as If-Match."""

    model_config = _answer(
        status="active",
        tier_id=TIER,
        tier={"title": "One lamp", "minimum": eur(2_500), "limit": 500},
        tier_etag='"7d793037a0760186"',
        links={"self": f"{PATH}/tiers/{TIER}", "campaign": PATH},
    )

    tier_id: UUID
    tier: TierInShort | None = None
    tier_etag: str | None = None


class TierShown(TierInShort):
    """A tier as its creator wrote it. `shares_with`: tiers that draw from the same limited stock."""

    model_config = ConfigDict(json_schema_extra={"examples": [TIER_EXAMPLE | {"shares_with": []}]})

    id: UUID
    description: str
    estimated_delivery: YearMonth
    shares_with: list[UUID]
    links: dict[str, str]

    @classmethod
    def of(cls, campaign: Campaign, tier: RewardTier) -> Self:
        path = address(campaign.campaign_id)
        pool = [one.tier_id for one in campaign.tiers if one.pool_id is not None and one.pool_id == tier.pool_id]
        return cls(
            id=tier.tier_id,
            **{
                name: getattr(tier, name) for name in ("title", "description", "minimum", "estimated_delivery", "limit")
            },
            shares_with=[one for one in pool if one != tier.tier_id],
            links={"self": f"{path}/tiers/{tier.tier_id}", "campaign": path},
        )


class UpdateAnswer(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [UPDATE_EXAMPLE]})

    id: UUID
    number: int
    kind: UpdateKind
    title: str
    tier_id: UUID | None
    posted_at: datetime
    links: dict[str, str]
