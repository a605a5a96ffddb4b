"""A performance: several scenarios played at once on one platform, and then checked."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from deploy.local.platform import LocalPlatform, Platform
from scenarios.checks import Claim, claims
from scenarios.client import Client, all_of
from scenarios.evidence import Evidence, Witnesses
from scenarios.housekeeping import house_claims
from scenarios.model import Scenario
from scenarios.people import Person, cast
from scenarios.play import Play
from scenarios.player import Player

CATCH_UP_SECONDS: Final = 45.0  # For payout, mails and dashboards after the settlement; usually two or three.
ROUND_SECONDS: Final = 0.5
EASY_PACE: Final = 60  # Contacts a second. An idle machine with two cores does several times as many.
STRETCH_MAX: Final = 10


@dataclass
class Performance:
    """`told` gets a line for each step; `plays` can be watched while `run` goes on.

    `stretch` multiplies all times, at least; a slow machine stretches them further by itself.
    `faults` says that programs are killed on purpose meanwhile: then logs may tell of errors.
    """

    platform: Platform
    scenarios: Sequence[Scenario]
    told: Callable[[str], None] = lambda _line: None
    stretch: int = 1
    faults: bool = False
    plays: list[Play] = field(default_factory=list)

    def rehearse(self) -> None:
        """Make everybody and their tokens. Blocks."""
        self.plays = [Play(scenario, cast(scenario, self.platform)) for scenario in self.scenarios]

    async def run(self) -> None:
        """Play all scenarios at the same time. Raises the first error of any, after the others were stopped."""
        async with Client(self.platform.addresses.gateway) as client:
            stretch = max(self.stretch, await self._introduce(client))
            await all_of(Player(client, play, self.told, stretch).run() for play in self.plays)

    async def _introduce(self, client: Client) -> int:
        """Everybody says where their mail goes. How long that takes tells how much time this machine needs."""

        async def introduce(person: Person) -> None:
            (await client.put("/me/contact", person.token, person.contact)).expect(200, 201, 204)

        began = time.monotonic()
        done = await all_of(introduce(person) for play in self.plays for person in play.cast.everybody())
        pace = len(done) / (time.monotonic() - began)
        stretch = min(STRETCH_MAX, math.ceil(EASY_PACE / pace))
        self.told(f"{len(done)} people said where their mail goes, {pace:.0f} a second")
        if stretch > 1:
            self.told(f"this machine is slow or busy: all deadlines are {stretch} times as long")
        return stretch

    async def check(self) -> tuple[list[tuple[Play, Evidence]], list[Claim]]:
        """The evidence about each campaign, and every claim about any, once all hold or time is up."""
        until = time.monotonic() + CATCH_UP_SECONDS
        async with Client(self.platform.addresses.gateway) as client, self._witnesses(client) as witnesses:
            while True:
                found = [(play, await witnesses.about(play)) for play in self.plays]
                made = [claim for one in found for claim in self._claims(*one)]
                if isinstance(self.platform, LocalPlatform):
                    made += await house_claims(self.platform, faults=self.faults)
                if all(claim.holds for claim in made) or time.monotonic() > until:
                    return found, made
                await asyncio.sleep(ROUND_SECONDS)

    def _witnesses(self, client: Client) -> Witnesses:
        return Witnesses(client, self.platform.addresses)

    def _claims(self, play: Play, evidence: Evidence) -> list[Claim]:
        """Named by the campaign that they are about."""
        return [
            Claim(f"{play.scenario.name}, {claim.who}", claim.what, claim.expected, claim.found)
            for claim in claims(play, evidence, faults=self.faults)
        ]
