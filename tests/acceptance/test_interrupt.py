"""Ctrl-C at any moment of the demo leaves nothing of ours: no program, no lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deploy.local.processes import REPOSITORY, lock_directory
from scenarios.demo import INTERRUPTED

SMALL = sorted((Path(__file__).parent / "small").glob("*.json"))
MOMENT_SECONDS = 120.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Interrupted:
    """A demo after its Ctrl-C: what it said, the programs that it ran then, and its directory."""

    code: int
    output: str
    programs: list[psutil.Process]
    directory: Path

    def left(self) -> list[psutil.Process]:
        return [one for one in self.programs if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]

    def is_unlocked(self) -> bool:
        with lock_directory(self.directory) as locked:
            return locked


@pytest.mark.parametrize("moment", ["Tables, queues, bindings", "small-funded: launched"])
def test_nothing_is_left(tmp_path: Path, moment: str) -> None:
    """`moment` is what the demo has just said: while the services start, and while campaigns are played."""
    demo = interrupted_demo(tmp_path / "output", moment)
    assert (demo.code, "Traceback" in demo.output) == (INTERRUPTED, False), demo.output
    assert len(demo.programs) > 5, "hardly anything ran when it was interrupted"
    assert demo.left() == []
    assert demo.is_unlocked()
    assert list((demo.directory / "started").iterdir()) == []


def interrupted_demo(output: Path, moment: str) -> Interrupted:
    """Ctrl-C as a terminal sends it: to the whole process group."""
    with output.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "-m", "scenarios.demo", *map(str, SMALL)],
            cwd=REPOSITORY,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: moment in output.read_text() or demo.poll() is not None)
        process = psutil.Process(demo.pid)
        programs = process.children(recursive=True)
        (lock,) = (Path(file.path) for file in process.open_files() if Path(file.path).name == "lock")
        os.killpg(demo.pid, signal.SIGINT)
        code = demo.wait(STOP_SECONDS)
    finally:
        demo.kill()
        demo.wait()
    return Interrupted(code, output.read_text(), programs, lock.parent)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOMENT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the moment does not come"
        time.sleep(POLL_SECONDS)
