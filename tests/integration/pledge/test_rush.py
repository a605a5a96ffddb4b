"""A tier rush: ten thousand checkouts for five hundred slots, through real doors (DOMAIN P2, P3)."""

from __future__ import annotations

import random
from collections import Counter
from uuid import UUID

from bench.load import Call, run
from contracts.ids import new_id
from deploy.local.provision import Provisioned
from eventing.clock import DatabaseClock
from tests.integration.house import START
from tests.integration.pledge.backers import launched, tier
from tests.integration.pledge.replicas import Replicas, replicas
from tests.integration.pledge.test_http import body

PLACEMENTS = 10_000
CONNECTIONS = 200
SLOTS = 500
WAITERS = 50


async def test_ten_thousand_placements_for_five_hundred_slots_take_five_hundred(provisioned: Provisioned) -> None:
    async with replicas(provisioned, 2, DatabaseClock(frozen_at=START)) as service:
        red, own = tier(limit=SLOTS - 100), tier(limit=100)
        blue = tier(limit=SLOTS - 100, pool_id=red.pool_id)
        campaign = launched(red, blue, own)
        await service.hear(campaign)
        path = f"/campaigns/{campaign.campaign_id}/pledges"
        tiers = [red, red, blue, blue, own]
        calls = [
            service.placing(campaign.campaign_id, body(tier_id=str(tiers[number % 5].tier_id)))
            for number in range(PLACEMENTS)
        ]
        random.Random(1).shuffle(calls)
        answers = await run(service.addresses, calls, connections=CONNECTIONS)
        assert answers.statuses == {201: SLOTS, 409: PLACEMENTS - SLOTS}
        for one in (red, blue, own):
            answer = await service.send(0, "POST", path, new_id(), body(tier_id=str(one.tier_id)))
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/sold-out")
        taken = await _taken(service)
        assert (taken[red.tier_id] + taken[blue.tier_id], taken[own.tier_id]) == (SLOTS - 100, 100)
        claimed = await service.runtime.pool.fetch("SELECT claimed, slots FROM pool")
        assert all(row["claimed"] == row["slots"] for row in claimed)
        await _wait_in_line(service, campaign.campaign_id, red.tier_id)


async def _taken(service: Replicas) -> Counter[UUID]:
    """Pledges by tier: every one that a client was told of, and no other."""
    rows = await service.runtime.pool.fetch("SELECT tier_id, count(*) AS taken FROM pledge_view GROUP BY tier_id")
    return Counter({row["tier_id"]: row["taken"] for row in rows})


async def _wait_in_line(service: Replicas, campaign_id: UUID, tier_id: UUID) -> None:
    """Who was told `sold_out` gets a place on the list, each another one."""
    path = f"/campaigns/{campaign_id}/tiers/{tier_id}/waitlist"
    calls = [Call("POST", path, service.token(new_id()), "") for _ in range(WAITERS)]
    answers = await run(service.addresses, calls, connections=CONNECTIONS)
    assert answers.statuses == {201: WAITERS}
    numbers = await service.runtime.pool.fetch("SELECT number FROM waitlist ORDER BY number")
    assert [row["number"] for row in numbers] == list(range(1, WAITERS + 1))
