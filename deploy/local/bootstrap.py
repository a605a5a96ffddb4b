"""Makes `.venv` on a machine that has Python and nothing else; does nothing when it is up to date.

Runs on the system's Python with its standard library alone. uv, at a pinned version, gets a small environment
of its own below `.local/`, so that `.venv` holds exactly what the lock file says.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.local import apt

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON_MIN = (3, 11)
UV_VERSION = "0.13.9"
UV_HOME = REPOSITORY / ".local" / f"uv-{UV_VERSION}"
VENV = REPOSITORY / ".venv"
STAMP = VENV / "groundswell-stamp"


class BootstrapError(Exception):
    """The environment cannot be made. The message says what to do."""


def main() -> None:
    try:
        bootstrap()
    except (BootstrapError, apt.InstallFailedError) as error:
        sys.exit(f"make: {error}")


def bootstrap() -> None:
    """Bring `.venv` to what `uv.lock` says.

    Raises:
        BootstrapError: a person has to do something first, or a download failed.
    """
    if sys.version_info < PYTHON_MIN:
        raise BootstrapError(f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}")
    stamp = _stamp()
    if STAMP.exists() and STAMP.read_text() == stamp:
        return
    sync = [str(uv()), "sync", "--quiet", "--frozen", "--all-groups"]
    print("Installing the packages of uv.lock …", flush=True)
    if not VENV.exists():
        sync += ["--python", sys.executable]
    _call(sync)
    STAMP.write_text(stamp)


def uv() -> Path:
    """The program, installed if need be: `make clean` removes it and leaves `.venv`."""
    program = UV_HOME / "bin" / "uv"
    if not program.exists():
        _install_uv()
    return program


def _stamp() -> str:
    """A digest of everything that decides what belongs into `.venv`."""
    digest = hashlib.sha256(UV_VERSION.encode())
    for path in _inputs():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _inputs() -> Iterator[Path]:
    yield REPOSITORY / "uv.lock"
    for pattern in ("pyproject.toml", "libs/*/pyproject.toml", "services/*/pyproject.toml", "*/pyproject.toml"):
        yield from sorted(REPOSITORY.glob(pattern))


def _install_uv() -> None:
    """Debian's Python comes without pip and without what `venv` needs to make one: three ways around that."""
    print(f"Installing uv {UV_VERSION} …", flush=True)
    package = f"uv=={UV_VERSION}"
    if not _has("ensurepip") and not _has("pip") and apt.can_install():
        apt.install(["python3-venv"])
    if _has("ensurepip"):
        _call([sys.executable, "-m", "venv", "--clear", str(UV_HOME)])
        _call([str(UV_HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", package])
    elif _has("pip"):
        _call([sys.executable, "-m", "venv", "--clear", "--without-pip", str(UV_HOME)])
        inside = ["--python", str(UV_HOME / "bin" / "python")]
        _call([sys.executable, "-m", "pip", *inside, "install", "--quiet", package])
    else:
        raise BootstrapError(f"{sys.executable} can make no environment: install python3-venv (or pip) and try again")


def _has(module: str) -> bool:
    """Asked anew, since apt-get may just have brought it."""
    importlib.invalidate_caches()
    return importlib.util.find_spec(module) is not None


def _call(command: list[str]) -> None:
    # A project environment chosen in the caller's shell must not be changed instead of ours.
    env = {name: value for name, value in os.environ.items() if name != "UV_PROJECT_ENVIRONMENT"}
    env |= {"UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=env, check=False)
    if done.returncode != 0:
        raise BootstrapError(f"`{' '.join(command)}` failed; what it said stands above")


if __name__ == "__main__":
    main()
