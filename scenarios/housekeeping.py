"""What a campaign's numbers do not show: parked events, errors in logs, answers of the gateway that are our fault.

Only for a platform that this process started; a running one keeps its logs to itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg

from deploy.local.platform import LocalPlatform
from deploy.topology import GATEWAY, SERVICES
from scenarios.checks import Claim

SHOWN_MAX: Final = 3  # Lines of a log; the whole log is named.
ERROR_LEVELS: Final = frozenset({"error", "critical", "exception"})
SERVER_ERROR: Final = 500


async def house_claims(platform: LocalPlatform, *, faults: bool) -> list[Claim]:
    """No event is parked; unless faults were made on purpose, no log tells of an error and no answer was a 5xx."""
    found = [await _parked(platform, service.name) for service in SERVICES]
    if not faults:
        found += await asyncio.to_thread(lambda: list(_logs(platform)))
    return found


async def _parked(platform: LocalPlatform, service: str) -> Claim:
    connection = await asyncpg.connect(platform.process(service).env["GROUNDSWELL_DATABASE_URL"])
    try:
        errors = await connection.fetch("SELECT type, error FROM parked_event ORDER BY id")
    finally:
        await connection.close()
    return Claim(service, "parked events", [], [f"{one['type']}: {one['error']}" for one in errors])


def _logs(platform: LocalPlatform) -> Iterator[Claim]:
    for service in SERVICES:
        path = platform.process(service.name).log
        errors = [line for line in _lines(path) if _is_error(line)]
        yield Claim(service.name, f"errors in {path}", [], errors[:SHOWN_MAX])
    path = platform.process(GATEWAY.name).log
    failed = [line["request"]["uri"] for line in _objects(path) if line.get("status", 0) >= SERVER_ERROR]
    yield Claim(GATEWAY.name, f"answers of 500 and more in {path}", [], failed[:SHOWN_MAX])


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="replace") as log:
        yield from log


def _is_error(line: str) -> bool:
    if line.startswith("Traceback"):
        return True
    parsed = _object(line)
    return parsed is not None and parsed.get("level") in ERROR_LEVELS


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    return (parsed for line in _lines(path) if (parsed := _object(line)) is not None)


def _object(line: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
