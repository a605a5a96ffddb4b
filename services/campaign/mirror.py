"""The mirror of public pages in Redis (DOMAIN C7): for speed only, and never asked twice when it does not answer.

The database is the authority. A page is written only when newer and lives for seconds; whatever Redis loses or
misses, the next reader or the next change brings back.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from campaign.pages import Page
from campaign.tables import TOTALS, Total
from eventing.work import Work

REDIS_SECONDS: Final = 0.1  # A healthy Redis answers within a millisecond; the database in about two.
PAUSE_SECONDS: Final = 1.0  # After a failure Redis is left alone for this long, so that a dead one costs nothing.
CONNECTIONS_MAX: Final = 10  # Reads of one page are shared, so that few are under way at once.
BEHIND_MAX: Final = 10_000  # Past this, what is behind is forgotten; the mirror's short life heals it.

# KEYS[1] the page. ARGV: version, creator, open until, body, life in milliseconds. Keeps whichever is newer.
WRITE_IF_NEWER: Final = """
    local stored = redis.call('HGET', KEYS[1], 'version')
    if stored and tonumber(stored) > tonumber(ARGV[1]) then
        return 0
    end
    redis.call('HSET', KEYS[1], 'version', ARGV[1], 'creator', ARGV[2], 'open_until', ARGV[3], 'body', ARGV[4])
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    return 1
"""
_FIELDS: Final = ("version", "creator", "open_until", "body")
_NO_ANSWER: Final = object()

log = structlog.get_logger(__name__)


def connect_redis(url: str) -> Redis:
    """A client that tries once more, because a pooled connection may be from before a restart, and then gives up.

    It has no time-out of its own but that of `Mirror`: it would use asyncio.wait_for, which can swallow a
    cancellation before Python 3.12, and then a job never stops.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS_MAX,
        timeout=REDIS_SECONDS,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)


def key_of(campaign_id: UUID) -> str:
    return f"campaign:page:v1:{campaign_id}"


class Mirror:
    """Public pages in Redis. Nothing here raises for a Redis that is gone or slow."""

    def __init__(
        self,
        redis: Redis,
        life_seconds: float,
        answer_seconds: float = REDIS_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.behind: dict[UUID, int] = {}  # pages known to be newer than the mirror shows, and their version
        self.listeners: list[Callable[[UUID], None]] = []  # told of each campaign that a commit touched
        self._changed = asyncio.Event()
        self._redis = redis
        self._life_milliseconds = int(life_seconds * 1000)
        self._write = redis.register_script(WRITE_IF_NEWER)
        self._answer_seconds = answer_seconds
        self._monotonic = monotonic
        self._paused_until = float("-inf")

    def note(self, work: Work) -> None:
        """After a commit: remember what the mirror does not show yet. Does no I/O; `fill` does it later."""
        for table, row in work.changed:
            if table is TOTALS and isinstance(row, Total):
                self.note_version(row.campaign_id, row.version)
                for listener in self.listeners:
                    listener(row.campaign_id)

    def note_version(self, campaign_id: UUID, version: int) -> None:
        if len(self.behind) >= BEHIND_MAX:
            self.behind.clear()
        self.behind[campaign_id] = max(version, self.behind.get(campaign_id, 0))
        self._changed.set()

    async def changes(self) -> None:
        """Wait until something is behind."""
        while not self.behind:
            self._changed.clear()
            await self._changed.wait()

    def caught_up(self, campaign_id: UUID, version: int | None = None) -> None:
        """The mirror shows this version; None: there is nothing of this campaign to show."""
        if version is None or self.behind.get(campaign_id, version + 1) <= version:
            self.behind.pop(campaign_id, None)

    @property
    def paused(self) -> bool:
        return self._monotonic() < self._paused_until

    async def read(self, campaign_id: UUID) -> Page | None:
        """The mirrored page, or None: ask the database."""
        found = await self._ask(lambda: self._redis.hmget(key_of(campaign_id), _FIELDS))
        if found is _NO_ANSWER or found[-1] is None:
            return None
        version, creator, open_until, body = found
        return Page(campaign_id, UUID(creator.decode()), True, int(version), float(open_until), body)

    async def write(self, page: Page) -> bool:
        """Mirror a launched campaign's page unless a newer one is there. False: Redis did not answer."""
        arguments = page.version, str(page.creator_id), page.open_until, page.body, self._life_milliseconds
        written = await self._ask(lambda: self._write(keys=[key_of(page.campaign_id)], args=arguments))
        return written is not _NO_ANSWER

    async def _ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        if self.paused:
            return _NO_ANSWER
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await question()
        except (RedisError, OSError, TimeoutError) as error:
            self._paused_until = self._monotonic() + PAUSE_SECONDS
            log.warning("redis_away", error=repr(error))
            return _NO_ANSWER
