"""What is read over HTTP: single pages by way of the mirror, and lists from the database."""

import asyncio
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from pydantic import BaseModel

from campaign.domain import Status
from campaign.mirror import Mirror
from campaign.pages import Page, links, percent_of, read_pages
from campaign.projections import SHOWN
from contracts.money import Money
from eventing.database import Pool

FRESH_SECONDS: Final = 0.05  # Readers of one campaign within this share one read; nobody sees the difference.
RECENT_MAX: Final = 1_000  # Pages kept for that long: at most 64 MB, usually 3.

READ_LIST: Final = """
    SELECT page.document, coalesce(total.pledged_minor, 0) AS pledged_minor, coalesce(total.backers, 0) AS backers
    FROM campaign_page page LEFT JOIN campaign_total total USING (campaign_id)
    WHERE (page.launched_at IS NOT NULL OR page.creator_id = $1)
      AND ($2::text IS NULL OR page.status = $2)
      AND ($3::uuid IS NULL OR page.creator_id = $3)
      AND ($4::uuid IS NULL OR page.campaign_id < $4)
    ORDER BY page.campaign_id DESC
    LIMIT $5
"""


class CampaignInList(BaseModel):
    id: UUID
    title: str
    status: Status
    goal: Money
    pledged: Money
    backers: int
    percent: int
    links: dict[str, str]


class CampaignList(BaseModel):
    """Newest first. `next` is the address of the following page, null on the last one."""

    items: list[CampaignInList]
    next: str | None


class Pages:
    """Pages of campaigns, at most a blink old, and never older than what this process has committed itself."""

    def __init__(self, pool: Pool, mirror: Mirror, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._mirror = mirror
        self._monotonic = monotonic
        self._recent: dict[UUID, tuple[float, asyncio.Task[Page | None]]] = {}
        mirror.listeners.append(self._forget)

    async def page(self, campaign_id: UUID) -> Page | None:
        """The page, None if there is no such campaign. Drafts too: the caller decides who may see them."""
        now = self._monotonic()
        until, reading = self._recent.get(campaign_id, (now, None))
        if reading is None or (now >= until and reading.done()):
            if len(self._recent) >= RECENT_MAX:
                self._recent.clear()
            reading = asyncio.create_task(self._read(campaign_id))
            reading.add_done_callback(_seen)
            self._recent[campaign_id] = now + FRESH_SECONDS, reading
        return await asyncio.shield(reading)

    def _forget(self, campaign_id: UUID) -> None:
        self._recent.pop(campaign_id, None)

    async def _read(self, campaign_id: UUID) -> Page | None:
        if campaign_id not in self._mirror.behind and (mirrored := await self._mirror.read(campaign_id)):
            return mirrored
        for page in await read_pages(self._pool, (campaign_id,)):
            if page.launched:
                self._mirror.note_version(campaign_id, page.version)
            return page
        return None

    async def listed(
        self, viewer: UUID | None, status: Status | None, creator: UUID | None, before: UUID | None, limit: int
    ) -> list[CampaignInList]:
        """Launched campaigns, and the viewer's own drafts, newest first."""
        arguments = viewer, status, creator, before, limit
        return [_in_list(*record) for record in await self._pool.fetch(READ_LIST, *arguments)]


def _in_list(document: str, pledged_minor: int, backers: int) -> CampaignInList:
    campaign = SHOWN.validate_json(document).campaign
    goal = campaign.terms.goal
    return CampaignInList(
        id=campaign.campaign_id,
        title=campaign.terms.title,
        status=campaign.status,
        goal=goal,
        pledged=Money(amount=pledged_minor, currency=goal.currency),
        backers=backers,
        percent=percent_of(pledged_minor, goal.amount),
        links=links(campaign.campaign_id),
    )


def _seen(reading: "asyncio.Task[Page | None]") -> None:
    """A failed read was told to those who waited; if all have hung up, nobody need be told again."""
    if not reading.cancelled():
        reading.exception()
