"""The analytics service: the creator's dashboard, from its own projections (DOMAIN A1 to A5)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from analytics.api import router
from analytics.projections import DEFINITION
from eventing.house import House, Rooms
from eventing.settings import ServiceSettings


class Settings(ServiceSettings):
    service: ClassVar[str] = "analytics"


@asynccontextmanager
async def _open_rooms(_settings: Settings) -> AsyncIterator[Rooms]:
    yield Rooms(routers=lambda runtime: [router(runtime)])


HOUSE = House(
    title="Analytics",
    definition=DEFINITION,
    migrations=Path(__file__).parent / "migrations",
    open_rooms=_open_rooms,
)
cli = HOUSE.cli(Settings)
