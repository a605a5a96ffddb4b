"""Slots of pools, as pledges and their changes claim and free them (DOMAIN P2, P3, P6)."""

from dataclasses import replace
from uuid import UUID

from contracts.pledge import PledgeChanged, PledgeChangeDropped, PledgeChangeRequested, PledgeFact
from eventing.work import Work
from pledge import domain_waitlist
from pledge.domain import LIVE, Pledge
from pledge.domain_book import Pool, Tier
from pledge.domain_waitlist import Waiting
from pledge.tables import LIVE_PLEDGES, POOLS, TIERS, WAITLIST, LivePledge


def entry_of(work: Work, pool: Pool | None, backer_id: UUID) -> Waiting | None:
    """The backer's place on the pool's waitlist, looked up only where it can make a difference."""
    if pool is None or not (pool.offered or (pool.waiting and not pool.is_sold_out)):
        return None
    return work.get(WAITLIST, pool.pool_id, backer_id)


def claim(work: Work, pool: Pool, backer_id: UUID) -> None:
    """One slot more is taken; a place on the waitlist or an offer is used up by it."""
    entry = entry_of(work, pool, backer_id)
    work.put(POOLS, domain_waitlist.claimed(pool, entry))
    if entry is not None:
        work.delete(WAITLIST, pool.pool_id, backer_id)


def needed(work: Work, pledge: Pledge, tier: Tier | None) -> Pool | None:
    """The pool of which a change to this tier needs a slot; None within the pool that the pledge has one of."""
    if tier is None or tier.pool_id is None:
        return None
    live = work.get(LIVE_PLEDGES, pledge.campaign_id, pledge.backer_id)
    return None if live is not None and live.pool_id == tier.pool_id else work.get(POOLS, tier.pool_id)


def follow(work: Work, before: Pledge, event: PledgeFact, after: Pledge) -> None:
    """Claim and free what an event of a pledge's stream moves, in the transaction that records it."""
    changes = isinstance(event, PledgeChangeRequested | PledgeChanged | PledgeChangeDropped)
    if before.status not in LIVE or not (changes or after.status not in LIVE):
        return  # and reads nothing: to ask for a row that nobody named runs the group again
    live = _live(work, before)
    match event:
        case PledgeChangeRequested():
            pool_id = _pool_id(work, event.new_tier_id)
            if pool_id is not None and pool_id != live.pool_id:
                claim(work, _pool(work, pool_id), live.backer_id)
                work.put(LIVE_PLEDGES, replace(live, change_pool_id=pool_id))
        case PledgeChanged():
            _switch(work, live, _pool_id(work, event.tier_id))
        case PledgeChangeDropped():
            _free(work, live.change_pool_id)
            work.put(LIVE_PLEDGES, replace(live, change_pool_id=None))
        case _ if after.status not in LIVE:
            _free(work, live.pool_id)
            work.delete(LIVE_PLEDGES, live.campaign_id, live.backer_id)
        case _:
            pass


def _switch(work: Work, live: LivePledge, pool_id: UUID | None) -> None:
    """To the pool of the pledge's new tier: its slot was claimed with the wish, or is now if nothing was undecided."""
    if pool_id == live.pool_id:
        return
    if live.change_pool_id is None and pool_id is not None:
        claim(work, _pool(work, pool_id), live.backer_id)
    _free(work, live.pool_id)
    work.put(LIVE_PLEDGES, replace(live, pool_id=pool_id, change_pool_id=None))


def _free(work: Work, pool_id: UUID | None) -> None:
    if pool_id is not None:
        pool = _pool(work, pool_id)
        work.put(POOLS, replace(pool, claimed=pool.claimed - 1))


def _pool(work: Work, pool_id: UUID) -> Pool:
    pool = work.get(POOLS, pool_id)
    assert pool is not None, "a slot has its pool"
    return pool


def _pool_id(work: Work, tier_id: UUID | None) -> UUID | None:
    tier = work.get(TIERS, tier_id) if tier_id else None
    return tier.pool_id if tier else None


def _live(work: Work, pledge: Pledge) -> LivePledge:
    live = work.get(LIVE_PLEDGES, pledge.campaign_id, pledge.backer_id)
    assert live is not None, "a live pledge has its row"
    return live
