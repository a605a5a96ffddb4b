"""The waitlist inside the group's transaction (DOMAIN P3). Whoever moves a pool's list holds the pool's lock."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from eventing.database import Connection
from eventing.definition import Answer, Handler
from eventing.work import Need, Work
from pledge import domain_waitlist
from pledge.domain_book import Pool
from pledge.domain_waitlist import DECLINED, LAPSED, JoinWaitlist, LeaveWaitlist, Waiting
from pledge.tables import BOOKS, LIVE_PLEDGES, OFFER, POOLS, TIERS, WAITLIST

OFFERS_MAX: Final = 100  # In one transaction; the rest a moment later.

_FIRST: Final = """
    SELECT backer_id
    FROM waitlist
    WHERE pool_id = $1
      AND offered_until IS NULL
    ORDER BY number
    LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class OfferSlots:
    """The timer's: the pool seems to have free slots and people who wait for one."""

    pool_id: UUID
    campaign_id: UUID
    offer_seconds: int


@dataclass(frozen=True, slots=True)
class LapseOffer:
    """The timer's: the offer's time seems to be over."""

    pool_id: UUID
    backer_id: UUID


def _join(work: Work, command: JoinWaitlist) -> Answer:
    book = work.get(BOOKS, command.campaign_id)
    tier = work.get(TIERS, command.tier_id)
    pool = work.get(POOLS, tier.pool_id) if tier and tier.pool_id else None
    if pool is not None and (entry := work.get(WAITLIST, pool.pool_id, command.backer_id)) is not None:
        return _answer(entry)
    live = work.get(LIVE_PLEDGES, command.campaign_id, command.backer_id)
    has_slot = live is not None and pool is not None and pool.pool_id in {live.pool_id, live.change_pool_id}
    entry = domain_waitlist.join(command, work.now, book=book, tier=tier, pool=pool, has_slot=has_slot)
    assert pool is not None
    work.put(POOLS, domain_waitlist.joined(pool))
    work.get(WAITLIST, pool.pool_id, command.backer_id)
    work.put(WAITLIST, entry)
    return _answer(entry)


def _leave(work: Work, command: LeaveWaitlist) -> Answer:
    """Whoever is not on the list has left it already."""
    tier = work.get(TIERS, command.tier_id)
    if tier is not None and tier.pool_id is not None:
        _remove(work, tier.pool_id, command.backer_id, DECLINED)
    return {}


def _offer(work: Work, command: OfferSlots) -> Answer:
    book, pool = work.get(BOOKS, command.campaign_id), work.get(POOLS, command.pool_id)
    assert book is not None, "a pool belongs to a campaign"
    assert pool is not None
    first = [_entry(work, pool, backer_id) for backer_id in work.read]
    offers = domain_waitlist.offer(pool, first, book, work.now, command.offer_seconds)
    for entry in offers:
        work.put(WAITLIST, entry)
        work.start(OFFER, entry.offer_id, domain_waitlist.told(entry))
    work.put(POOLS, domain_waitlist.offered(pool, len(offers)))
    return {"offered": len(offers)}


async def _read_first(connection: Connection, command: OfferSlots) -> list[UUID]:
    return [row["backer_id"] for row in await connection.fetch(_FIRST, command.pool_id, OFFERS_MAX)]


def _entry(work: Work, pool: Pool, backer_id: UUID) -> Waiting:
    entry = work.get(WAITLIST, pool.pool_id, backer_id)
    assert entry is not None, "it was read under the pool's lock"
    return entry


def _lapse(work: Work, command: LapseOffer) -> Answer:
    entry = work.get(WAITLIST, command.pool_id, command.backer_id)
    if entry is not None and domain_waitlist.has_lapsed(entry, work.now):
        _remove(work, command.pool_id, command.backer_id, LAPSED)
    return {}


def _remove(work: Work, pool_id: UUID, backer_id: UUID, reason: str) -> None:
    pool, entry = work.get(POOLS, pool_id), work.get(WAITLIST, pool_id, backer_id)
    if pool is None or entry is None:
        return
    work.put(POOLS, domain_waitlist.left(pool, entry))
    work.delete(WAITLIST, pool_id, backer_id)
    if events := domain_waitlist.end(entry, reason):
        work.append(OFFER, entry.offer_id, *events)


def _answer(entry: Waiting) -> Answer:
    return {
        "campaign_id": str(entry.campaign_id),
        "tier_id": str(entry.tier_id),
        "joined_at": entry.joined_at.isoformat().replace("+00:00", "Z"),
        "links": {"self": f"/campaigns/{entry.campaign_id}/tiers/{entry.tier_id}/waitlist", "mine": "/me/waitlist"},
    }


def _join_needs(command: JoinWaitlist) -> Iterator[Need]:
    yield BOOKS, (command.campaign_id,)
    yield TIERS, (command.tier_id,)
    yield LIVE_PLEDGES, (command.campaign_id, command.backer_id)


def _leave_needs(command: LeaveWaitlist) -> Iterable[Need]:
    return ((TIERS, (command.tier_id,)),)


def _offer_needs(command: OfferSlots) -> Iterable[Need]:
    return (BOOKS, (command.campaign_id,)), (POOLS, (command.pool_id,))


def _lapse_needs(command: LapseOffer) -> Iterable[Need]:
    return (POOLS, (command.pool_id,)), (WAITLIST, (command.pool_id, command.backer_id))


COMMANDS: Final[dict[type[Any], Handler]] = {
    JoinWaitlist: Handler(_join, _join_needs),
    LeaveWaitlist: Handler(_leave, _leave_needs),
    OfferSlots: Handler(_offer, _offer_needs, _read_first),
    LapseOffer: Handler(_lapse, _lapse_needs),
}
