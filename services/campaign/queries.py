"""Pages of campaigns as HTTP reads them: by way of the mirror, each read shared by those who ask at once."""

import asyncio
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from campaign.domain import Campaign
from campaign.domain_decisions import not_found
from campaign.mirror import Mirror
from campaign.pages import Page, read_pages
from campaign.projections import SHOWN
from eventing.database import Pool

FRESH_SECONDS: Final = 0.05  # Readers of one campaign within this share one read; nobody sees the difference.
RECENT_MAX: Final = 1_000  # Pages kept for that long: at most 64 MB, usually 3.


READ_CAMPAIGN: Final = "SELECT document FROM campaign_page WHERE campaign_id = $1"


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

    async def campaign(self, campaign_id: UUID, viewer: UUID | None) -> Campaign:
        """The campaign as it was decided, for somebody who may see it.

        Raises:
            CampaignNotFound: There is none, or it is somebody else's draft.
        """
        document = await self._pool.fetchval(READ_CAMPAIGN, campaign_id)
        campaign = document and SHOWN.validate_json(document).campaign
        if not campaign or (campaign.launched_at is None and campaign.creator_id != viewer):
            raise not_found()
        return campaign

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


def _seen(reading: "asyncio.Task[Page | None]") -> None:
    """A failed read was told to those who waited; if all have hung up, nobody need be told again."""
    if not reading.cancelled():
        reading.exception()
