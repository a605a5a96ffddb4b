"""Whether a process lives, whether it can work, and what it counts. Not exposed by the gateway."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import asyncpg
import structlog
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.responses import JSONResponse, Response

CHECK_SECONDS = 1.0  # An orchestrator asks every few seconds; what needs longer than this is not ready.

# Returns when all is well, raises when not.
Check: TypeAlias = Callable[[], Awaitable[None]]

logger = structlog.get_logger()


def database_check(pool: "asyncpg.Pool[asyncpg.Record]") -> Check:
    """The database answers."""

    async def check() -> None:
        await pool.fetchval("SELECT 1", timeout=CHECK_SECONDS)

    return check


def router(checks: Mapping[str, Check], registry: CollectorRegistry) -> APIRouter:
    """`/health/live`, `/health/ready` and `/metrics`."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/health/live")
    async def live() -> dict[str, str]:
        """The process runs its loop: that this is answered says it."""
        return {"status": "live"}

    @routes.get("/health/ready")
    async def ready() -> Response:
        """All that the service needs is there; else 503, which names what is missing."""
        results = await asyncio.gather(*(_healthy(name, check) for name, check in checks.items()))
        found = dict(zip(checks, results, strict=True))
        if all(found.values()):
            return JSONResponse({"status": "ready", "checks": found})
        return JSONResponse({"status": "not ready", "checks": found}, 503, {"Retry-After": "1"})

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return routes


async def _healthy(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the service is not ready
        logger.warning("not_ready", check=name, error=type(error).__name__)
        return False
    return True
