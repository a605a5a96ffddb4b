"""`make run` and README's walk through the API, followed to the letter."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from deploy.local.processes import REPOSITORY
from deploy.topology import SERVICES
from tests.acceptance.command import Command, Ended, started, wait_until
from tests.service_logs import ServiceLogs

CURL = f'curl() {{ "{sys.executable}" -m tests.acceptance.curl "$@"; }}\n'
UP = "Ctrl-C stops everything."  # The last line before it stays.
README_GATEWAY = "http://127.0.0.1:8080"
WALK_SECONDS = 60


class Printed:
    """What the command has told a person: addresses by what they are, and tokens by their variable."""

    def __init__(self, said: str) -> None:
        rows = re.findall(r"^  ((?:http|/)\S+) +(.+)$", said, re.MULTILINE)
        self.addresses: dict[str, str] = {what: where for where, what in rows}
        self.tokens: dict[str, str] = dict(re.findall(r"^export (\w+)=(\S+)$", said, re.MULTILINE))

    def address(self, words: str) -> str:
        (found,) = (where for what, where in self.addresses.items() if words in what)
        return found


def test_readme_can_be_followed_at_the_printed_addresses_and_a_stop_leaves_nothing(
    service_logs: ServiceLogs, tmp_path: Path
) -> None:
    with started(tmp_path / "output", "-m", "deploy.local.run") as run:
        run.wait_until_said(UP)
        printed = Printed(run.said())
        campaign_id = walk(printed)
        open_every_address(printed, campaign_id)
        ended = run.end(signal.SIGTERM)
    service_logs.watch(ended.logs)
    nothing_is_left(run, ended)


def test_ctrl_c_leaves_nothing(service_logs: ServiceLogs, tmp_path: Path) -> None:
    with started(tmp_path / "output", "-m", "deploy.local.run") as run:
        run.wait_until_said(UP)
        ended = run.end(signal.SIGINT)
    service_logs.watch(ended.logs)
    nothing_is_left(run, ended)


def walk(printed: Printed) -> str:
    """Every command of README's walk, in a shell with the printed tokens; the id of its campaign."""
    tier, launched, pledge, page = readme_answers(printed)
    assert (launched["id"], launched["status"], pledge["status"]) == (page["id"], "active", "pending")
    assert [(one["id"], one["title"]) for one in page["tiers"]] == [(tier["tier_id"], "One lamp")]
    campaign = f"{printed.address('gateway')}/campaigns/{page['id']}"
    wait_until(lambda: httpx.get(campaign).json()["backers"] == 1)
    assert httpx.get(campaign).json()["pledged"] == {"amount": 2500, "currency": "EUR"}
    return str(page["id"])


def readme_answers(printed: Printed) -> Iterator[dict[str, Any]]:
    """The JSON documents that README's commands print, one after the other."""
    shown = re.search(r"## Use the API.*?```sh\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    assert README_GATEWAY in shown[1]
    script = CURL + shown[1].replace(README_GATEWAY, printed.address("gateway"))
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=REPOSITORY,
        env=dict(os.environ) | printed.tokens,
        capture_output=True,
        text=True,
        timeout=WALK_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    rest = done.stdout
    while rest:
        answer, end = json.JSONDecoder().raw_decode(rest)
        yield answer
        rest = rest[end:].strip()


def open_every_address(printed: Printed, campaign_id: str) -> None:
    for what, where in printed.addresses.items():
        if where.startswith("http"):
            page = httpx.get(where.replace("<id>", campaign_id), follow_redirects=True)
            assert page.is_success, (what, where, page)
            assert page.headers["content-type"].startswith("text/html"), (what, where)
    docs = printed.address("API pages")
    for service in SERVICES:
        assert offered(httpx.get(f"{docs}/{service.name}").text).keys() == {"nobody", *map(spoken, printed.tokens)}
        described = httpx.get(docs.replace("/docs", f"/openapi/{service.name}.json")).json()
        assert described["openapi"].startswith("3.1")
    token = offered(httpx.get(f"{docs}/pledge").text)["backer 1"]
    mine = httpx.get(f"{printed.address('gateway')}/me/pledges", headers={"Authorization": f"Bearer {token}"}).json()
    assert [pledge["campaign_id"] for pledge in mine["items"]] == [campaign_id], "who pledged in the walk"
    assert {log.stem for log in Path(printed.address("log")).iterdir()} > {service.name for service in SERVICES}


def offered(page: str) -> dict[str, str]:
    """The tokens that an API page fills in, by the person that one chooses."""
    return {name: token for token, name in re.findall(r'value="(.*?)" data-name="(.*?)"', page)}


def spoken(variable: str) -> str:
    return variable.lower().replace("_", " ")


def nothing_is_left(run: Command, ended: Ended) -> None:
    assert (ended.code, "Traceback" in run.said()) == (0, False), run.said()
    assert len(ended.programs) > len(SERVICES)
    assert ended.left() == []
    assert ended.is_unlocked()
    assert ended.records() == []
    assert run.said().rstrip().endswith("Everything is stopped.")
