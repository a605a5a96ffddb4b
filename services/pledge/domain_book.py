"""The book of a campaign, its tiers and its pools: what a pledge is decided against (DOMAIN P1, P2, P9)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from contracts.campaign import CampaignLaunched, FundingModel, PaymentStrategy, RewardTier
from contracts.ids import CampaignId
from contracts.money import Money
from contracts.pledge import PledgeBookClosed
from contracts.settlement import Outcome
from pledge.domain_refusals import BelowMinimum, CampaignNotOpen, CampaignUnknown, DeadlinePassed, UnknownTier, utc

POLICY_SECONDS_MAX: Final = 10 * 366 * 86_400  # A longer cutoff or window means the same, and dates have an end.


class BookState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"  # the deadline has passed; pledges may still be undecided
    ANNOUNCED = "announced"  # PledgeBookClosed is out
    CANCELLED = "cancelled"  # the campaign was


@dataclass(frozen=True)
class Book:
    """One row per campaign. Whoever decides about one of its pledges holds its lock."""

    campaign_id: UUID
    creator_id: UUID
    currency: str
    model: FundingModel
    strategy: PaymentStrategy
    deadline: datetime
    cutoff_at: datetime
    refund_window_seconds: int
    state: BookState = BookState.OPEN
    undecided: int = 0  # pledges whose payment is not decided yet
    live: int = 0
    live_minor: int = 0
    closed_at: datetime | None = None
    outcome: Outcome | None = None  # of the settlement

    def takes_pledges(self, now: datetime) -> bool:
        """The one point of decision about the deadline (DOMAIN P9)."""
        return self.state is BookState.OPEN and now < self.deadline

    def refundable_until(self, placed_at: datetime) -> datetime:
        """The end of the refund window of a keep-it-all pledge (DOMAIN P7)."""
        return placed_at + timedelta(seconds=self.refund_window_seconds)


@dataclass(frozen=True)
class Tier:
    """What never changes about a tier. `pool_id` is None for an unlimited one."""

    tier_id: UUID
    campaign_id: UUID
    minimum_minor: int
    pool_id: UUID | None
    title: str = ""
    estimated_delivery: str = ""  # year and month


@dataclass(frozen=True)
class Pool:
    """Slots that are neither claimed nor offered are free; those who wait come before those who come (DOMAIN P3)."""

    pool_id: UUID
    campaign_id: UUID
    slots: int
    claimed: int = 0
    offered: int = 0  # kept for backers of the waitlist
    waiting: int = 0  # backers on the waitlist who have no offer yet
    joined: int = 0  # backers who ever were on it: gives each a number

    @property
    def free(self) -> int:
        return self.slots - self.claimed - self.offered

    @property
    def is_sold_out(self) -> bool:
        """For somebody who has not waited."""
        return self.free <= self.waiting


def book_of(launched: CampaignLaunched) -> Book:
    policy = launched.policy
    kept = launched.model is FundingModel.KEEP_IT_ALL
    cutoff = timedelta(seconds=min(policy.cancellation_cutoff_seconds, POLICY_SECONDS_MAX))
    return Book(
        campaign_id=launched.campaign_id,
        creator_id=launched.creator_id,
        currency=launched.goal.currency,
        model=launched.model,
        strategy=PaymentStrategy.IMMEDIATE if kept else policy.payment_strategy,
        deadline=launched.deadline,
        cutoff_at=launched.deadline - cutoff,
        refund_window_seconds=min(policy.refund_window_seconds, POLICY_SECONDS_MAX),
    )


def tier_of(campaign_id: CampaignId, tier: RewardTier) -> Tier:
    return Tier(tier.tier_id, campaign_id, tier.minimum.amount, tier.pool_id, tier.title, tier.estimated_delivery)


def widen(pool: Pool | None, pool_id: UUID, campaign_id: UUID, slots: int) -> Pool:
    """The pool with at least that many slots. A limit is never lowered (C5), so any order of limits ends the same."""
    before = pool or Pool(pool_id, campaign_id, 0)
    return replace(before, slots=max(before.slots, slots))


def close(book: Book, now: datetime) -> Book:
    """The book at its deadline: closed, unless it is not due or no longer open (DOMAIN P9)."""
    if book.state is not BookState.OPEN or now < book.deadline:
        return book
    return replace(book, state=BookState.CLOSED, closed_at=now)


def cancel_all(book: Book) -> Book:
    """The campaign was cancelled, perhaps a moment before its deadline: a book may have closed before it heard."""
    return replace(book, state=BookState.CANCELLED)


def announce(book: Book, digest: str) -> tuple[PledgeBookClosed, ...]:
    """The manifest of a closed book, once, when its last pledge is decided (DOMAIN P9)."""
    if book.state is not BookState.CLOSED or book.undecided:
        return ()
    assert book.closed_at is not None
    total = Money(amount=book.live_minor, currency=book.currency)
    campaign_id = CampaignId(book.campaign_id)
    return (
        PledgeBookClosed(
            campaign_id=campaign_id, count=book.live, total=total, digest=digest, closed_at=book.closed_at
        ),
    )


def opened(book: Book | None, now: datetime) -> Book:
    """The book, if it takes pledges now. Raises CampaignUnknown, CampaignNotOpen, DeadlinePassed."""
    if book is None:
        raise CampaignUnknown("No campaign with this id takes pledges. One that was just launched does in a moment.")
    if book.state is BookState.CANCELLED:
        raise CampaignNotOpen("The campaign was cancelled by its creator.")
    if not book.takes_pledges(now):
        deadline = utc(book.deadline)
        raise DeadlinePassed(f"Pledges were taken until {deadline}.", deadline=deadline)
    return book


def known_tier(tier: Tier | None, campaign_id: UUID) -> Tier:
    """The tier, if it is this campaign's. Raises UnknownTier."""
    if tier is None or tier.campaign_id != campaign_id:
        raise UnknownTier(
            "Choose one of the campaign's tiers, or none. One that was just added can be had in a moment."
        )
    return tier


def check_tier(tier: Tier | None, campaign_id: UUID, amount: Money) -> None:
    """Raises UnknownTier, BelowMinimum."""
    tier = known_tier(tier, campaign_id)
    if amount.amount < tier.minimum_minor:
        minimum = Money(amount=tier.minimum_minor, currency=amount.currency)
        raise BelowMinimum(f"This tier starts at {minimum}.", minimum=minimum.model_dump())
