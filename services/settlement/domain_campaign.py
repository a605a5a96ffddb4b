"""What settlement knows of a campaign: its facts in any order, the sums of its book, how far it is (DOMAIN S1)."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from contracts.campaign import CampaignLaunched, FundingModel
from contracts.ids import CampaignId, PersonId
from contracts.money import Money
from contracts.pledge import PledgeBookClosed
from contracts.settlement import Outcome, Tally
from settlement.domain_book import UNFINISHED, BookedPledge, Bucket, bucket_of

BASIS_POINTS = 10_000


class Direction(StrEnum):
    COLLECT = "collect"
    VOID = "void"


@dataclass(frozen=True)
class Campaign:
    """What is known of a campaign, fact by fact in any order, and how far its settlement is.

    `book_changes` counts the changes of the own copy of the book; `checked_changes` is its value when the copy was
    last compared with the manifest. Sums are in minor units of `currency`.
    """

    campaign_id: CampaignId
    creator_id: PersonId | None = None
    model: FundingModel | None = None
    goal_minor: int = 0
    currency: str = ""
    lowest_collectable_bps: int = BASIS_POINTS
    fix_payment_seconds: int = 0
    platform_fee_bps: int = 0
    closed_at: datetime | None = None
    cancelled_at: datetime | None = None
    manifest_at: datetime | None = None
    manifest_count: int = 0
    manifest_minor: int = 0
    manifest_digest: str = ""
    book_changes: int = 0
    checked_changes: int | None = None
    direction: Direction | None = None
    started_at: datetime | None = None
    to_do_count: int = 0  # unfinished when it started
    answered_at: datetime | None = None  # the last fact about a pledge after the start
    outcome: Outcome | None = None
    settled_at: datetime | None = None
    open_count: int = 0
    open_minor: int = 0
    outstanding_count: int = 0
    outstanding_minor: int = 0
    failed_count: int = 0
    failed_minor: int = 0
    dropping_count: int = 0
    dropping_minor: int = 0
    captured_count: int = 0
    captured_minor: int = 0
    voided_count: int = 0
    voided_minor: int = 0
    dropped_count: int = 0
    dropped_minor: int = 0
    left_count: int = 0
    left_minor: int = 0

    def count(self, *buckets: Bucket) -> int:
        return sum(getattr(self, f"{bucket}_count") for bucket in buckets)

    def minor(self, *buckets: Bucket) -> int:
        return sum(getattr(self, f"{bucket}_minor") for bucket in buckets)

    def money(self, minor: int) -> Money:
        return Money(amount=minor, currency=self.currency)

    def tally(self, bucket: Bucket) -> Tally:
        return Tally(count=self.count(bucket), total=self.money(self.minor(bucket)))


def launched(campaign: Campaign, fact: CampaignLaunched) -> Campaign:
    return replace(
        campaign,
        creator_id=fact.creator_id,
        model=fact.model,
        goal_minor=fact.goal.amount,
        currency=fact.goal.currency,
        lowest_collectable_bps=fact.policy.lowest_collectable_bps,
        fix_payment_seconds=fact.policy.fix_payment_seconds,
        platform_fee_bps=fact.policy.platform_fee_bps,
    )


def book_closed(campaign: Campaign, fact: PledgeBookClosed, at: datetime) -> Campaign:
    return replace(
        campaign,
        manifest_at=at,
        manifest_count=fact.count,
        manifest_minor=fact.total.amount,
        manifest_digest=fact.digest,
    )


def started(campaign: Campaign, direction: Direction, now: datetime) -> Campaign:
    return replace(campaign, direction=direction, started_at=now, to_do_count=campaign.count(*UNFINISHED))


def moved(campaign: Campaign, *changes: tuple[BookedPledge | None, BookedPledge]) -> Campaign:
    """The sums after pledges went from one state to another."""
    sums: dict[str, int] = {}
    for change in changes:
        for pledge, sign in zip(change, (-1, 1), strict=True):
            bucket = bucket_of(pledge)
            if pledge is not None and bucket is not None:
                for name, amount in ((f"{bucket}_count", sign), (f"{bucket}_minor", sign * pledge.minor)):
                    sums[name] = sums.get(name, getattr(campaign, name)) + amount
    changed: dict[str, Any] = {"book_changes": campaign.book_changes + len(changes), **sums}
    return replace(campaign, **changed)


def answered(campaign: Campaign, now: datetime) -> Campaign:
    """Notes, for the rate, when the last pledge changed by itself or by our request."""
    return replace(campaign, answered_at=now) if campaign.direction else campaign


@dataclass(frozen=True)
class Missing:
    """One thing that settlement waits for, by a stable name and in words."""

    what: str
    detail: str


def missing(campaign: Campaign) -> tuple[Missing, ...]:
    """What a settlement that has not started waits for (DOMAIN S1)."""
    facts = []
    if campaign.model is None:
        facts.append(Missing("launch", "The campaign's goal and policy have not arrived."))
    if campaign.closed_at is None:
        facts.append(Missing("deadline", "The campaign is not closed."))
    if campaign.manifest_at is None:
        facts.append(Missing("book", "The book is not closed: pledges may still be undecided."))
        return tuple(facts)
    live = (Bucket.OPEN, Bucket.CAPTURED)
    count, minor = campaign.count(*live), campaign.minor(*live)
    if count < campaign.manifest_count or (campaign.left_count == 0 and minor != campaign.manifest_minor):
        wanted = f"{campaign.manifest_count} pledges of {campaign.manifest_minor} in all"
        facts.append(Missing("pledges", f"The book has {wanted}; {count} of {minor} have arrived here."))
    elif campaign.checked_changes == campaign.book_changes:
        facts.append(Missing("digest", "Count and sum agree, but the pledges are not those of the closed book."))
    return tuple(facts)
