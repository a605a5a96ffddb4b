"""Watching a campaign live (DOMAIN C7): one reader of the database for all campaigns that somebody watches.

A viewer costs a write for each change and holds no queue: who is slow gets the newest state and skips the others.
Milestones are never skipped: a stream's position says how many its viewer has seen.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json

from campaign.pages import Page, read_pages
from eventing.database import Pool
from eventing.refusal import Unavailable

ROUND_SECONDS: Final = 0.05  # Between two looks at what others have committed; what this process commits wakes it.
REST_SECONDS: Final = 0.04  # After each look, so that a hot campaign stays cheap. With 0.1 a pledge was seen too late.
FULL_RETRY_SECONDS: Final = 10
HEARTBEAT_SECONDS: Final = 15.0  # Shorter than the idle time-outs of proxies on the way, and notices who is gone.
RETRY_MILLISECONDS: Final = (1_000, 5_000)  # Spread, so that a restart is not followed by everybody at once.
WATCHED_MAX: Final = 1_000  # Campaigns in one look: about a millisecond of the database's time.

READ_VERSIONS: Final = "SELECT campaign_id, version FROM campaign_total WHERE campaign_id = ANY($1::uuid[])"
HEARTBEAT: Final = b": still here\n\n"
_MOVING: Final = ("status", "pledged", "at_risk", "at_risk_backers", "disputes", "backers", "percent")


@dataclass(frozen=True)
class Position:
    """How far a viewer has seen: the version of the page, and the number of milestones crossed."""

    version: int
    milestones: int

    def __str__(self) -> str:
        return f"{self.version}-{self.milestones}"

    @classmethod
    def read(cls, last_event_id: str | None) -> "Position | None":
        """From a `Last-Event-ID`; None for one that is not ours: the viewer begins anew."""
        version, _, milestones = (last_event_id or "").partition("-")
        if not (version.isascii() and version.isdigit() and milestones.isascii() and milestones.isdigit()):
            return None
        return cls(int(version[:18]), int(milestones[:3]))


class Moment:
    """A campaign at one version, as it is sent: made once for all viewers."""

    def __init__(self, page: Page) -> None:
        shown = from_json(page.body)
        self._crossed = [milestone for milestone in shown["milestones"] if milestone["crossed_at"] is not None]
        self.position = Position(page.version, len(self._crossed))
        self.over = shown["status"] != "active"
        slots = [{name: tier[name] for name in ("id", "limit", "slots_left")} for tier in shown["tiers"]]
        self._total = _frame("total", self.position, {name: shown[name] for name in _MOVING})
        self._slots = _frame("slots", self.position, {"tiers": slots})
        self._end = _frame("end", self.position, {"status": shown["status"]}) if self.over else b""

    def since(self, seen: Position | None) -> bytes:
        """What a viewer who has seen so much is sent. Milestones first: their ids still carry the old version."""
        from_ = self.position.milestones if seen is None else seen.milestones
        version = 0 if seen is None else seen.version
        milestones = (
            _frame("milestone", Position(version, number), crossed)
            for number, crossed in enumerate(self._crossed[from_:], from_ + 1)
        )
        return b"".join((*milestones, self._slots, self._total, self._end))


def _frame(event: str, position: Position, data: Any) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (event.encode(), str(position).encode(), to_json(data))


@dataclass(eq=False)
class _Channel:
    """One watched campaign."""

    viewers: int = 0
    moment: Moment | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, moment: Moment) -> None:
        if self.moment is None or moment.position.version > self.moment.position.version:
            self.moment = moment
            self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Live:
    """All live streams of one process."""

    def __init__(self, streams_max: int) -> None:
        self._streams_max = streams_max
        self._channels: dict[UUID, _Channel] = {}
        self._look = asyncio.Event()
        self._stopping = asyncio.Event()
        self.streams = 0

    def note(self, campaign_id: UUID) -> None:
        """This process has committed something about a campaign: look at once."""
        if campaign_id in self._channels:
            self._look.set()

    async def watch(self, pool: Pool, campaign_id: UUID, stopping: asyncio.Event) -> "Viewer | None":
        """Somebody who watches until `stopping`; None if there is no such campaign or it is a draft.

        Raises:
            Unavailable: As many watch as this process can serve.
        """
        self._stopping = stopping
        watched = self._channels.get(campaign_id)
        moment = watched.moment if watched else None
        if moment is None:
            moment = await _read(pool, campaign_id)
        if moment is None:
            return None
        one_too_many = campaign_id not in self._channels and len(self._channels) >= WATCHED_MAX
        if one_too_many or self.streams >= self._streams_max:
            raise Unavailable("As many people watch as can be served. Read the page meanwhile.", FULL_RETRY_SECONDS)
        channel = self._channels.setdefault(campaign_id, _Channel())
        channel.viewers += 1
        channel.show(moment)
        self.streams += 1
        self._look.set()
        return Viewer(self, campaign_id, channel, moment)

    def left(self, campaign_id: UUID, channel: _Channel) -> None:
        self.streams -= 1
        channel.viewers -= 1
        if not channel.viewers:
            del self._channels[campaign_id]

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    async def look(self, pool: Pool) -> bool:
        """One round of the reader: wait for a change or a little, then show what is new. Returns False: rest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ROUND_SECONDS if self._channels else None):
                await self._look.wait()
        self._look.clear()
        if self.stopping:
            for channel in self._channels.values():
                channel.wake()
        newer = await self._newer(pool)
        for page in await read_pages(pool, newer) if newer else ():
            if watched := self._channels.get(page.campaign_id):
                watched.show(Moment(page))
        return False

    async def _newer(self, pool: Pool) -> list[UUID]:
        """Watched campaigns of which the database has more than is shown."""
        versions = await pool.fetch(READ_VERSIONS, list(self._channels))
        shown = {id_: channel.moment.position.version for id_, channel in self._channels.items() if channel.moment}
        return [id_ for id_, version in versions if version > shown.get(id_, version)]


async def _read(pool: Pool, campaign_id: UUID) -> Moment | None:
    for page in await read_pages(pool, (campaign_id,)):
        if page.launched:
            return Moment(page)
    return None


@dataclass(eq=False)
class Viewer:
    """One open stream. Whoever has it calls `leave` when it is over."""

    live: Live
    campaign_id: UUID
    channel: _Channel
    moment: Moment

    async def frames(self, seen: Position | None) -> AsyncIterator[bytes]:
        """From the present state on, until the campaign is over or the service stops.

        `seen`: where the viewer's last stream ended. One that is ahead of the present, as after a database was
        restored, counts for nothing.
        """
        yield b"retry: %d\n\n" % random.randint(*RETRY_MILLISECONDS)
        if seen is not None and seen.version > self.moment.position.version:
            seen = None
        while True:
            if seen is None or seen.version < self.moment.position.version:
                yield self.moment.since(seen)
                seen = self.moment.position
            if self.moment.over or self.live.stopping:
                return
            if self.channel.moment is self.moment and not await self._changed():
                yield HEARTBEAT
            self.moment = self.channel.moment or self.moment

    async def _changed(self) -> bool:
        """Wait for the next moment; False: too long for a connection to be silent."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                return await self.channel.changed.wait()
        except TimeoutError:
            return False

    def leave(self) -> None:
        self.live.left(self.campaign_id, self.channel)
