"""What comes in and goes out over HTTP, checked for kind and size; rules are the domain's (DOMAIN H4)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.money import AMOUNT_MINOR_MAX, Currency, Money
from contracts.pledge import CountryCode
from pledge.domain import Status
from pledge.tables import PledgeView


class Price(BaseModel):
    """Money to be paid, in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: int = Field(ge=1, le=AMOUNT_MINOR_MAX, strict=True, examples=[2500])
    currency: Currency


class PledgeBody(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Price
    tier_id: UUID | None = Field(None, description="A reward of the campaign, or none")
    payment_method: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_-]{1,255}$",
            description="The card processor's id of the backer's payment method",
            examples=["pm_card_visa"],
        ),
    ]
    country: CountryCode = Field(description="Where the reward goes, ISO 3166-1")


class PledgeLinks(BaseModel):
    self: str = Field(examples=["/pledges/0190f2c4-0000-7000-8000-000000000000"])
    campaign: str


class PledgeAnswer(BaseModel):
    """A pledge after a command."""

    id: UUID
    status: Status
    amount: Money
    tier_id: UUID | None
    campaign_id: UUID
    placed_at: datetime
    links: PledgeLinks


class ShownPledge(PledgeAnswer):
    """A pledge as its backer sees it."""

    country: CountryCode
    reason: str | None = Field(description="Why it was declined, cancelled or not captured")
    decide_by: datetime | None = Field(description="While the payment is undecided: declined if it still is then")
    changed_at: datetime
    version: int

    @classmethod
    def of(cls, row: PledgeView, *, undecided: bool) -> "ShownPledge":
        links = PledgeLinks(self=f"/pledges/{row.pledge_id}", campaign=f"/campaigns/{row.campaign_id}")
        return cls(
            id=row.pledge_id,
            status=row.status,
            amount=Money(amount=row.amount_minor, currency=row.currency),
            tier_id=row.tier_id,
            campaign_id=row.campaign_id,
            placed_at=row.placed_at,
            links=links,
            country=row.country,
            reason=row.reason,
            decide_by=row.lease_until if undecided else None,
            changed_at=row.changed_at,
            version=row.version,
        )


class PageLinks(BaseModel):
    next: str | None = Field(description="The next page, if there is one")


class PledgePage(BaseModel):
    items: list[ShownPledge]
    links: PageLinks
