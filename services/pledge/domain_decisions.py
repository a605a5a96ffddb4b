"""What may happen to a pledge, and what is refused (DOMAIN P1, P2, P4, P7). Money moves elsewhere.

Whatever ends a pledge drops its change first, so that a change never outlives what it is about.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from contracts.campaign import FundingModel
from contracts.ids import CampaignId, PersonId, PledgeId, TierId
from contracts.money import Money
from contracts.pledge import PledgeCancelled, PledgeDeclined, PledgeDropped, PledgeFact, PledgePlaced
from pledge.domain import LIVE, UNDECIDED, Pledge, Status
from pledge.domain_book import Book, BookState, Pool, Tier, check_tier, opened
from pledge.domain_change import CANCELLED, LEASE_EXPIRED, drop_change
from pledge.domain_refusals import (
    AlreadyPledged,
    CutoffPassed,
    PledgeEnded,
    PledgeUnknown,
    RefundWindowOver,
    WrongCurrency,
    sold_out,
    utc,
)
from pledge.domain_waitlist import Waiting, has_slot_for

BY_BACKER: Final = "backer"
WITH_CAMPAIGN: Final = "campaign_cancelled"


@dataclass(frozen=True, slots=True)
class PlacePledge:
    """`pool_hint` names the tier's pool if the door knows it: only for speed."""

    pledge_id: PledgeId
    campaign_id: CampaignId
    backer_id: PersonId
    tier_id: TierId | None
    amount: Money
    country: str
    payment_method: str
    lease_seconds: int
    pool_hint: UUID | None = None


@dataclass(frozen=True, slots=True)
class CancelPledge:
    """By the person who asks, who must be its backer."""

    pledge_id: PledgeId
    person_id: PersonId


def place(
    command: PlacePledge,
    now: datetime,
    *,
    book: Book | None,
    tier: Tier | None,
    pool: Pool | None,
    first: UUID | None,
    entry: Waiting | None = None,
) -> tuple[PledgePlaced, ...]:
    """A new pledge (DOMAIN P1, P2, P4).

    `first` is the backer's live pledge to this campaign, `entry` their place on the pool's waitlist, if there is one.

    Raises:
        CampaignUnknown, CampaignNotOpen, DeadlinePassed, WrongCurrency, UnknownTier, BelowMinimum, AlreadyPledged,
        SoldOut: In this order, so that the first reason is the one to mend first.
    """
    book = opened(book, now)
    if command.amount.currency != book.currency:
        raise WrongCurrency(f"Pledges to this campaign are in {book.currency}.", currency=book.currency)
    if command.tier_id is not None:
        check_tier(tier, command.campaign_id, command.amount)
    if first is not None:
        link = f"/pledges/{first}"
        raise AlreadyPledged(f"Your pledge is at {link}.", pledge_id=str(first), links={"pledge": link})
    if pool is not None and not has_slot_for(pool, entry):
        raise sold_out(command.campaign_id, command.tier_id)
    placed = PledgePlaced(
        pledge_id=command.pledge_id,
        campaign_id=command.campaign_id,
        backer_id=command.backer_id,
        tier_id=command.tier_id,
        amount=command.amount,
        country=command.country,
        payment_method=command.payment_method,
        strategy=book.strategy,
        placed_at=now,
        lease_until=now + timedelta(seconds=command.lease_seconds),
    )
    return (placed,)


def owned(pledge: Pledge | None, person_id: PersonId) -> Pledge:
    """The pledge, if it is this person's. Raises PledgeUnknown, also for somebody else's (DOMAIN H2)."""
    if pledge is None or pledge.backer_id != person_id:
        raise PledgeUnknown("Check the id. Pledges are shown to their backers only.")
    return pledge


def cancel(pledge: Pledge, book: Book, now: datetime) -> tuple[PledgeFact, ...]:
    """Its backer takes it back, and with it a change of it (DOMAIN P7).

    Raises:
        PledgeEnded, CutoffPassed, RefundWindowOver: The last two name the time until which it was possible.
    """
    if pledge.was_cancelled:
        return ()
    if pledge.status not in LIVE:
        raise PledgeEnded(
            f"There is nothing to cancel: it is {pledge.status.value}.", pledge_status=pledge.status.value
        )
    if book.state is not BookState.CANCELLED:
        _check_cancellable(pledge, book, now)
    return _cancelled(pledge, now, BY_BACKER)


def _check_cancellable(pledge: Pledge, book: Book, now: datetime) -> None:
    if book.model is FundingModel.KEEP_IT_ALL:
        until = book.refundable_until(pledge.placed_at)
        if now >= until:
            raise RefundWindowOver(f"It could be cancelled until {utc(until)}.", refund_until=utc(until))
    elif now >= book.cutoff_at or not book.takes_pledges(now):
        cutoff = utc(book.cutoff_at)
        detail = f"It could be cancelled until {cutoff}; from then on the creator relies on it."
        raise CutoffPassed(detail, cutoff=cutoff, deadline=utc(book.deadline))


def cancel_with_campaign(pledge: Pledge, now: datetime) -> tuple[PledgeFact, ...]:
    """The campaign was cancelled: every live pledge ends (DOMAIN C10)."""
    return _cancelled(pledge, now, WITH_CAMPAIGN) if pledge.status in LIVE else ()


def _cancelled(pledge: Pledge, now: datetime, reason: str) -> tuple[PledgeFact, ...]:
    cancelled = PledgeCancelled(**pledge.about, cancelled_at=now, reason=reason)
    return (*drop_change(pledge, CANCELLED), cancelled)


def expire(pledge: Pledge, now: datetime) -> tuple[PledgeFact, ...]:
    """A decision lease has run out, of the pledge or of its change (DOMAIN P2).

    Until this is recorded, an authorization is still welcome.
    """
    if pledge.change is not None and now >= pledge.change.lease_until:
        return drop_change(pledge, LEASE_EXPIRED)
    if pledge.status not in UNDECIDED or now < pledge.lease_until:
        return ()
    return (PledgeDeclined(**pledge.about, reason=LEASE_EXPIRED),)


def drop(pledge: Pledge) -> tuple[PledgeDropped, ...]:
    """The window to mend a failed capture has run out (DOMAIN S5)."""
    return (PledgeDropped(**pledge.about),) if pledge.status is Status.CAPTURE_FAILED else ()
