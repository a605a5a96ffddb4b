"""A private PostgreSQL: as durable as in production, reachable by password on 127.0.0.1 only."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil

from deploy.local.guardian import Started, end
from deploy.local.private import Command, Recipe, Site, find_program
from deploy.local.probes import postgres_answers

SUPERUSER = "groundswell"
ENCODING = ("--encoding=UTF8", "--locale=C.UTF-8")  # Sorts by code point, the same on every machine.
STOP_SECONDS = 10.0

# Kept by every instance, private or in a container. Durable for real: what a test or a bench shows must hold.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "300",  # Six services, some twice, with pools of up to 20, and what tests open.
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",  # A bench should meet a few checkpoints, not one after the other.
    "checkpoint_timeout": "10min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_lock_waits": "on",
}


def find_postgres() -> Recipe | None:
    """A recipe for the newest PostgreSQL that is installed here."""
    installed = Path("/usr/lib/postgresql").glob("*/bin")  # Debian keeps one folder for each version.
    newest_first = sorted(installed, key=lambda folder: _number(folder.parent.name), reverse=True)
    program = find_program("postgres", folders=[str(folder) for folder in newest_first])
    if program is None:
        return None
    programs = program.resolve().parent
    return Recipe("postgres", 1, lambda site: _prepare(programs, site), urls, postgres_answers)


def urls(site: Site) -> tuple[str]:
    """The superuser's address."""
    return (f"postgresql://{SUPERUSER}:{site.password}@127.0.0.1:{site.ports[0]}/postgres",)


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _prepare(programs: Path, site: Site) -> Command:
    data = site.data / f"data-{_major_version(programs)}"  # Another version cannot read it.
    if not data.exists():
        _initialize(programs, site, data)
    _forget_stale_pid(data)
    settings = SETTINGS | {
        "listen_addresses": "127.0.0.1",
        "port": str(site.ports[0]),
        "unix_socket_directories": "",
    }
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return Command(
        [str(programs / "postgres"), "-D", str(data), *options],
        stop_signal=signal.SIGINT,  # Fast shutdown: SIGTERM would wait for clients to leave.
    )


def _major_version(programs: Path) -> str:
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\d+", said.stdout)
    if found is None:
        raise ValueError(f"{programs}/postgres does not tell its version: {said.stdout!r}")
    return found[0]


def _initialize(programs: Path, site: Site, data: Path) -> None:
    """Make the cluster beside its place and move it there when it is whole."""
    draft = site.data / "data-draft"
    shutil.rmtree(draft, ignore_errors=True)
    password = site.write("initdb-password", site.password)
    site.command(
        [
            str(programs / "initdb"),
            f"--pgdata={draft}",
            f"--username={SUPERUSER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            *ENCODING,
        ]
    )
    password.unlink()
    draft.rename(data)


def _forget_stale_pid(data: Path) -> None:
    """A killed server leaves its number behind. The run's lock says that nobody else uses these data.

    The number may be another program's by now, at which PostgreSQL would refuse to start. If it is still our
    own server's, it is ended.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    first_line = pid_file.read_text().partition("\n")[0]
    if first_line.isdigit() and psutil.pid_exists(int(first_line)):
        left = psutil.Process(int(first_line))
        if str(data) in left.cmdline():
            end(Started(left.pid, left.create_time(), signal.SIGINT, STOP_SECONDS))
    pid_file.unlink(missing_ok=True)
