"""A performance: several scenarios played at once on one platform, and then checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from deploy.local.platform import LocalPlatform, Platform
from scenarios.checks import Claim, claims
from scenarios.client import Client
from scenarios.evidence import Evidence, Witnesses
from scenarios.housekeeping import house_claims
from scenarios.model import Scenario
from scenarios.people import cast
from scenarios.play import Play
from scenarios.player import Player

CATCH_UP_SECONDS: Final = 30.0  # For payout, mails and dashboards after the settlement; usually two or three.
ROUND_SECONDS: Final = 0.5


@dataclass
class Performance:
    """`told` gets a line for each step; `plays` can be watched while `run` goes on.

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
            try:
                async with asyncio.TaskGroup() as group:
                    for play in self.plays:
                        group.create_task(Player(client, play, self.told, self.stretch).run())
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None

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
