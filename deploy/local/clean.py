"""Removes everything below `.local/`, after ending what killed runs left behind. A run that goes on is an error."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from deploy.local.guardian import end_leftovers
from deploy.local.processes import LOCAL, lock_directory


def clean(local: Path = LOCAL) -> list[Path]:
    """Remove every run's directory that no run uses; returns those that are in use."""
    in_use = []
    for lock in sorted(local.glob("*/lock")):
        with lock_directory(lock.parent) as locked:
            if not locked:
                in_use.append(lock.parent)
                continue
            end_leftovers(lock.parent / "started")
            for note in lock.parent.glob("*.elsewhere"):
                shutil.rmtree(note.read_text(), ignore_errors=True)
            shutil.rmtree(lock.parent)
    return in_use


def main() -> None:
    if in_use := clean():
        sys.exit(f"still running, stop first: {', '.join(path.name for path in in_use)}")
    shutil.rmtree(LOCAL, ignore_errors=True)


if __name__ == "__main__":
    main()
