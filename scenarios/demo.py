"""`make demo`: starts the platform, plays campaigns through its gateway, checks the books, and stops everything.

    python -m scenarios.demo [--stretch N] [scenario files …]

Exit codes: 0 all adds up; 1 something does not, or a program failed; 2 a scenario file or an option is wrong;
3 this machine was too slow for the scenarios' deadlines; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import httpx
from rich.console import Console

from deploy.local import platform
from deploy.local.platform import LocalPlatform, Platform
from deploy.local.processes import ProcessFailedError
from deploy.local.servers import MissingProgramsError
from scenarios import progress, report
from scenarios.checks import Claim
from scenarios.client import UnexpectedAnswerError
from scenarios.loading import ScenarioError, load
from scenarios.model import DEADLINE_SECONDS_MIN, Scenario
from scenarios.performance import STRETCH_MAX, Performance
from scenarios.player import ScenarioFailedError, TooSlowError

FAILED, WRONG_INPUT, TOO_SLOW, INTERRUPTED = 1, 2, 3, 130
SHOWN_MAX: Final = 40  # Differences; more say nothing new.


def main(arguments: Sequence[str] | None = None) -> int:
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, _interrupt)  # A supervisor's stop ends everything just like Ctrl-C.
    try:
        options = _options(arguments)
        return demo(load(options.files), console, options.stretch)
    except KeyboardInterrupt:
        console.print("Interrupted; everything is stopped.")
        return INTERRUPTED
    except ScenarioError as error:
        return _failed(console, WRONG_INPUT, str(error))
    except TooSlowError as error:
        return _failed(console, TOO_SLOW, str(error))
    except (ScenarioFailedError, UnexpectedAnswerError, ProcessFailedError, MissingProgramsError) as error:
        return _failed(console, FAILED, str(error))
    except httpx.HTTPError as error:
        return _failed(console, FAILED, f"the platform does not answer: {type(error).__name__} {error}")


def _failed(console: Console, code: int, message: str) -> int:
    console.print(message, style="red", markup=False, soft_wrap=True)
    return code


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scenarios.demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="scenario files; left out: all in scenarios/")
    choices = range(1, STRETCH_MAX + 1)
    parser.add_argument(
        "--stretch",
        type=int,
        choices=choices,
        default=1,
        help="multiplies all times, at least; more by itself where that is needed",
    )
    return parser.parse_args(arguments)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def demo(scenarios: Sequence[Scenario], console: Console, stretch: int) -> int:
    began = time.monotonic()
    with _platform(console) as platform_:
        ready = time.monotonic()
        console.print(f"Ready after {ready - began:.0f} s: {platform_.addresses.gateway}\n")
        code = asyncio.run(_play(Performance(platform_, scenarios, _teller(console), stretch), console))
        console.print(f"\nPlayed and checked in {time.monotonic() - ready:.0f} s. Stopping …")
    return code


@contextlib.contextmanager
def _platform(console: Console) -> Iterator[Platform]:
    """One that runs already, if the environment names it; else our own, stopped in the end."""
    if (found := platform.running()) is not None:
        console.print("Using the platform that the environment names; its logs and databases are not looked into.")
        yield found
        return
    console.print("Starting the platform", style="bold")
    settings = {"GROUNDSWELL_MIN_CAMPAIGN_SECONDS": str(DEADLINE_SECONDS_MIN)}
    with platform.start("demo", settings=settings, console=console) as started:
        yield started


def _teller(console: Console) -> progress.Teller:
    """Steps are printed above the moving table, or as plain lines."""
    began = time.monotonic()
    return lambda line: console.print(f"  {time.monotonic() - began:5.1f} s  {line}", markup=False, soft_wrap=True)


async def _play(performance: Performance, console: Console) -> int:
    await asyncio.to_thread(performance.rehearse)
    with progress.shown(console, performance.plays):
        await performance.run()
    found, made = await performance.check()
    report.show(console, found)
    return verdict(console, performance.platform, made)


def verdict(console: Console, platform_: Platform, made: Sequence[Claim]) -> int:
    """Tell whether everything adds up, and what does not; the exit code."""
    broken = [claim for claim in made if not claim.holds]
    if not broken:
        console.print(f"\nEverything adds up: {len(made)} checks, among them the sandbox's own books.", style="green")
        return 0
    console.print(f"\n{len(broken)} of {len(made)} checks do not hold:", style="red")
    for claim in broken[:SHOWN_MAX]:
        console.print(f"  {claim}", markup=False, soft_wrap=True)
    if isinstance(platform_, LocalPlatform):
        console.print(f"Logs: {platform_.logs}", markup=False)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
