"""An event loop whose time is virtual: when nothing can happen before the next timer, it is that time already.

Real work, which is PostgreSQL's alone, is done by a loop of real time inside this one: meanwhile everything stands
still. So a run takes as long as its statements do, whether it lasts a second or two months, and what happens depends on
its seed alone.
"""

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, Final, TypeVar

T = TypeVar("T")
RESOLUTION_SECONDS: Final = 1e-6  # A float of months of seconds is as exact as that.

# The tasks of the process in whose name code runs: what it starts is the process's as well, and dies with it.
OWNER: ContextVar["dict[asyncio.Task[Any], None] | None"] = ContextVar("owner", default=None)


class StandstillError(Exception):
    """Nobody waits for anything that can still happen."""


class _Selector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StandstillError("nothing can happen any more")
        self.now += max(0, timeout)
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
        self._outside = asyncio.SelectorEventLoop()

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

    def real(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of something that takes real time. Nothing else happens meanwhile, and it is never broken off."""
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            return self._outside.run_until_complete(work)
        finally:
            asyncio._set_running_loop(running)

    def close(self) -> None:
        super().close()
        self._outside.close()


def virtual_loop() -> VirtualLoop:
    """The loop that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def real(work: Coroutine[Any, Any, T]) -> T:
    """`VirtualLoop.real` of the loop that runs."""
    return virtual_loop().real(work)
