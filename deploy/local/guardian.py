"""Ends programs that a run has started: on request, and by itself when the run dies without a word.

A run starts one guardian (`python -m deploy.local.guardian`) and tells it over a pipe what it has started. The
pipe closes when the run is gone, whatever killed it; the guardian then ends what is still on its list. It sits
in a session of its own, so a Ctrl-C does not reach it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.02
KILL_SECONDS = 5.0  # A killed program is gone at once, unless it hangs in the kernel.
CLOCK_STEP_SECONDS = 1.0  # A start time is derived from the wall clock and moves when that is set.


@dataclass(frozen=True)
class Started:
    """One program that we started. Number and start time together name it: numbers are used again."""

    pid: int
    created: float
    stop_signal: int
    stop_seconds: float

    def find(self) -> psutil.Process | None:
        """The program, if it still runs and is the one that we started."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) <= CLOCK_STEP_SECONDS
        except psutil.NoSuchProcess:
            return None
        return process if same and runs(process) else None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Started:
        """Raises ValueError, KeyError or TypeError on anything but what `to_json` wrote."""
        found = json.loads(text)
        return Started(
            pid=int(found["pid"]),
            created=float(found["created"]),
            stop_signal=int(found["stop_signal"]),
            stop_seconds=float(found["stop_seconds"]),
        )


def tree(process: psutil.Process) -> list[psutil.Process]:
    """The program and all its descendants, parents first."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def send(members: list[psutil.Process], number: int) -> None:
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(number)


def end(started: Started, stop_signal: int | None = None) -> None:
    """Ask the program to stop; whatever of it and its descendants is left after its time is killed."""
    process = started.find()
    if process is None:
        return
    members = tree(process)
    asked = stop_signal or started.stop_signal
    send(members if asked == signal.SIGKILL else members[:1], asked)
    send(members, signal.SIGCONT)  # A frozen program cannot stop.
    left = _wait_until_gone(members, started.stop_seconds)
    send(left, signal.SIGKILL)
    _wait_until_gone(left, KILL_SECONDS)


def _wait_until_gone(members: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Whoever still runs when the time is up."""
    deadline = time.monotonic() + seconds
    while (left := [member for member in members if runs(member)]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return left


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended yet. A zombie has: only its parent has not looked yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_leftovers(records: Path) -> None:
    """End what an earlier run recorded in this directory and could not end itself; forget the records."""
    for record in sorted(records.glob("*.json"), reverse=True):
        with contextlib.suppress(ValueError, KeyError, TypeError):  # A half-written record names nobody.
            end(Started.from_json(record.read_text()))
        record.unlink()


def main() -> None:
    """Lines on standard input: `+ {started}` and `- {started}`; the end of input means that the run is over."""
    guarded: list[Started] = []
    for line in sys.stdin:
        started = Started.from_json(line[1:])
        if line[0] == "+":
            guarded.append(started)
        else:
            guarded.remove(started)
    for started in reversed(guarded):  # Last started, first ended: services before their servers.
        end(started)


if __name__ == "__main__":
    main()
