"""The waitlist of a pool: who waits, who is offered a slot that came free, and for how long (DOMAIN P3)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pydantic import Field

from contracts.event import Event
from contracts.ids import CampaignId, OfferId, PersonId, TierId
from contracts.pledge import SlotOffered
from pledge.domain_book import Book, Pool, Tier, known_tier, opened
from pledge.domain_refusals import AlreadyPledged, NotSoldOut, WaitlistFull

WAITING_MAX: Final = 100_000  # A list that long outlives every campaign.
LAPSED: Final = "lapsed"
DECLINED: Final = "declined"


class SlotOfferEnded(Event, type="pledge.SlotOfferEnded.v1"):
    """An offer was not taken: its time was over, or its backer has left the list."""

    offer_id: OfferId
    reason: str = Field(description="`lapsed` or `declined`")

    @property
    def subject(self) -> UUID:
        return self.offer_id


@dataclass(frozen=True)
class Waiting:
    """A backer's place on the list of a pool; with `offered_until` a slot is kept for them. They have one at most."""

    pool_id: UUID
    backer_id: UUID
    campaign_id: UUID
    tier_id: UUID
    offer_id: UUID
    number: int  # the order in which they came
    joined_at: datetime
    offered_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class JoinWaitlist:
    offer_id: OfferId
    campaign_id: CampaignId
    tier_id: TierId
    backer_id: PersonId


@dataclass(frozen=True, slots=True)
class LeaveWaitlist:
    campaign_id: CampaignId
    tier_id: TierId
    backer_id: PersonId


def join(
    command: JoinWaitlist, now: datetime, *, book: Book | None, tier: Tier | None, pool: Pool | None, has_slot: bool
) -> Waiting:
    """A place at the end of the list, for a backer who has none.

    Raises:
        CampaignUnknown, CampaignNotOpen, DeadlinePassed, UnknownTier, NotSoldOut, AlreadyPledged, WaitlistFull: In
        this order.
    """
    opened(book, now)
    known_tier(tier, command.campaign_id)
    if pool is None or not pool.is_sold_out:
        link = f"/campaigns/{command.campaign_id}/pledges"
        raise NotSoldOut("Rewards of this tier can be had: place your pledge.", links={"pledge": link})
    if has_slot:
        raise AlreadyPledged("You have one of these rewards already.", links={"pledges": "/me/pledges"})
    if pool.waiting >= WAITING_MAX:
        raise WaitlistFull("Look again when some of those who wait have been served.")
    return Waiting(
        pool_id=pool.pool_id,
        backer_id=command.backer_id,
        campaign_id=command.campaign_id,
        tier_id=command.tier_id,
        offer_id=command.offer_id,
        number=pool.joined + 1,
        joined_at=now,
    )


def joined(pool: Pool) -> Pool:
    return replace(pool, waiting=pool.waiting + 1, joined=pool.joined + 1)


def has_slot_for(pool: Pool, entry: Waiting | None) -> bool:
    """An offer holds until its end is recorded; nobody else may count on its slot."""
    return not pool.is_sold_out or (entry is not None and entry.offered_until is not None)


def claimed(pool: Pool, entry: Waiting | None) -> Pool:
    """The pool with one slot more in somebody's hands; their place on the list or their offer is used up."""
    return left(replace(pool, claimed=pool.claimed + 1), entry)


def left(pool: Pool, entry: Waiting | None) -> Pool:
    if entry is None:
        return pool
    if entry.offered_until is None:
        return replace(pool, waiting=pool.waiting - 1)
    return replace(pool, offered=pool.offered - 1)


def offer(pool: Pool, first: Sequence[Waiting], book: Book, now: datetime, seconds: int) -> tuple[Waiting, ...]:
    """The free slots, for those who are first on the list, until the offer or the campaign ends."""
    if not book.takes_pledges(now):
        return ()
    until = min(now + timedelta(seconds=seconds), book.deadline)
    return tuple(replace(entry, offered_until=until) for entry in first[: max(0, pool.free)])


def offered(pool: Pool, number: int) -> Pool:
    return replace(pool, waiting=pool.waiting - number, offered=pool.offered + number)


def told(entry: Waiting) -> SlotOffered:
    assert entry.offered_until is not None
    return SlotOffered(
        offer_id=OfferId(entry.offer_id),
        campaign_id=CampaignId(entry.campaign_id),
        tier_id=TierId(entry.tier_id),
        backer_id=PersonId(entry.backer_id),
        offered_until=entry.offered_until,
    )


def end(entry: Waiting, reason: str) -> tuple[SlotOfferEnded, ...]:
    """What leaving the list records: only an offer has a story."""
    if entry.offered_until is None:
        return ()
    return (SlotOfferEnded(offer_id=OfferId(entry.offer_id), reason=reason),)


def has_lapsed(entry: Waiting, now: datetime) -> bool:
    return entry.offered_until is not None and now >= entry.offered_until
