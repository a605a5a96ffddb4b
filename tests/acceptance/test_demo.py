"""The shipped scenarios end as their files say, on the page, in the ledger and in the provider's own books."""

from __future__ import annotations

import asyncio

from deploy.local.platform import LocalPlatform
from scenarios.loading import load
from scenarios.performance import Performance


async def test_all_shipped_scenarios_at_once_end_as_expected(platform: LocalPlatform) -> None:
    performance = Performance(platform, load())
    await asyncio.to_thread(performance.rehearse)
    await performance.run()
    found, made = await performance.check()
    assert [str(claim) for claim in made if not claim.holds] == []
    assert len(made) > 100, "a check that checks nothing"
    assert all(play.visibility.latencies for play, _ in found)
