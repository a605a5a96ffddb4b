"""A 5xx that only the log of a process tells of is seen: once, and in the test that made it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service_logs import ServiceLogs

BUG = '{"event": "request_failed", "level": "error"}'
AWAY = '{"msg": "handled request", "status": 503}'
FINE = '{"msg": "handled request", "status": 201}\nServer startup complete'


@pytest.fixture
def logs(tmp_path: Path) -> ServiceLogs:
    watched = ServiceLogs()
    watched.watch(tmp_path)
    return watched


def append(directory: Path, name: str, line: str) -> None:
    with (directory / name).open("a") as log:
        log.write(f"{line}\n")


def test_a_bug_in_a_service_is_told_once(logs: ServiceLogs, tmp_path: Path) -> None:
    append(tmp_path, "pledge.log", FINE)
    append(tmp_path, "pledge.log", BUG)
    assert logs.failures(server_away=True) == [f"pledge.log: {BUG}"]
    append(tmp_path, "pledge.log", FINE)
    assert logs.failures(server_away=True) == []
    append(tmp_path, "pledge.log", BUG)
    assert logs.failures(server_away=True) == [f"pledge.log: {BUG}"]


def test_an_answer_of_500_and_more_of_the_gateway_is_one_unless_a_server_is_away(
    logs: ServiceLogs, tmp_path: Path
) -> None:
    for line in (FINE, AWAY):
        append(tmp_path, "gateway.log", line)
        append(tmp_path, "pledge.log", line)
    assert logs.failures(server_away=False) == [f"gateway.log: {AWAY}"]
    append(tmp_path, "gateway.log", AWAY)
    assert logs.failures(server_away=True) == []


def test_a_directory_that_is_used_again_is_read_from_its_beginning(logs: ServiceLogs, tmp_path: Path) -> None:
    append(tmp_path, "pledge.log", FINE)
    assert logs.failures(server_away=False) == []
    (tmp_path / "pledge.log").unlink()
    append(tmp_path, "pledge.log", BUG)
    logs.watch(tmp_path)
    assert logs.failures(server_away=False) == [f"pledge.log: {BUG}"]
