"""The smallest service: what the tests of the command line start as a process of its own."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from fastapi import APIRouter, FastAPI

from eventing.http import build_app
from eventing.service import CommandError, Commands, Republish, build_cli
from eventing.telemetry import Tracing
from eventing.tokens import public
from tests.integration.eventing.shell import Settings

logger = structlog.get_logger()


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[FastAPI]:
    router = APIRouter(dependencies=[public()])
    go_on = asyncio.Event()

    @router.get("/slow")
    async def slow() -> str:
        """Answers once the service has been told to stop."""
        logger.info("slow_began")
        await app.state.stopping.wait()
        return "done"

    @router.get("/bug")
    async def bug() -> None:
        token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
        logging.getLogger("library").warning("dsn %s", settings.database_url.get_secret_value())
        raise RuntimeError(f"Bearer {token} {settings.broker_url.get_secret_value()}")

    @router.get("/linger")
    async def linger() -> None:
        """From now on closing takes for ever."""
        go_on.set()

    tracing = Tracing(settings.service, settings.otlp_endpoint)
    app = build_app(settings, title="Tiny", version="1", routers=[router])
    try:
        yield app
    finally:
        logger.info("closing")
        if go_on.is_set():
            await asyncio.Event().wait()
        tracing.stop()
        logger.info("closed")


async def declare(settings: Settings) -> None:
    logger.info("declared", service_settings=repr(settings))


async def rebuild(_settings: Settings, projection: str | None) -> None:
    if projection == "unknown":
        raise CommandError("There is no projection unknown.")
    logger.info("rebuilt", projection=projection)


async def republish(_settings: Settings, wanted: Republish) -> int:
    logger.info("republished", wanted=repr(wanted))
    return len(wanted.types)


async def restored(_settings: Settings) -> int:
    return 1_000


class Parked:
    async def list(self, _settings: Settings) -> Sequence[object]:
        return ["row 1", "row 2"]

    async def show(self, _settings: Settings, parked_id: int) -> object:
        return f"whole {parked_id}"

    async def retry(self, _settings: Settings, parked_id: int | None) -> int:
        return 2 if parked_id is None else 1

    async def discard(self, _settings: Settings, parked_id: int) -> None:
        logger.info("discarded", parked_id=parked_id)


cli = build_cli(
    "tiny",
    Settings,
    build,
    Commands(Path(__file__).parent / "migrations", declare, rebuild, republish, restored, Parked()),
)

if __name__ == "__main__":
    cli()
