"""The pledge service, put together: `pledge serve | migrate | rebuild | republish | parked`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from eventing.house import House, Rooms
from eventing.settings import ServiceSettings
from pledge.api import router
from pledge.handlers import DEFINITION
from pledge.jobs import jobs


class Settings(ServiceSettings):
    service: ClassVar[str] = "pledge"

    decision_lease_seconds: int = Field(
        900, ge=1, le=86_400, description="A pledge whose payment is undecided for so long is declined (DOMAIN P2)"
    )
    slot_offer_seconds: int = Field(
        86_400,
        ge=1,
        le=2_592_000,
        description="A free slot is kept for the first on its waitlist for so long (DOMAIN P3)",
    )


@asynccontextmanager
async def open_rooms(settings: Settings) -> AsyncIterator[Rooms]:
    yield Rooms(
        routers=lambda runtime: [router(runtime, settings.decision_lease_seconds)],
        jobs=lambda runtime: jobs(runtime, settings.slot_offer_seconds),
    )


HOUSE = House(
    title="Groundswell pledges",
    definition=DEFINITION,
    migrations=Path(__file__).parent / "migrations",
    open_rooms=open_rooms,
)
cli = HOUSE.cli(Settings)
