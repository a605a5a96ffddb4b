"""An event loop whose time is virtual: when nothing can happen before the next timer, it is that time already.

Real work, which is PostgreSQL's alone, is done inside `real`: meanwhile time stands still. So a run takes as long as
its statements do, whether it lasts a second or two months, and what happens depends on its seed alone.
"""

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, Final, TypeVar

T = TypeVar("T")
REAL_WAIT_SECONDS: Final = 0.05  # PostgreSQL wakes the selector earlier than that.
RESOLUTION_SECONDS: Final = 1e-6  # A float of months of seconds is as exact as that.

# The tasks of the process in whose name code runs: what it starts is the process's as well, and dies with it.
OWNER: ContextVar["dict[asyncio.Task[Any], None] | None"] = ContextVar("owner", default=None)


class StandstillError(Exception):
    """Nobody waits for anything that can still happen."""


class _Selector(selectors.DefaultSelector):
    now = 0.0
    busy = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Answers of real work are looked at only when all that could go on has: their order is no matter of speed."""
        if timeout is not None and timeout <= 0:
            return []
        if self.busy:
            return super().select(REAL_WAIT_SECONDS)
        if timeout is None:
            raise StandstillError("nothing can happen any more")
        self.now += timeout
        return []


class _Timer(asyncio.TimerHandle):
    """Of two that are due at the same instant the one that was set first comes first, whatever else is in the heap."""

    number = 0

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, _Timer)
        return (self.when(), self.number) < (other.when(), other.number)


class VirtualLoop(asyncio.SelectorEventLoop):
    _scheduled: list[_Timer]
    _timer_cancelled_count: int

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._clock_resolution = RESOLUTION_SECONDS
        self._free: set[asyncio.Task[Any]] = set()
        self._timers = itertools.count(1)

    def time(self) -> float:
        return self._virtual.now

    def begin(self) -> None:
        """A new run: time starts again, and nothing is left of the last one."""
        self._virtual.now = 0.0
        self._scheduled.clear()
        self._timer_cancelled_count = 0

    def call_at(  # type: ignore[override]  # the loop's own is typed for any number of arguments
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        timer.number = next(self._timers)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]  # as the loop's own `call_at` does
        return timer

    def jump(self, seconds: float) -> None:
        """Time passes for everybody at once, also for what is under way."""
        self._virtual.now += seconds

    def create_task(self, coro: Any, **named: Any) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = super().create_task(coro, **named)
        owner = OWNER.get()
        if owner is not None:
            owner[task] = None  # in order, which a set does not keep
            task.add_done_callback(owner.pop)
        return task

    def free_task(self, coro: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """A task of nobody's: it outlives the process that it was started by."""
        token = OWNER.set(None)
        try:
            task = self.create_task(coro)
        finally:
            OWNER.reset(token)
        self._free.add(task)
        task.add_done_callback(self._free.discard)
        return task

    async def end_free(self) -> None:
        """What is still under way never arrives."""
        for task in self._free:
            task.cancel()
        await asyncio.gather(*self._free, return_exceptions=True)

    async def real(self, work: Awaitable[T]) -> T:
        """The result of something that takes real time. It is never broken off in the middle."""

        async def whole() -> T:
            return await work

        task = self.free_task(whole())
        self._virtual.busy += 1
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise
        finally:
            self._virtual.busy -= 1

    def outside(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in real time, such as connecting."""
        self._virtual.busy += 1
        try:
            return self.run_until_complete(work)
        finally:
            self._virtual.busy -= 1


def virtual_loop() -> VirtualLoop:
    """The loop that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
