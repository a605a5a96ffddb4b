"""Private instances: servers installed on this machine, started for one run on free ports of 127.0.0.1."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.processes import READY_SECONDS, Process, ProcessFailedError, Run, inherited_environment

# Where there is a place for data that cannot be kept below the run; MEMORY's files outlive processes, not the machine.
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
DISK = Path("/var/tmp")  # noqa: S108 - the same
MEMORY_BYTES_MIN = 4 << 30  # The data of all tests take less than a gigabyte.
LAUNCHES_MAX = 3  # A port that was free when we looked may be taken when the server asks for it.
SETUP_SECONDS = 60.0
# PostgreSQL refuses to run as root; what need not be root should not be.
ACCOUNTS = ("postgres", "nobody")
# Debian keeps servers where a normal user's PATH does not look.
PROGRAM_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


@dataclass(frozen=True)
class Site:
    """Where one private server lives: `data` belongs to `user` (None: ourselves) and outlives the run."""

    data: Path
    user: str | None
    password: str
    ports: tuple[int, ...]

    def command(self, argv: Sequence[str]) -> None:
        """Run a program to its end as the server's user. Raises ProcessFailedError with what it said."""
        account = pwd.getpwnam(self.user) if self.user else None
        done = subprocess.run(
            list(argv),
            env=inherited_environment() | {"HOME": str(self.data)},
            cwd=self.data,
            capture_output=True,
            text=True,
            timeout=SETUP_SECONDS,
            check=False,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode != 0:
            raise ProcessFailedError(f"{argv[0]} failed:\n{done.stdout}{done.stderr}")

    def write(self, name: str, text: str) -> Path:
        """A file that only the server's user can read."""
        path = self.data / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)
        _give(path, self.user)
        return path


@dataclass(frozen=True)
class Command:
    """How a server is started. A name daemon, if it needs one, comes first and leaves last."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM
    helper: Sequence[str] | None = None


@dataclass(frozen=True)
class Recipe:
    """What is different from server to server.

    `prepare` writes the configuration for the site's ports and, once, the data. `answers` gets what `urls`
    returns and tells whether the server takes work; it may raise OSError or httpx.HTTPError.
    """

    name: str
    ports: int
    prepare: Callable[[Site], Command]
    urls: Callable[[Site], tuple[str, ...]]
    answers: Callable[..., bool]


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of 127.0.0.1 that nobody listens on at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return tuple(each.getsockname()[1] for each in sockets)
    finally:
        for each in sockets:
            each.close()


@contextlib.contextmanager
def reserved_ports(count: int) -> Iterator[tuple[int, ...]]:
    """Ports of 127.0.0.1 that go to nobody else while the context lasts, also before and between their servers.

    Outgoing connections of any program take their ports from the same range. They get none that a socket is bound
    to; a server does, as long as that socket does not listen and both allow it (SO_REUSEADDR, as servers do).
    """
    with contextlib.ExitStack() as ending:
        sockets = [ending.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        yield tuple(each.getsockname()[1] for each in sockets)


class PrivateServer:
    """One server of a run. Its address stays the same from the first `wait_ready` on, through stop and start."""

    controllable = True

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        *,
        in_memory: bool = False,
        pick_ports: Callable[[int], tuple[int, ...]] = free_ports,
    ) -> None:
        self._run = run
        self._recipe = recipe
        self._pick_ports = pick_ports
        self._user = server_account()
        if in_memory and _is_roomy(MEMORY):
            self._data = run.keep_until_closed(_outside(run.path, recipe.name, self._user, MEMORY))
        else:
            self._data = data_directory(run.path, recipe.name, self._user)
        self._helper: Process | None = None
        self.launch()

    @property
    def urls(self) -> tuple[str, ...]:
        return self._recipe.urls(self.site)

    def launch(self) -> None:
        """Start on fresh ports, without waiting."""
        self.site = Site(self._data, self._user, _password(self._data), self._pick_ports(self._recipe.ports))
        command = self._recipe.prepare(self.site)
        if command.helper:
            self._helper = self._process(f"{self._recipe.name}-helper", command, command.helper)
            self._helper.launch()
        self._server = self._process(self._recipe.name, command, command.argv)
        self._server.launch()

    def _process(self, name: str, command: Command, argv: Sequence[str]) -> Process:
        return self._run.add(
            Process(
                self._run,
                name,
                argv,
                {"HOME": str(self._data), **command.env},
                ready=lambda: self._recipe.answers(*self.urls),
                user=self._user,
                cwd=self._data,
                stop_signal=command.stop_signal,
            )
        )

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait for the first start; one that ends at once is tried again on other ports.

        Raises:
            ProcessFailedError: with the end of the server's log.
        """
        for launched in range(1, LAUNCHES_MAX + 1):
            try:
                self._server.wait_ready(seconds)
            except ProcessFailedError as error:
                if self._server.running or launched == LAUNCHES_MAX:
                    raise ProcessFailedError(f"{error}\n`make clean` lets it start afresh.") from error
                self.stop()
                self.launch()
            else:
                return

    def start(self) -> None:
        if self._helper:
            self._helper.launch()
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        if self._helper:
            self._helper.stop()

    def kill(self) -> None:
        """SIGKILL, as when the machine's memory runs out."""
        self._server.kill()
        if self._helper:
            self._helper.kill()

    def freeze(self) -> None:
        self._server.freeze()

    def thaw(self) -> None:
        self._server.thaw()


def find_program(*names: str, folders: Sequence[str] = ()) -> Path | None:
    """The first of the programs that is installed, looked for in `folders` first."""
    path = os.pathsep.join((*folders, PROGRAM_PATH))
    found = (shutil.which(name, path=path) for name in names)
    return next((Path(each) for each in found if each), None)


def server_account() -> str | None:
    """The account that servers run under: None, ourselves, unless we are root."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name for account in pwd.getpwall()}
    return next(name for name in ACCOUNTS if name in known)


def data_directory(run: Path, server: str, user: str | None) -> Path:
    """A server's data: below the run, or in /var/tmp when its account cannot get there (a checkout in /root)."""
    account = user or pwd.getpwuid(os.geteuid()).pw_name
    inside = run / f"{server}-{account}"
    inside.mkdir(mode=0o700, exist_ok=True)
    _give(inside, user)
    if user is None or _can_enter(inside, user):
        return inside
    inside.rmdir()
    return _outside(run, server, user, DISK)


def _outside(run: Path, server: str, user: str | None, parent: Path) -> Path:
    """A directory in `parent`, noted in the run's and used again by the next run."""
    account = user or pwd.getpwuid(os.geteuid()).pw_name
    note = run / f"{server}-{account}-{parent.name}.elsewhere"
    if note.exists() and _is_own(outside := Path(note.read_text()), account):
        return outside
    outside = Path(tempfile.mkdtemp(prefix="groundswell-", dir=parent))
    _give(outside, user)
    note.write_text(str(outside))
    return outside


def _is_roomy(directory: Path) -> bool:
    return directory.is_dir() and shutil.disk_usage(directory).free >= MEMORY_BYTES_MIN


def _can_enter(path: Path, user: str) -> bool:
    account = pwd.getpwnam(user)
    tried = subprocess.run(
        ["test", "-w", path],
        cwd="/",
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        check=False,
    )
    return tried.returncode == 0


def _is_own(path: Path, user: str) -> bool:
    """Whether the directory is still the one that was made for this account; /var/tmp is open to all."""
    return path.is_dir() and not path.is_symlink() and path.owner() == user


def _give(path: Path, user: str | None) -> None:
    if user is not None:
        shutil.chown(path, user, pwd.getpwnam(user).pw_gid)


def _password(data: Path) -> str:
    """The server's password, made with its data and kept as long."""
    path = data / "password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()
