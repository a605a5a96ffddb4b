"""Runs: a locked directory under `.local/`, and programs that never outlive it.

    with open_run("demo") as run:
        pledge = run.process("pledge", ["pledge", "serve"], env, ready_url="http://127.0.0.1:8001/health/ready")
        pledge.start()

Everything here blocks; from a coroutine call it through `asyncio.to_thread`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

import httpx
import psutil

from deploy.local.guardian import Started, end, end_leftovers, send, tree
from deploy.local.plain_http import NO_TLS

REPOSITORY = Path(__file__).resolve().parents[2]
LOCAL = REPOSITORY / ".local"

RUNS_MAX = 16  # Directories for one name, one for each run at the same time.
READY_SECONDS = 60.0  # A cold RabbitMQ on a busy two-core machine takes a third of this.
PROBE_SECONDS = 2.0
POLL_SECONDS = 0.05
STOP_SECONDS = 20.0  # More than a service takes to finish its group and leave the broker (15 s).
LOG_TAIL_LINES = 40

# All that a program inherits: a setting in our own environment must not leak into what we start.
INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TERM", "TMPDIR", "TZ")


class ProcessFailedError(Exception):
    """A program ended early or did not get ready in time. The message shows the end of its log."""


class RunsExhaustedError(Exception):
    """As many runs of one name as there may be are going on already."""


@dataclass
class Process:
    """One program with its log; made by `Run.process`. Start it again after `stop` or `kill` as often as you like.

    `env` comes on top of `INHERITED`. `ready` says whether the program answers; it may raise OSError or
    httpx.HTTPError while it does not. As a context manager it starts, waits until ready, and stops.
    """

    run: Run
    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool] | None = None
    user: str | None = None
    cwd: Path = REPOSITORY
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = STOP_SECONDS
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _started: Started | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.run.logs / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """Raises ProcessFailedError if the program has not been started."""
        if self._popen is None:
            raise ProcessFailedError(f"{self.name} has not been started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def launch(self) -> None:
        """Start without waiting. Raises ProcessFailedError if there is no such program."""
        if self.running:
            raise ProcessFailedError(f"{self.name} runs already")
        with self.log.open("ab") as log, interrupt_deferred():
            try:
                self._popen = popen = self._spawn(log)
            except OSError as error:
                raise ProcessFailedError(f"{self.name} cannot be started: {error}") from error
            created = psutil.Process(popen.pid).create_time()
            self._started = Started(popen.pid, created, self.stop_signal, self.stop_seconds)
            self.run.guard(self.name, self._started)

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        account = pwd.getpwnam(self.user) if self.user else None
        return subprocess.Popen(
            list(self.argv),
            env={**inherited_environment(), **self.env},
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until `ready` holds. Raises ProcessFailedError with the log's end."""
        deadline = time.monotonic() + seconds
        while self.running:
            reason = self._not_ready()
            if reason is None:
                return
            if time.monotonic() > deadline:
                raise ProcessFailedError(self._report(f"is not ready after {seconds:.0f} s ({reason})"))
            time.sleep(POLL_SECONDS)
        raise ProcessFailedError(self._report(f"ended with code {self._popen and self._popen.returncode}"))

    def wait_done(self, seconds: float = READY_SECONDS) -> None:
        """Wait until a program that ends by itself has done so. Raises ProcessFailedError unless with code 0."""
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                raise ProcessFailedError(self._report(f"is not done after {seconds:.0f} s"))
            time.sleep(POLL_SECONDS)
        if self._popen is None or self._popen.returncode != 0:
            raise ProcessFailedError(self._report(f"ended with code {self._popen and self._popen.returncode}"))
        self.stop()

    def _not_ready(self) -> str | None:
        """What is missing, None if nothing is."""
        try:
            return None if self.ready is None or self.ready() else "it does not answer as it should"
        except (OSError, httpx.HTTPError) as error:
            return f"{type(error).__name__}: {error}"

    def start(self, seconds: float = READY_SECONDS) -> None:
        """Start and wait until ready."""
        self.launch()
        self.wait_ready(seconds)

    def stop(self) -> None:
        """Ask to stop, wait, kill what does not. Nothing happens if it does not run."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """SIGKILL for the program and its descendants, all at once; returns when they are gone."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the program in its tracks (SIGSTOP): its sockets stay open, nobody answers."""
        send(tree(psutil.Process(self.pid)), signal.SIGSTOP)

    def thaw(self) -> None:
        send(tree(psutil.Process(self.pid)), signal.SIGCONT)

    def _end(self, stop_signal: int) -> None:
        if self._popen is None or self._started is None:
            return
        end(self._started, stop_signal)
        self._popen.wait()
        self.run.unguard(self.name, self._started)
        self._popen = self._started = None

    def _report(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n  ".join([f"{self.name} {what}; the end of {self.log}:", *lines])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Run:
    """A directory that one run has for itself, and everything that this run has started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"  # one for each process
        for directory in (self.logs, path / "started"):
            directory.mkdir(parents=True, exist_ok=True)
        end_leftovers(path / "started")
        for log in self.logs.iterdir():
            log.unlink()
        self._processes: list[Process] = []
        self._temporary: list[Path] = []
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.guardian"],
            stdin=subprocess.PIPE,
            cwd=REPOSITORY,
            text=True,
            start_new_session=True,
        )

    def process(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        ready_url: str | None = None,
    ) -> Process:
        """One of our own programs; it is ready when `ready_url` answers with 2xx. Not started yet."""
        ready = None if ready_url is None else lambda: answers_http(ready_url)
        return self.add(Process(self, name, argv, env, ready))

    def add(self, process: Process) -> Process:
        """Have the process stopped when the run ends, before those that were added earlier."""
        self._processes.append(process)
        return process

    def keep_until_closed(self, directory: Path) -> Path:
        """Have the directory removed when everything has stopped."""
        self._temporary.append(directory)
        return directory

    def guard(self, name: str, started: Started) -> None:
        self._record(name).write_text(started.to_json())
        self._tell("+", started)

    def unguard(self, name: str, started: Started) -> None:
        self._record(name).unlink(missing_ok=True)
        self._tell("-", started)

    def close(self) -> None:
        """Stop everything, last first. What is left if this is interrupted, the guardian ends."""
        try:
            for process in reversed(self._processes):
                process.stop()
        finally:
            self._guardian.communicate()
        for directory in self._temporary:
            shutil.rmtree(directory)

    def _record(self, name: str) -> Path:
        return self.path / "started" / f"{name}.json"

    def _tell(self, sign: str, started: Started) -> None:
        if self._guardian.stdin is not None:
            self._guardian.stdin.write(f"{sign}{started.to_json()}\n")
            self._guardian.stdin.flush()


@contextlib.contextmanager
def open_run(name: str, local: Path = LOCAL) -> Iterator[Run]:
    """The first free directory of `<local>/<name>`, `<name>-2`, …, locked while the context lasts.

    Programs that an earlier, killed run left behind there are ended first.

    Raises:
        RunsExhaustedError: `RUNS_MAX` runs of this name are going on.
    """
    for number in range(1, RUNS_MAX + 1):
        path = local / (name if number == 1 else f"{name}-{number}")
        with lock_directory(path) as locked:
            if not locked:
                continue
            run = Run(path)
            try:
                yield run
            finally:
                run.close()
            return
    raise RunsExhaustedError(f"{RUNS_MAX} runs named {name} are going on in {local} already")


@contextlib.contextmanager
def lock_directory(path: Path) -> Iterator[bool]:
    """Whether the directory is ours while the context lasts; the lock goes with this process."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def interrupt_deferred() -> Iterator[None]:
    """Hold a Ctrl-C back: one between starting a program and noting it down would leave it running."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread is interrupted.
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def inherited_environment() -> dict[str, str]:
    """What every program gets: `INHERITED`, and this Python's programs found first."""
    found = {name: os.environ[name] for name in INHERITED if name in os.environ}
    found["PATH"] = f"{Path(sys.executable).parent}:{found.get('PATH', os.defpath)}"
    return found


def answers_http(url: str) -> bool:
    return httpx.get(url, timeout=PROBE_SECONDS, trust_env=False, verify=NO_TLS).is_success
