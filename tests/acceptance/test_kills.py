"""Any program may be killed at any moment: started again, everything ends with the books equal (DOMAIN M5, S4).

Each program is killed twice: while pledges are placed and paid, and once the deadline has come. Services that do not
wait for each other are killed together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from deploy.local.platform import LocalPlatform
from deploy.topology import SERVICES
from scenarios.loading import load
from scenarios.performance import Performance

pytestmark = pytest.mark.takes_a_server_away

SMALL = sorted((Path(__file__).parent / "small").glob("*.json"))
MOMENT_SECONDS = 90.0  # For the moment to come; the campaigns last eighteen, or a multiple on a slow machine.
BROKER_STRETCH = 2  # It may be away for ten seconds: more than these campaigns have until their cutoff.
POLL_SECONDS = 0.01
TOGETHER = (("campaign", "payment"), ("pledge", "analytics"), ("settlement", "notifier"))


class Killable(Protocol):
    def kill(self) -> None: ...
    def start(self) -> None: ...


@pytest.mark.parametrize("names", TOGETHER, ids="-".join)
async def test_killed_services_change_no_outcome(platform: LocalPlatform, names: Sequence[str]) -> None:
    assert await broken_claims(platform, *(platform.process(name) for name in names)) == []


def test_every_service_is_killed() -> None:
    assert sorted(name for names in TOGETHER for name in names) == sorted(service.name for service in SERVICES)


async def test_a_killed_broker_changes_no_outcome(platform: LocalPlatform) -> None:
    if not platform.servers.rabbitmq.controllable:
        pytest.fail("this test takes RabbitMQ away: unset GROUNDSWELL_RABBITMQ_URL, so that it is our own")
    assert await broken_claims(platform, platform.servers.rabbitmq, stretch=BROKER_STRETCH) == []


async def broken_claims(platform: LocalPlatform, *victims: Killable, stretch: int = 1) -> list[str]:
    """Play the small scenarios while the victims are killed and started again, twice; what does not hold then."""
    performance = Performance(platform, load(SMALL), stretch=stretch, faults=True)
    await asyncio.to_thread(performance.rehearse)
    playing = asyncio.create_task(performance.run())
    try:
        for moment in (some_are_paid, the_deadline_has_come):
            await until(playing, lambda: moment(performance))  # noqa: B023 - it is over before the next one
            await asyncio.gather(*(asyncio.to_thread(victim.kill) for victim in victims))
            await asyncio.gather(*(asyncio.to_thread(victim.start) for victim in victims))
        await playing
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    _, made = await performance.check()
    return [str(claim) for claim in made if not claim.holds]


def some_are_paid(performance: Performance) -> bool:
    """In the middle of the rush: the first pages show backers."""
    return any(play.page.get("backers", 0) >= 3 for play in performance.plays)


def the_deadline_has_come(performance: Performance) -> bool:
    return all(play.deadline and time.time() >= play.deadline for play in performance.plays)


async def until(playing: asyncio.Task[None], condition: Callable[[], bool]) -> None:
    """Wait for a moment of the performance. One that has ended before it came has failed."""
    deadline = time.monotonic() + MOMENT_SECONDS
    while not condition():
        if playing.done():
            await playing
            pytest.fail("the performance was over before the moment came")
        assert time.monotonic() < deadline, "the moment does not come"
        await asyncio.sleep(POLL_SECONDS)
