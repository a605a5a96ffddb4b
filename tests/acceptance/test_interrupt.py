"""Ctrl-C at any moment of the demo leaves nothing of ours: no program, no lock."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from scenarios.demo import INTERRUPTED
from tests.acceptance.command import started
from tests.service_logs import ServiceLogs

SMALL = sorted((Path(__file__).parent / "small").glob("*.json"))


@pytest.mark.parametrize("moment", ["Broker users, queues, bindings", "small-funded: launched"])
def test_nothing_is_left(service_logs: ServiceLogs, tmp_path: Path, moment: str) -> None:
    """`moment` is what the demo has just said: while the services start, and while campaigns are played."""
    with started(tmp_path / "output", "-m", "scenarios.demo", *map(str, SMALL)) as demo:
        demo.wait_until_said(moment)
        ended = demo.end(signal.SIGINT)
    service_logs.watch(ended.logs)
    assert (ended.code, "Traceback" in demo.said()) == (INTERRUPTED, False), demo.said()
    assert len(ended.programs) > 5, "hardly anything ran when it was interrupted"
    assert ended.left() == []
    assert ended.is_unlocked()
    assert ended.records() == []
