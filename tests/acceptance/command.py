"""A command of ours as a person starts it: in a terminal of its own, ended by a signal to everything in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local.guardian import runs
from deploy.local.processes import REPOSITORY, lock_directory

MOMENT_SECONDS = 120.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Ended:
    """A command after its signal: its exit code, the programs that it ran then, and its directory."""

    code: int
    programs: list[psutil.Process]
    directory: Path

    def left(self) -> list[psutil.Process]:
        return [one for one in self.programs if runs(one)]

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def is_unlocked(self) -> bool:
        with lock_directory(self.directory) as locked:
            return locked

    def records(self) -> list[Path]:
        """What the next run would find noted as still running."""
        return list((self.directory / "started").iterdir())


@dataclass(frozen=True)
class Command:
    popen: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text()

    def wait_until_said(self, text: str) -> None:
        wait_until(lambda: text in self.said() or self.popen.poll() is not None)
        assert text in self.said(), self.said()

    def end(self, number: int) -> Ended:
        """Send the signal as a terminal does its Ctrl-C, to the whole process group, and wait for the end."""
        process = psutil.Process(self.popen.pid)
        programs = process.children(recursive=True)
        (lock,) = (Path(file.path) for file in process.open_files() if Path(file.path).name == "lock")
        os.killpg(self.popen.pid, number)
        return Ended(self.popen.wait(STOP_SECONDS), programs, lock.parent)


@contextmanager
def started(output: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Command]:
    """`python <arguments>`, what it says written to `output`; `env` comes on top of our own environment."""
    with output.open("wb") as out:
        popen = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env=os.environ | (env or {}),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Command(popen, output)
    finally:
        popen.kill()  # A guardian then ends what it ran.
        popen.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOMENT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the moment does not come"
        time.sleep(POLL_SECONDS)
