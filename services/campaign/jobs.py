"""The timers: closing campaigns at their deadline (DOMAIN C11), filling the mirror (C7)."""

import asyncio
from datetime import datetime
from itertools import islice
from typing import Final

from campaign.domain_commands import CloseCampaign
from campaign.mirror import Mirror
from campaign.pages import DatabaseTime, read_pages
from contracts.ids import CampaignId
from eventing.database import Pool
from eventing.runtime import Runtime

AT_ONCE_MAX: Final = 200  # Campaigns closed in one round after a long standstill; more follow at once.
SLEEP_SECONDS_MAX: Final = 0.5  # Sees launches by other replicas, and a deadline is missed by no more than this.
MIRRORED_AT_ONCE_MAX: Final = 100
MIRROR_ROUND_SECONDS: Final = 0.1  # A hot campaign is mirrored this often, however many pledges come in.

READ_NEXT: Final = """
    SELECT campaign_id, deadline
    FROM campaign_page
    WHERE status = 'active'
    ORDER BY deadline, campaign_id
    LIMIT $1
"""


async def close_due(runtime: Runtime, time_of_day: DatabaseTime) -> bool:
    """One round: close what is due by the database clock, then sleep until the next deadline.

    Which campaigns are due is only a hint here; each is decided anew in its stream, on every replica alike.
    Returns True: there is always a next round.
    """
    async with runtime.pool.acquire() as connection:
        now = await runtime.clock.now(connection)
        time_of_day.note(now)
        following = await connection.fetch(READ_NEXT, AT_ONCE_MAX)
    due = [CloseCampaign(CampaignId(row["campaign_id"])) for row in following if row["deadline"] <= now]
    if due:
        await asyncio.gather(*(runtime.commit.execute(command) for command in due))
    else:
        await asyncio.sleep(seconds_to_sleep(now, following[0]["deadline"] if following else None))
    return True


def seconds_to_sleep(now: datetime, next_deadline: datetime | None) -> float:
    if next_deadline is None:
        return SLEEP_SECONDS_MAX
    return min(SLEEP_SECONDS_MAX, (next_deadline - now).total_seconds())


async def fill_mirror(pool: Pool, mirror: Mirror) -> bool:
    """One round: wait for changes and bring some of them into the mirror. Returns False: rest a little."""
    await mirror.changes()
    if mirror.paused:
        return False
    behind = list(islice(mirror.behind, MIRRORED_AT_ONCE_MAX))
    pages = {page.campaign_id: page for page in await read_pages(pool, behind)}
    for campaign_id in behind:
        page = pages.get(campaign_id)
        if page is None or not page.launched:
            mirror.caught_up(campaign_id)
        elif await mirror.write(page):
            mirror.caught_up(campaign_id, page.version)
    return False
