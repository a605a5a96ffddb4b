"""Slots of pools, as changes and ends of pledges claim and free them (DOMAIN P2, P6). Part of the handlers."""

from dataclasses import replace
from uuid import UUID

from contracts.pledge import PledgeChanged, PledgeChangeDropped, PledgeChangeRequested, PledgeFact
from eventing.work import Work
from pledge.domain import LIVE, Pledge
from pledge.domain_book import Pool, Tier
from pledge.tables import LIVE_PLEDGES, POOLS, TIERS, LivePledge


def needed(work: Work, pledge: Pledge, tier: Tier | None) -> Pool | None:
    """The pool of which a change to this tier needs a slot; None within the pool that the pledge has one of."""
    if tier is None or tier.pool_id is None:
        return None
    live = work.get(LIVE_PLEDGES, pledge.campaign_id, pledge.backer_id)
    return None if live is not None and live.pool_id == tier.pool_id else work.get(POOLS, tier.pool_id)


def follow(work: Work, before: Pledge, event: PledgeFact, after: Pledge) -> None:
    """Claim and free what an event of a pledge's stream moves, in the transaction that records it."""
    if before.status not in LIVE:
        return
    live = _live(work, before)
    match event:
        case PledgeChangeRequested():
            pool_id = _pool_id(work, event.new_tier_id)
            if pool_id not in {None, live.pool_id}:
                _claim(work, pool_id)
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
    if live.change_pool_id is None:
        _claim(work, pool_id)
    _free(work, live.pool_id)
    work.put(LIVE_PLEDGES, replace(live, pool_id=pool_id, change_pool_id=None))


def _claim(work: Work, pool_id: UUID | None) -> None:
    if pool_id is not None:
        pool = _pool(work, pool_id)
        work.put(POOLS, replace(pool, claimed=pool.claimed + 1))


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
