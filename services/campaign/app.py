"""The campaign service, put together: `campaign serve | migrate | rebuild | republish | parked`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from campaign.api import router
from campaign.domain_commands import Bounds
from campaign.handlers import DEFINITION
from campaign.jobs import MIRROR_ROUND_SECONDS, close_due, fill_mirror
from campaign.live import REST_SECONDS, Live
from campaign.mirror import Mirror, connect_redis
from campaign.queries import Pages
from eventing.house import House, Rooms
from eventing.runtime import Job
from eventing.settings import RedisUrl, ServiceSettings

DAY_SECONDS: Final = 86_400


class Settings(ServiceSettings):
    service: ClassVar[str] = "campaign"

    redis_url: RedisUrl = Field(
        description="Redis or Valkey, the mirror of public pages: redis://:password@host:port/0"
    )
    min_campaign_seconds: int = Field(3_600, ge=1, description="A deadline lies at least this far ahead at launch")
    max_campaign_seconds: int = Field(
        60 * DAY_SECONDS, ge=1, le=365 * DAY_SECONDS, description="A deadline lies at most this far ahead at launch"
    )
    live_streams_max: int = Field(
        5_000, ge=1, le=50_000, description="Live streams open at once in a process, some 30 KB each; more get a 503"
    )
    mirror_ttl_seconds: float = Field(5, gt=0, le=60, description="How long the mirror keeps a page")


@asynccontextmanager
async def open_rooms(settings: Settings) -> AsyncIterator[Rooms]:
    bounds = Bounds(settings.min_campaign_seconds, settings.max_campaign_seconds)
    async with connect_redis(settings.redis_url.get_secret_value()) as redis:
        mirror = Mirror(redis, settings.mirror_ttl_seconds)
        live = Live(settings.live_streams_max)
        mirror.listeners.append(live.note)
        yield Rooms(
            routers=lambda runtime: [router(runtime, Pages(runtime.pool, mirror), live, bounds)],
            jobs=lambda runtime: [
                Job("close campaigns", lambda: close_due(runtime), 0),
                Job("follow live", lambda: live.look(runtime.pool), REST_SECONDS),
                Job("fill mirror", lambda: fill_mirror(runtime.pool, mirror), MIRROR_ROUND_SECONDS),
            ],
            after_commit=(mirror.note,),
        )


HOUSE = House(
    title="Groundswell campaigns",
    definition=DEFINITION,
    migrations=Path(__file__).parent / "migrations",
    open_rooms=open_rooms,
)
cli = HOUSE.cli(Settings)
