"""A private Redis (or Valkey): a mirror that forgets everything when it stops (DOMAIN C7)."""

from __future__ import annotations

from pathlib import Path

from deploy.local.private import Command, Recipe, Site, find_program
from deploy.local.probes import redis_answers


def find_redis() -> Recipe | None:
    """A recipe for the Redis or Valkey that is installed here."""
    server = find_program("redis-server", "valkey-server")
    if server is None:
        return None
    return Recipe("redis", 1, lambda site: _prepare(server, site), urls, redis_answers)


def urls(site: Site) -> tuple[str]:
    return (f"redis://:{site.password}@127.0.0.1:{site.ports[0]}/0",)


def _prepare(server: Path, site: Site) -> Command:
    settings = {
        "bind": "127.0.0.1",
        "port": str(site.ports[0]),
        "requirepass": site.password,
        "dir": str(site.data),
        "save": '""',
        "appendonly": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "allkeys-lru",
    }
    lines = "".join(f"{name} {value}\n" for name, value in settings.items())
    return Command([str(server), str(site.write("redis.conf", lines))])
