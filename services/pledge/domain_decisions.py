"""What may happen to a pledge, and what is refused (DOMAIN P1, P2, P4, P7, P8). Money moves elsewhere."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from contracts.campaign import FundingModel
from contracts.ids import CampaignId, PersonId, PledgeId, TierId
from contracts.money import Money
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentDeclined,
    PaymentFact,
    PaymentRefunded,
    PaymentVoided,
)
from contracts.pledge import (
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeDeclined,
    PledgeDropped,
    PledgeFact,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)
from pledge.domain import HELD, LIVE, UNDECIDED, Pledge, Status
from pledge.domain_book import Book, BookState, Pool, Tier
from pledge.domain_refusals import (
    AlreadyPledged,
    BelowMinimum,
    CampaignNotOpen,
    CampaignUnknown,
    CutoffPassed,
    DeadlinePassed,
    PledgeEnded,
    PledgeUnknown,
    RefundWindowOver,
    SoldOut,
    UnknownTier,
    WrongCurrency,
)

LEASE_EXPIRED: Final = "lease_expired"
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
) -> tuple[PledgePlaced, ...]:
    """A new pledge (DOMAIN P1, P2, P4). `first` is the backer's live pledge to this campaign, if there is one.

    Raises:
        CampaignUnknown, CampaignNotOpen, DeadlinePassed, WrongCurrency, UnknownTier, BelowMinimum, AlreadyPledged,
        SoldOut: In this order, so that the first reason is the one to mend first.
    """
    book = _open(book, now)
    if command.amount.currency != book.currency:
        raise WrongCurrency(f"Pledges to this campaign are in {book.currency}.", currency=book.currency)
    if command.tier_id is not None:
        _check_tier(command, tier, book.currency)
    if first is not None:
        link = f"/pledges/{first}"
        raise AlreadyPledged(f"Your pledge is at {link}.", pledge_id=str(first), links={"pledge": link})
    if pool is not None and pool.is_sold_out:
        raise SoldOut("All rewards of this tier are taken. One comes free when a pledge is cancelled or declined.")
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


def _open(book: Book | None, now: datetime) -> Book:
    if book is None:
        raise CampaignUnknown("No campaign with this id takes pledges. One that was just launched does in a moment.")
    if book.state is BookState.CANCELLED:
        raise CampaignNotOpen("The campaign was cancelled by its creator.")
    if not book.takes_pledges(now):
        deadline = _utc(book.deadline)
        raise DeadlinePassed(f"Pledges were taken until {deadline}.", deadline=deadline)
    return book


def _check_tier(command: PlacePledge, tier: Tier | None, currency: str) -> None:
    if tier is None or tier.campaign_id != command.campaign_id:
        raise UnknownTier(
            "Choose one of the campaign's tiers, or none. One that was just added can be had in a moment."
        )
    if command.amount.amount < tier.minimum_minor:
        minimum = Money(amount=tier.minimum_minor, currency=currency)
        raise BelowMinimum(f"This tier starts at {minimum}.", minimum=minimum.model_dump())


def owned(pledge: Pledge | None, person_id: PersonId) -> Pledge:
    """The pledge, if it is this person's. Raises PledgeUnknown, also for somebody else's (DOMAIN H2)."""
    if pledge is None or pledge.backer_id != person_id:
        raise PledgeUnknown("Check the id. Pledges are shown to their backers only.")
    return pledge


def cancel(pledge: Pledge, book: Book, now: datetime) -> tuple[PledgeCancelled, ...]:
    """Its backer takes it back (DOMAIN P7). Raises PledgeEnded, CutoffPassed, RefundWindowOver."""
    if pledge.was_cancelled:
        return ()
    if pledge.status not in LIVE:
        raise PledgeEnded(
            f"There is nothing to cancel: it is {pledge.status.value}.", pledge_status=pledge.status.value
        )
    if book.state is not BookState.CANCELLED:
        _check_cancellable(pledge, book, now)
    return (PledgeCancelled(**pledge.about, cancelled_at=now, reason=BY_BACKER),)


def _check_cancellable(pledge: Pledge, book: Book, now: datetime) -> None:
    if book.model is FundingModel.KEEP_IT_ALL:
        until = book.refundable_until(pledge.placed_at)
        if now >= until:
            raise RefundWindowOver(f"It could be cancelled until {_utc(until)}.", refund_until=_utc(until))
    elif now >= book.cutoff_at or not book.takes_pledges(now):
        cutoff = _utc(book.cutoff_at)
        detail = f"It could be cancelled until {cutoff}; from then on the creator relies on it."
        raise CutoffPassed(detail, cutoff=cutoff, deadline=_utc(book.deadline))


def cancel_with_campaign(pledge: Pledge, now: datetime) -> tuple[PledgeCancelled, ...]:
    """The campaign was cancelled: every live pledge ends (DOMAIN C10)."""
    if pledge.status not in LIVE:
        return ()
    return (PledgeCancelled(**pledge.about, cancelled_at=now, reason=WITH_CAMPAIGN),)


def expire(pledge: Pledge, now: datetime) -> tuple[PledgeDeclined, ...]:
    """The decision lease has run out (DOMAIN P2). Until this is recorded, an authorization is still welcome."""
    if pledge.status not in UNDECIDED or now < pledge.lease_until:
        return ()
    return (PledgeDeclined(**pledge.about, reason=LEASE_EXPIRED),)


def drop(pledge: Pledge) -> tuple[PledgeDropped, ...]:
    """The window to mend a failed capture has run out (DOMAIN S5)."""
    return (PledgeDropped(**pledge.about),) if pledge.status is Status.CAPTURE_FAILED else ()


def follow_payment(pledge: Pledge, fact: PaymentFact) -> tuple[PledgeFact, ...]:
    """What a payment's outcome means for the pledge. Facts may come twice and overtake one another.

    A fact counts where the pledge can still get to what it says; one that was overtaken finds it further on. After a
    cancellation nothing does but the refund: the payment service undoes what still comes in (DOMAIN P8).
    """
    about, status = pledge.about, pledge.status
    event: PledgeFact
    match fact:
        case PaymentAuthorized() if status in UNDECIDED:
            event = PledgeAuthorized(**about, hold_id=fact.hold_id, capture_before=fact.capture_before)
        case PaymentDeclined() if status in UNDECIDED:
            event = PledgeDeclined(**about, reason=fact.reason)
        case PaymentCaptured() if status in LIVE - {Status.CAPTURED}:
            event = PledgeCaptured(**about)
        case PaymentCaptureFailed() if status in UNDECIDED | HELD:
            event = PledgeCaptureFailed(**about, reason=fact.reason)
        case PaymentVoided() if status in UNDECIDED | HELD and pledge.hold_id in {None, fact.hold_id}:
            event = PledgeVoided(**about)
        case PaymentRefunded() if _gives_back(pledge, fact):
            event = PledgeRefunded(**about)
        case _:
            return ()
    return (event,)


def _gives_back(pledge: Pledge, refund: PaymentRefunded) -> bool:
    """Whether the refund ends the pledge: all of its amount, not only a part (DOMAIN M4)."""
    return pledge.status in LIVE | {Status.CANCELLED} and not refund.amount < pledge.amount


def _utc(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
