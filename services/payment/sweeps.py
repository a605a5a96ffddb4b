"""What the provider did not tell us, or we did not keep, is looked for (DOMAIN Y6)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import structlog

from contracts.ids import PledgeId
from eventing.group_commit import GroupCommit
from payment.gateway import LookupFailedError
from payment.handlers import CheckHold
from payment.stripe_events import EventPage
from payment.switches import READS, stopped
from payment.turns import Place, Turns
from payment.webhooks import KeepWebhook, Ours, UnreadableEvent, summary

log = structlog.get_logger(__name__)

EVENTS: Final = "events"
REACH: Final = timedelta(days=30)  # So far back the provider's list goes.
OVERLAP: Final = timedelta(minutes=10)  # An event may be listed a little later than one that was created after it.
AGAIN: Final = timedelta(minutes=1)  # The provider could not be asked.

HOLDS: Final = "holds"
HOLDS_EVERY: Final = timedelta(minutes=15)
HOLDS_AT_ONCE: Final = 200
NEAR: Final = timedelta(hours=1)  # A renewal is due a day before; one that is not done by now may have been forgotten.

Events: TypeAlias = Callable[[datetime, str], Awaitable[EventPage]]

_KNOWN: Final = "SELECT event_id FROM webhook WHERE event_id = ANY($1::text[])"

_EXPIRING: Final = """
    SELECT pledge_id, hold_id
      FROM renewal
     WHERE capture_before <= $1
       AND hold_id > $2
     ORDER BY hold_id
     LIMIT $3
"""


@dataclass
class EventSweep:
    """Feeds the inbox with events that no webhook has brought. One page at a time, on one replica at a time.

    The place of its turn, by the provider's own clock: `since` is the newest event of the last whole sweep, `upto`
    the newest one of this sweep, `after` the event to go on from. So a sweep that is stopped anywhere goes on there,
    and what happens meanwhile is the next one's.
    """

    commit: GroupCommit
    turns: Turns
    events: Events
    ours: Ours
    every: timedelta

    async def run_once(self) -> bool:
        turn = None if READS in await stopped(self.turns.pool) else await self.turns.take(EVENTS)
        if turn is None:
            return False
        since = turn.place.since or turn.now - REACH
        place = replace(turn.place, since=since)
        try:
            while True:
                page = await self.events(since - OVERLAP, place.after)
                newest = await self._take(page)
                place = replace(place, upto=place.upto or newest, after=page.following)
                if not page.following:
                    break
                await self.turns.keep(turn, place)
        except LookupFailedError as error:
            log.warning("event_sweep_waits", error=str(error))
            await self.turns.end(turn, place, turn.now + AGAIN)
            return False
        await self.turns.end(turn, Place(since=max(since, place.upto or since)), turn.now + self.every)
        return False

    async def _take(self, page: EventPage) -> datetime | None:
        """Keep what is not kept yet. Returns when the newest was created."""
        found = [event for event in map(self._summary, page.events) if event is not None]
        ids = [event.event_id for event in found]
        known = {row["event_id"] for row in await self.turns.pool.fetch(_KNOWN, ids)}
        missing = [event for event in found if event.event_id not in known]
        if missing:
            log.info("events_swept", events=len(missing))
            await asyncio.gather(*map(self.commit.execute, missing))
        return max((event.created_at for event in found), default=None)

    def _summary(self, event: object) -> KeepWebhook | None:
        try:
            return summary(event, self.ours)
        except UnreadableEvent as error:
            log.warning("event_unreadable", error=str(error))
            return None


@dataclass
class HoldSweep:
    """Has holds looked at that should be over, or nearly, and that we still believe to be live (DOMAIN Y4, Y6)."""

    commit: GroupCommit
    turns: Turns

    async def run_once(self) -> bool:
        turn = await self.turns.take(HOLDS)
        if turn is None:
            return False
        due = await self.turns.pool.fetch(_EXPIRING, turn.now + NEAR, turn.place.after, HOLDS_AT_ONCE)
        await asyncio.gather(*(self.commit.execute(CheckHold(PledgeId(p), hold_id)) for p, hold_id in due))
        more = len(due) == HOLDS_AT_ONCE
        after = due[-1]["hold_id"] if more else ""
        await self.turns.end(turn, Place(after=after), turn.now if more else turn.now + HOLDS_EVERY)
        return more
