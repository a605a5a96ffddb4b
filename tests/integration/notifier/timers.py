"""Timers played by hand, and what stands in the table of notices."""

from collections import Counter

from notifier.jobs import AddressWatch, FanOuts, Sender
from tests.integration.house import House

ROUNDS_MAX = 500  # Far more than any of these tests needs: then it hangs.


async def drain(*timers: Sender | FanOuts | AddressWatch) -> int:
    """Each timer until it has nothing more to do. Returns the rounds in which something was done."""
    rounds = 0
    for timer in timers:
        while await timer.run_once():
            rounds += 1
            assert rounds < ROUNDS_MAX
    return rounds


async def statuses(core: House) -> Counter[str]:
    rows = await core.pool.fetch("SELECT status, count(*) AS number FROM notice GROUP BY status")
    return Counter({row["status"]: row["number"] for row in rows})


async def reasons(core: House) -> set[str]:
    return {row["reason"] for row in await core.pool.fetch("SELECT reason FROM notice WHERE reason <> ''")}


async def told(core: House) -> Counter[tuple[str, str]]:
    """Notices by kind and person."""
    rows = await core.pool.fetch("SELECT kind, person_id FROM notice")
    return Counter((row["kind"], str(row["person_id"])) for row in rows)
