"""The logs of the processes that tests start: what they tell of answers of 500 and more since the last look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from deploy.topology import GATEWAY

FAILED_REQUEST = "request_failed"  # what the door of a service logs (eventing.http)
SERVER_ERROR = 500


class ServiceLogs:
    """Of all directories that are watched; each line is looked at once."""

    def __init__(self) -> None:
        self._read: dict[Path, dict[str, int]] = {}  # how much of each log, by its name

    def watch(self, directory: Path) -> None:
        """A run's directory of logs, looked at from its beginning."""
        self._read[directory] = {}

    def failures(self, *, server_away: bool) -> list[str]:
        """New lines that tell of a bug.

        Args:
            server_away: A server was taken away on purpose: the gateway then says 503 for it.
        """
        return [
            f"{log.name}: {line}"
            for directory, read in self._read.items()
            for log in sorted(directory.glob("*.log"))
            for line in _new_lines(log, read)
            if FAILED_REQUEST in line or (log.stem == GATEWAY.name and not server_away and _is_server_error(line))
        ]


def _new_lines(log: Path, read: dict[str, int]) -> Iterator[str]:
    with log.open("rb") as opened:
        opened.seek(read.get(log.name, 0))
        for line in opened:
            yield line.decode(errors="replace").rstrip()
        read[log.name] = opened.tell()


def _is_server_error(line: str) -> bool:
    """Of Caddy's log of requests, which holds other lines, too."""
    try:
        parsed = json.loads(line)
    except ValueError:
        return False
    return isinstance(parsed, dict) and int(parsed.get("status", 0)) >= SERVER_ERROR
