"""The dashboard's numbers as they are shown: one report, whole as JSON or section by section as CSV (DOMAIN A1, A5)."""

import csv
import io
from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from analytics import queries
from analytics.domain import NO_TIER, Measures
from analytics.projections import CampaignRow, MilestoneRow, TierRow
from contracts.campaign import FundingModel
from contracts.money import Money, decimals
from eventing.database import Pool

NO_TIER_TITLE = "No reward"
# A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class CampaignOut(BaseModel):
    id: UUID
    title: str
    status: Literal["active", "settling", "funded", "partially_funded", "failed", "cancelled"]
    model: FundingModel
    goal: Money
    currency_decimals: int
    launched_at: datetime | None
    deadline: datetime | None


class Totals(BaseModel):
    """`pledged` counts towards the goal: held or captured, less what was given back. `percent` is rounded down.

    `at_risk`: the part of it whose hold could not be renewed. `disputes` are open; those lost are counted apart.
    """

    backers: int
    pledged: Money
    percent: int
    placed: int
    placed_amount: Money
    captured: int
    captured_amount: Money
    at_risk: int
    at_risk_amount: Money
    refunded_amount: Money
    disputes: int
    disputed_amount: Money
    disputes_lost: int
    lost_amount: Money


class TierOut(BaseModel):
    """`limit` and `slots_left` are of the pool, which tiers may share; null: unlimited."""

    tier_id: UUID | None
    title: str
    minimum: Money | None
    backers: int
    pledged: Money
    limit: int | None
    slots_left: int | None


class CountryOut(BaseModel):
    country: str
    backers: int
    pledged: Money


class DayOut(BaseModel):
    """Pledges by the day (UTC) they were placed on: all of them, and those that count."""

    day: date
    placed: int
    placed_amount: Money
    backers: int
    pledged: Money


class Funnel(BaseModel):
    """How far pledges came, and how those that came no further ended."""

    placed: int
    authorized: int
    captured: int
    declined: int
    cancelled: int
    capture_failed: int
    dropped: int
    voided: int
    refunded: int


class MilestoneOut(BaseModel):
    threshold: Money
    percent: int | None
    stretch_goal: str | None
    backers: int
    crossed_at: datetime


class Report(BaseModel):
    campaign: CampaignOut
    totals: Totals
    tiers: list[TierOut]
    countries: list[CountryOut]
    days: list[DayOut]
    funnel: Funnel
    milestones: list[MilestoneOut]
    links: dict[str, str]


Section = Literal["totals", "tiers", "countries", "days", "funnel", "milestones"]
SECTIONS: tuple[Section, ...] = ("totals", "tiers", "countries", "days", "funnel", "milestones")
# The columns of a section that may have no rows.
_ROWS: Mapping[Section, type[BaseModel]] = {
    "totals": Totals,
    "tiers": TierOut,
    "countries": CountryOut,
    "days": DayOut,
    "funnel": Funnel,
    "milestones": MilestoneOut,
}


async def report(pool: Pool, campaign: CampaignRow) -> Report:
    """All numbers of a launched campaign."""
    found = await queries.numbers(pool, campaign.campaign_id)
    tiers = await queries.tiers(pool, campaign.campaign_id)
    slots = await queries.slots(pool, campaign.campaign_id)
    milestones = await queries.milestones(pool, campaign.campaign_id)
    show = _Shower(campaign)
    return Report(
        campaign=show.campaign(),
        totals=show.totals(found.total),
        tiers=show.tiers(tiers, slots, found.by_tier),
        countries=[show.country(*one) for one in sorted(found.by_country.items(), key=_largest_first)],
        days=[show.day(*one) for one in sorted(found.by_day.items())],
        funnel=_funnel(found.total),
        milestones=[show.milestone(one) for one in milestones],
        links=_links(campaign.campaign_id),
    )


def _largest_first(one: tuple[str, Measures]) -> tuple[int, str]:
    return -one[1].live_minor, one[0]


class _Shower:
    """Puts the campaign's currency on its amounts."""

    def __init__(self, campaign: CampaignRow) -> None:
        self._campaign = campaign

    def _money(self, minor: int) -> Money:
        return Money(amount=minor, currency=self._campaign.currency)

    def campaign(self) -> CampaignOut:
        row = self._campaign
        return CampaignOut(
            id=row.campaign_id,
            title=row.title,
            status=_status(row),
            model=row.model or FundingModel.ALL_OR_NOTHING,
            goal=self._money(row.goal_minor),
            currency_decimals=decimals(row.currency),
            launched_at=row.launched_at,
            deadline=row.deadline,
        )

    def totals(self, measures: Measures) -> Totals:
        goal = self._campaign.goal_minor
        return Totals(
            backers=measures.live,
            pledged=self._money(measures.live_minor),
            percent=measures.live_minor * 100 // goal if goal else 0,
            placed=measures.placed,
            placed_amount=self._money(measures.placed_minor),
            captured=measures.captured,
            captured_amount=self._money(measures.captured_minor),
            at_risk=measures.at_risk,
            at_risk_amount=self._money(measures.at_risk_minor),
            refunded_amount=self._money(measures.refunded_minor),
            disputes=measures.disputes,
            disputed_amount=self._money(measures.disputed_minor),
            disputes_lost=measures.disputes_lost,
            lost_amount=self._money(measures.lost_minor),
        )

    def tiers(
        self, tiers: list[TierRow], slots: Mapping[UUID, queries.Slots], by_tier: Mapping[UUID, Measures]
    ) -> list[TierOut]:
        shown = [self._tier(tier, slots.get(tier.pool_id or NO_TIER), by_tier) for tier in tiers]
        if NO_TIER in by_tier:
            bare = by_tier[NO_TIER]
            shown.append(
                TierOut(
                    tier_id=None,
                    title=NO_TIER_TITLE,
                    minimum=None,
                    backers=bare.live,
                    pledged=self._money(bare.live_minor),
                    limit=None,
                    slots_left=None,
                )
            )
        return shown

    def _tier(self, tier: TierRow, slots: queries.Slots | None, by_tier: Mapping[UUID, Measures]) -> TierOut:
        measures = by_tier.get(tier.tier_id, Measures())
        return TierOut(
            tier_id=tier.tier_id,
            title=tier.title,
            minimum=self._money(tier.minimum_minor),
            backers=measures.live,
            pledged=self._money(measures.live_minor),
            limit=slots and slots.limit,
            slots_left=slots and slots.left,
        )

    def country(self, country: str, measures: Measures) -> CountryOut:
        return CountryOut(country=country, backers=measures.live, pledged=self._money(measures.live_minor))

    def day(self, day: date, measures: Measures) -> DayOut:
        return DayOut(
            day=day,
            placed=measures.placed,
            placed_amount=self._money(measures.placed_minor),
            backers=measures.live,
            pledged=self._money(measures.live_minor),
        )

    def milestone(self, row: MilestoneRow) -> MilestoneOut:
        return MilestoneOut(
            threshold=self._money(row.threshold_minor),
            percent=row.percent,
            stretch_goal=row.stretch_goal,
            backers=row.backers,
            crossed_at=row.crossed_at,
        )


def _status(row: CampaignRow) -> Literal["active", "settling", "funded", "partially_funded", "failed", "cancelled"]:
    if row.cancelled_at:
        return "cancelled"
    if row.outcome:
        return row.outcome.value
    return "settling" if row.closed_at else "active"


def _funnel(total: Measures) -> Funnel:
    return Funnel(
        placed=total.placed,
        authorized=total.secured,
        captured=total.captured,
        declined=total.declined,
        cancelled=total.cancelled,
        capture_failed=total.capture_failed,
        dropped=total.dropped,
        voided=total.voided,
        refunded=total.refunded,
    )


def _links(campaign_id: UUID) -> dict[str, str]:
    base = f"/campaigns/{campaign_id}"
    own = {"campaign": base, "dashboard": f"{base}/dashboard"}
    return own | {section: f"{base}/analytics/{section}.csv" for section in SECTIONS}


def as_csv(whole: Report, section: Section) -> str:
    """A section as CSV with a header line. Money takes two columns: minor units and currency."""
    found = getattr(whole, section)
    rows = [_flat(row) for row in (found if isinstance(found, list) else [found])]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=_columns(_ROWS[section]), restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _columns(row: type[BaseModel]) -> list[str]:
    names = []
    for name, field in row.model_fields.items():
        is_money = field.annotation in {Money, Money | None}
        names += [f"{name}_minor", f"{name}_currency"] if is_money else [name]
    return names


def _flat(row: BaseModel) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in row:
        if isinstance(value, Money):
            flat |= {f"{name}_minor": value.amount, f"{name}_currency": value.currency}
        elif isinstance(value, datetime):
            flat[name] = value.isoformat()
        elif isinstance(value, str) and value.startswith(FORMULA_STARTS):
            flat[name] = f"'{value}"
        elif value is not None:
            flat[name] = value
    return flat
