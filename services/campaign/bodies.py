"""What comes in over HTTP, checked for kind and size; rules are the domain's (DOMAIN H4)."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from campaign.domain_commands import PolicyChoice
from contracts.campaign import FundingModel, StretchGoal, YearMonth
from contracts.money import AMOUNT_MINOR_MAX, Currency, Money

TITLE_MAX: Final = 200
STORY_MAX: Final = 20_000  # With every character escaped it still fits the body limit of 64 KB.
DESCRIPTION_MAX: Final = 2_000
REASON_MAX: Final = 500
STRETCH_GOALS_MAX: Final = 20
SLOTS_MAX: Final = 1_000_000  # Five times the backers of the largest campaign there was.


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Body):
    """Money to be paid, in minor units."""

    amount: int = Field(ge=1, le=AMOUNT_MINOR_MAX, strict=True, examples=[2500])
    currency: Currency

    def money(self) -> Money:
        return Money(amount=self.amount, currency=self.currency)


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
    title: Title
    story: str = Field(max_length=STORY_MAX)
    goal: Price
    model: FundingModel
    deadline: Instant
    stretch_goals: tuple[StretchGoalBody, ...] = Field((), max_length=STRETCH_GOALS_MAX)


class ChangeBody(_Body):
    """Only what is named changes."""

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

    title: Title
    description: str = Field("", max_length=DESCRIPTION_MAX)
    minimum: Price
    estimated_delivery: YearMonth
    limit: Slots | None = None
    pool_of: UUID | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.limit is not None and self.pool_of is not None:
            raise ValueError("A tier that shares a pool has that pool's limit: give limit or pool_of, not both")
        return self


class LimitBody(_Body):
    limit: Slots


class LaunchBody(_Body):
    policy: PolicyChoice = Field(default_factory=PolicyChoice)


class CancelBody(_Body):
    reason: str = Field("", max_length=REASON_MAX)


class CommandAnswer(BaseModel):
    """What every command answers: the campaign's id, its status now, and where to look."""

    id: UUID
    status: str
    links: dict[str, str]


class TierAnswer(CommandAnswer):
    tier_id: UUID
