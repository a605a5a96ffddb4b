"""Who waits for a group commit, and when their group goes."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from eventing.attempt import Member

GROUP_MEMBERS_MAX: Final = 500  # Larger groups save nothing more per member and keep locks longer.
GATHERED_MESSAGES_MAX: Final = 20  # No more come before these are answered: what a consumer prefetches.


class Lane:
    """Members go as soon as those before them are committed, or when the first has waited `gather_seconds`.

    None waits longer once a group is full, no more messages can come, or `stop()` was called.
    """

    def __init__(self, gather_seconds: float = 0.0) -> None:
        self._gather_seconds = gather_seconds
        self.commands: deque[Member] = deque()
        self._events: deque[Member] = deque()
        self._messages = 0  # that the events came in
        self._changed = asyncio.Event()
        self.stopping = False

    def __len__(self) -> int:
        return len(self.commands) + len(self._events)

    def add_command(self, member: Member) -> None:
        self.commands.append(member)
        self._changed.set()

    def add_message(self, members: Iterable[Member]) -> None:
        """The events of one message."""
        self._events.extend(members)
        self._messages += 1
        self._changed.set()

    def stop(self) -> None:
        self.stopping = True
        self._changed.set()

    async def next_group(self) -> list[Member]:
        """Waits for it. Empty: stopped, and nothing is left."""
        while not (self or self.stopping):
            await self._change()
        if self and self._gather_seconds:
            await self._gather()
        return self._take()

    async def _gather(self) -> None:
        since = min(queue[0].since for queue in (self.commands, self._events) if queue)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(since + self._gather_seconds - time.monotonic()):
                while not (self.stopping or self._full()):
                    await self._change()

    def _full(self) -> bool:
        return len(self) >= GROUP_MEMBERS_MAX or self._messages >= GATHERED_MESSAGES_MAX

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _take(self) -> list[Member]:
        """Commands first: a person waits for them. A handler with a query of its own runs alone."""
        group: list[Member] = []
        for queue in (self.commands, self._events):
            while queue and len(group) < GROUP_MEMBERS_MAX:
                alone = queue[0].handler is not None and queue[0].handler.read is not None
                if alone and group:
                    return group
                group.append(queue.popleft())
                if alone:
                    return group
        if not self._events:
            self._messages = 0
        return group
