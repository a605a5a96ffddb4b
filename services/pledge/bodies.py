"""What comes in and goes out over HTTP, checked for kind and size; rules are the domain's (DOMAIN H4)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.money import AMOUNT_MINOR_MAX, Currency, Money
from contracts.pledge import CountryCode
from pledge import examples
from pledge.domain import UNDECIDED, Status
from pledge.domain_options import Options, risk_in_words
from pledge.domain_waitlist import Waiting
from pledge.queries import AHEAD_MAX
from pledge.tables import PledgeView

PaymentMethod = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_-]{1,255}$",
        description="The card processor's id of the backer's payment method",
        examples=["pm_card_visa"],
    ),
]


def _shows(example: Mapping[str, Any]) -> ConfigDict:
    """A configuration with an example for the API page."""
    return ConfigDict(json_schema_extra={"examples": [dict(example)]})


class Price(BaseModel):
    """Money to be paid, in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: int = Field(ge=1, le=AMOUNT_MINOR_MAX, strict=True, examples=[2500])
    currency: Currency


class PledgeBody(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", **_shows(examples.WISH))

    amount: Price
    tier_id: UUID | None = Field(None, description="A reward of the campaign, or none")
    payment_method: PaymentMethod
    country: CountryCode = Field(description="Where the reward goes, ISO 3166-1")


class ChangeBody(BaseModel):
    """What is to be different. A field that is left out stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", **_shows(examples.CHANGE))

    amount: Price | None = None
    tier_id: UUID | None = Field(None, description="Another reward; null: none")
    payment_method: PaymentMethod | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one field")
        if any(getattr(self, name) is None for name in self.model_fields_set - {"tier_id"}):
            raise ValueError("only tier_id may be null")
        return self


class PledgeLinks(BaseModel):
    self: str = Field(examples=["/pledges/0190f2c4-0000-7000-8000-000000000000"])
    campaign: str = Field(examples=["/campaigns/0190f2c4-0000-7000-8000-000000000001"])


class PledgeAnswer(BaseModel):
    """A pledge after a command."""

    model_config = _shows(examples.ANSWER)

    id: UUID
    status: Status
    amount: Money
    tier_id: UUID | None
    campaign_id: UUID
    placed_at: datetime
    links: PledgeLinks


class ChangeAnswer(PledgeAnswer):
    """The pledge after a change: as it was, while the change is undecided."""

    model_config = _shows(examples.ANSWER | {"version": 4, "undecided": False})

    version: int
    undecided: bool = Field(description="A new hold is being taken; the pledge stands as it was until then")


class ShownLinks(PledgeLinks):
    change: str | None = Field(None, description="PATCH here, while that is possible")
    cancel: str | None = Field(None, description="POST here, while that is possible")


class ShownChange(BaseModel):
    """The last change asked for, unless it was done."""

    id: UUID
    amount: Money
    tier_id: UUID | None
    decide_by: datetime | None = Field(description="Dropped if it is still undecided then; null: it was dropped")
    reason: str | None = Field(description="Why it was dropped")


class NextAction(BaseModel):
    """What the bank wants of the backer before the payment goes on."""

    type: Literal["authenticate"] = Field("authenticate", description="3-D Secure")
    link: str = Field(
        description="GET it for what the card processor's page needs", examples=[f"{examples.SELF}/next-action"]
    )
    until: datetime = Field(description="Then the pledge is declined, or its change dropped")


class ShownRisk(BaseModel):
    """The hold could not be renewed: a new one is being sought, unless only another card helps."""

    since: datetime
    lost: bool = Field(description="Nothing is held on the card any more")
    needs_another_card: bool = Field(description="This card is not tried again; false: it is")
    reason: str = Field(description="The provider's decline code, or `hold_lost`")
    detail: str = Field(description="What that means, in words, and what to do about it")


class ShownPledge(PledgeAnswer):
    """A pledge as its backer sees it."""

    model_config = _shows(examples.SHOWN)

    links: ShownLinks
    country: CountryCode
    reason: str | None = Field(description="Why it was declined, cancelled or not captured")
    decide_by: datetime | None = Field(description="While the payment is undecided: declined if it still is then")
    next_action: NextAction | None = Field(None, description="The bank wants you, for the pledge or for its change")
    at_risk: ShownRisk | None = None
    refunded: Money | None = Field(None, description="What was given back in all")
    change: ShownChange | None = None
    change_until: datetime | None = Field(description="Raising and moving up is possible until then; null: it is not")
    lower_until: datetime | None = Field(description="The same for lowering it or leaving its tier")
    cancel_until: datetime | None = Field(description="The same for taking it back")
    changed_at: datetime
    version: int

    @classmethod
    def of(cls, row: PledgeView, options: Options) -> "ShownPledge":
        path = f"/pledges/{row.pledge_id}"
        return cls(
            id=row.pledge_id,
            status=row.status,
            amount=Money(amount=row.amount_minor, currency=row.currency),
            tier_id=row.tier_id,
            campaign_id=row.campaign_id,
            placed_at=row.placed_at,
            links=ShownLinks(
                self=path,
                campaign=f"/campaigns/{row.campaign_id}",
                change=path if options.change_until else None,
                cancel=f"{path}/cancel" if options.cancel_until else None,
            ),
            country=row.country,
            reason=row.reason,
            decide_by=row.lease_until if row.status in UNDECIDED else None,
            next_action=_next_action(row, path),
            at_risk=_shown_risk(row, options),
            refunded=Money(amount=row.refunded_minor, currency=row.currency) if row.refunded_minor else None,
            change=_shown_change(row),
            change_until=options.change_until,
            lower_until=options.lower_until,
            cancel_until=options.cancel_until,
            changed_at=row.changed_at,
            version=row.version,
        )


def _next_action(row: PledgeView, path: str) -> NextAction | None:
    """The link is the payment service's to serve, to the backer alone (DOMAIN N4)."""
    until = row.lease_until if row.status is Status.ACTION_REQUIRED else row.change_until if row.change_waits else None
    return NextAction(link=f"{path}/next-action", until=until) if until else None


def _shown_risk(row: PledgeView, options: Options) -> ShownRisk | None:
    if row.at_risk_since is None:
        return None
    return ShownRisk(
        since=row.at_risk_since,
        lost=row.hold_lost,
        needs_another_card=row.card_refused,
        reason=row.at_risk_reason or "",
        detail=risk_in_words(options, lost=row.hold_lost, hard=row.card_refused),
    )


def _shown_change(row: PledgeView) -> ShownChange | None:
    if row.change_id is None or row.change_amount_minor is None:
        return None
    return ShownChange(
        id=row.change_id,
        amount=Money(amount=row.change_amount_minor, currency=row.currency),
        tier_id=row.change_tier_id,
        decide_by=row.change_until,
        reason=row.change_reason,
    )


class WaitLinks(BaseModel):
    self: str = Field(examples=[examples.WAIT["links"]["self"]])
    mine: str = Field("/me/waitlist", examples=["/me/waitlist"])


class WaitAnswer(BaseModel):
    """A place on a waitlist."""

    model_config = _shows(examples.WAIT)

    campaign_id: UUID
    tier_id: UUID
    joined_at: datetime
    links: WaitLinks


class ShownWait(WaitAnswer):
    ahead: int = Field(ge=0, le=AHEAD_MAX, description=f"How many are served first; {AHEAD_MAX}: or more")
    offered_until: datetime | None = Field(description="A reward is kept for you until then: pledge for it")

    @classmethod
    def of(cls, entry: Waiting, ahead: int) -> "ShownWait":
        return cls(
            campaign_id=entry.campaign_id,
            tier_id=entry.tier_id,
            joined_at=entry.joined_at,
            links=WaitLinks(self=f"/campaigns/{entry.campaign_id}/tiers/{entry.tier_id}/waitlist"),
            ahead=ahead,
            offered_until=entry.offered_until,
        )


class WaitPage(BaseModel):
    model_config = _shows({"items": [examples.WAIT | {"ahead": 3, "offered_until": None}]})

    items: list[ShownWait]


class PageLinks(BaseModel):
    next: str | None = Field(description="The next page, if there is one")


class ShownBacker(BaseModel):
    """A pledge as the campaign's creator sees it: nothing says who the person is (DOMAIN N4)."""

    pledge_id: UUID
    backer_id: UUID
    status: Status
    amount: Money
    tier_id: UUID | None
    country: CountryCode
    placed_at: datetime

    @classmethod
    def of(cls, row: PledgeView) -> "ShownBacker":
        return cls(
            pledge_id=row.pledge_id,
            backer_id=row.backer_id,
            status=row.status,
            amount=Money(amount=row.amount_minor, currency=row.currency),
            tier_id=row.tier_id,
            country=row.country,
            placed_at=row.placed_at,
        )


class BackerPage(BaseModel):
    model_config = _shows({"items": [examples.BACKER], "links": {"next": None}})

    items: list[ShownBacker]
    links: PageLinks


class PledgePage(BaseModel):
    model_config = _shows({"items": [examples.SHOWN], "links": {"next": None}})

    items: list[ShownPledge]
    links: PageLinks
