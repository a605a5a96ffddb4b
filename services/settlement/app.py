"""The settlement service: from a closed book to captures, voids, an outcome and a payout (DOMAIN S1 to S8)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from eventing.house import House, Rooms
from eventing.runtime import Runtime
from eventing.settings import ServiceSettings
from settlement.api import router
from settlement.handlers import DEFINITION
from settlement.jobs import Settler


class Settings(ServiceSettings):
    service: ClassVar[str] = "settlement"

    outstanding_max: int = Field(
        500, ge=1, le=10_000, description="Captures and voids asked for and not answered yet, of all campaigns together"
    )


@asynccontextmanager
async def _open_rooms(settings: Settings) -> AsyncIterator[Rooms]:
    def settler(runtime: Runtime) -> Settler:
        return Settler(runtime.pool, runtime.commit, runtime.clock, settings.outstanding_max)

    yield Rooms(routers=lambda runtime: [router(runtime)], jobs=lambda runtime: settler(runtime).jobs())


HOUSE = House(
    title="Settlement",
    definition=DEFINITION,
    migrations=Path(__file__).parent / "migrations",
    open_rooms=_open_rooms,
)
cli = HOUSE.cli(Settings)
