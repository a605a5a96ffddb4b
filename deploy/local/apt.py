"""Installs what is missing on Debian and its descendants, without letting packages start their own servers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

INSTALL_SECONDS = 900.0  # A slow mirror and a full set of packages.

# Debian asks /usr/sbin/policy-rc.d before it starts a server; 101 means "no". Ours is taken away again, also
# one that a killed installation left. Units of packages that are new here must not start at the next boot.
SCRIPT = """
set -eu
exec 9> /run/lock/groundswell-apt
flock 9
policy=/usr/sbin/policy-rc.d
mark='# Groundswell: only while packages are being installed'
if [ -e "$policy" ] && ! grep -qxF "$mark" "$policy"; then mv "$policy" "$policy.before-groundswell"; fi
restore() {
    rm -f "$policy"
    if [ -e "$policy.before-groundswell" ]; then mv "$policy.before-groundswell" "$policy"; fi
}
trap restore EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\\n%s\\nexit 101\\n' "$mark" > "$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=120 update
apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"
for package in "$@"; do
    if command -v systemctl > /dev/null; then systemctl --quiet disable "$package" || true; fi
done
"""


class InstallFailedError(Exception):
    """apt-get did not install the packages; the message shows the end of what it said."""


def root_prefix() -> tuple[str, ...] | None:
    """What to put before a command so that it runs as root without asking; None if there is no way."""
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ("sudo", "-n") if asked.returncode == 0 else None


def can_install() -> bool:
    return shutil.which("apt-get") is not None and root_prefix() is not None


def install(packages: Sequence[str]) -> None:
    """Install the packages.

    Raises:
        InstallFailedError: apt-get failed, or this machine has none, or we may not use it.
    """
    prefix = root_prefix()
    if prefix is None or shutil.which("apt-get") is None:
        raise InstallFailedError("installing packages needs apt-get, and root or sudo without a password")
    print(f"Installing {', '.join(packages)} with apt-get …", flush=True)
    done = subprocess.run(
        [*prefix, "sh", "-s", "--", *packages],
        input=SCRIPT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        last_lines = "\n  ".join(done.stdout.splitlines()[-20:])
        raise InstallFailedError(f"apt-get could not install {', '.join(packages)}:\n  {last_lines}")
