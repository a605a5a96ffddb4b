"""`make` alone tells what can be done, with one line for each target."""

from __future__ import annotations

import subprocess

from tests.architecture.source_tree import ROOT

TARGETS = ["demo", "run", "test", "test-stripe", "simulate", "lint", "format", "bench", "clean"]


def test_every_target_is_listed_with_what_it_does() -> None:
    said = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = [line.split(maxsplit=2) for line in said.splitlines()]
    assert [target for _, target, _ in lines if target != "help"] == TARGETS
    assert {make for make, _, _ in lines} == {"make"}
