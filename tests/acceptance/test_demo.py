"""The shipped scenarios end as their files say, on the page, in the ledger and in the provider's own books."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console

from deploy.local.platform import ADDRESS_VARIABLES, LocalPlatform
from scenarios.checks import Claim
from scenarios.demo import FAILED, verdict
from scenarios.loading import load
from scenarios.performance import Performance
from tests.acceptance.command import started

SMALL = sorted((Path(__file__).parent / "small").glob("*.json"))
PLAY_SECONDS = 120.0


async def test_all_shipped_scenarios_at_once_end_as_expected(platform: LocalPlatform) -> None:
    performance = Performance(platform, load())
    await asyncio.to_thread(performance.rehearse)
    await performance.run()
    found, made = await performance.check()
    assert [str(claim) for claim in made if not claim.holds] == []
    assert len(made) > 100, "a check that checks nothing"
    assert all(play.visibility.latencies for play, _ in found)


async def test_pointed_at_a_platform_that_runs_it_plays_there_reports_and_leaves_it_running(
    platform: LocalPlatform, tmp_path: Path
) -> None:
    """As with compose: the addresses come from the environment."""
    addresses = {variable: getattr(platform.addresses, part) for part, variable in ADDRESS_VARIABLES.items()}
    with started(tmp_path / "output", "-m", "scenarios.demo", *map(str, SMALL), env=addresses) as demo:
        await asyncio.to_thread(demo.popen.wait, PLAY_SECONDS)
    assert demo.popen.returncode == 0, demo.said()
    assert "Everything adds up" in demo.said()
    for told in (
        "pledged",
        "backers",
        "milestones",
        "captured",
        "voided",
        "declined",
        "outcome",
        "mails",
        "p50",
        "p99",
    ):
        assert told in demo.said().lower()
    assert all(process.running for process in platform.processes.values())


def test_what_does_not_add_up_is_told_with_the_difference_and_is_a_failure(platform: LocalPlatform) -> None:
    console = Console(record=True, width=200)
    claims = [Claim("page", "backers", 3, 3), Claim("sandbox", "captured", 5, 4)]
    assert verdict(console, platform, claims) == FAILED
    assert "sandbox: captured should be 5 and is 4" in console.export_text()
    assert verdict(console, platform, claims[:1]) == 0
