"""Plays a plan: the campaign opens, backers come and think again, the deadline passes, and at last everything heals."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from contracts.campaign import CampaignCancelled, CampaignClosed, CampaignLaunched, Policy
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId
from contracts.money import Money
from eventing.idempotency import Idempotency
from eventing.refusal import Refusal
from pledge.domain_change import ChangePledge
from pledge.domain_decisions import CancelPledge, PlacePledge
from tests.simulation.checks import due, unfinished
from tests.simulation.scenario import DAY, HOUR, Act, Backer, Plan, Wish
from tests.simulation.world import World

LEASE_SECONDS: Final = 900
# What the healed world is given to come to its end, jump by jump: leases, keys and windows run out meanwhile.
HEALING_SECONDS: Final = (20, 70, 600, HOUR, 6 * HOUR, 26 * HOUR, 3 * DAY, 8 * DAY) * 4
PATIENCE_SECONDS: Final = 2.0  # Of a backer whose campaign is not known yet.
REST_SECONDS: Final = 6.0  # After a jump every timer has looked once.
RESTS_MAX: Final = 4  # What takes longer takes a jump.


Interlude = Callable[[World], Coroutine[Any, Any, None]]


@dataclass
class Placed:
    """A pledge as its backer knows it."""

    backer: Backer
    pledge_id: PledgeId
    person_id: PersonId
    accepted: bool = False
    cancelled: bool = False  # the service has agreed to it
    refused: list[str] = field(default_factory=list)


class Story:
    def __init__(self, world: World, plan: Plan) -> None:
        self.world = world
        self.plan = plan
        self.campaign_id = CampaignId(world.new_id())
        self.creator_id = PersonId(world.new_id())
        self.given_up = False
        self.pledges = [Placed(backer, PledgeId(world.new_id()), PersonId(world.new_id())) for backer in plan.backers]

    async def play(self, interlude: Interlude | None = None) -> None:
        """To its end, healed. `interlude` goes on beside it. Raises AssertionError if it does not end."""
        world, plan = self.world, self.plan
        self._launch()
        people = [world.background(self._backer(placed)) for placed in self.pledges]
        people.append(world.background(self._close()))
        if interlude is not None:
            people.append(world.background(interlude(world)))
        for start, length in plan.scenes:
            await world.jump_to(start)
            await world.until(max(world.seconds, start) + length)
        await self._heal(people)

    async def _heal(self, people: list["asyncio.Task[None]"]) -> None:
        world = self.world
        world.heal()
        await asyncio.gather(*people)
        for seconds in HEALING_SECONDS:
            await self._rest()
            if not await unfinished(world, self):
                return
            await world.jump_to(world.seconds + seconds)
        await self._rest()
        left = await unfinished(world, self)
        assert not left, f"it does not end: {left}"

    async def _rest(self) -> None:
        """Until nothing is on its way any more, as far as that comes by itself."""
        for _ in range(RESTS_MAX):
            await asyncio.sleep(REST_SECONDS)
            if self.world.still and not await due(self.world):
                return

    # -- the creator -----------------------------------------------------------------------------------------------

    def _launch(self) -> None:
        now, plan = self.world.clock.time, self.plan
        launched = CampaignLaunched(
            campaign_id=self.campaign_id,
            creator_id=self.creator_id,
            title="A book",
            goal=self._money(plan.goal_minor),
            model=plan.model,
            deadline=now + timedelta(seconds=plan.deadline),
            policy=Policy(payment_strategy=plan.strategy, cancellation_cutoff_seconds=2),
            launched_at=now,
        )
        self.world.tell(launched)

    async def _close(self) -> None:
        """The campaign closes at its deadline, unless its creator gives it up before (DOMAIN C10)."""
        world, given_up_at, deadline = self.world, self.plan.given_up_at, self.plan.deadline
        self.given_up = given_up_at is not None and given_up_at < deadline
        if given_up_at is not None and self.given_up:
            await world.until(given_up_at)
            world.tell(CampaignCancelled(campaign_id=self.campaign_id, cancelled_at=world.clock.time))
            return
        await world.until(deadline + 0.1)
        world.tell(CampaignClosed(campaign_id=self.campaign_id, closed_at=world.clock.time))

    # -- backers ---------------------------------------------------------------------------------------------------

    async def _backer(self, placed: Placed) -> None:
        await self.world.until(placed.backer.at)
        await self._place(placed)
        for number, wish in enumerate(placed.backer.wishes):
            await self.world.until(wish.at)
            await self._wish(placed, wish, number)

    async def _place(self, placed: Placed) -> None:
        command = PlacePledge(
            pledge_id=placed.pledge_id,
            campaign_id=self.campaign_id,
            backer_id=placed.person_id,
            tier_id=None,
            amount=self._money(placed.backer.minor),
            country="DE",
            payment_method=placed.backer.card,
            lease_seconds=LEASE_SECONDS,
        )
        while not placed.accepted:
            try:
                await self._ask(placed, command, "place")
            except Refusal as refusal:
                placed.refused.append(refusal.code)
                if refusal.code != "campaign-unknown":  # the launch is on its way
                    return
                await asyncio.sleep(PATIENCE_SECONDS)
            else:
                placed.accepted = True

    async def _wish(self, placed: Placed, wish: Wish, number: int) -> None:
        command: Any = CancelPledge(placed.pledge_id, placed.person_id)
        if wish.act is Act.CHANGE:
            command = ChangePledge(
                change_id=ChangeId(self.world.new_id()),
                pledge_id=placed.pledge_id,
                person_id=placed.person_id,
                amount=self._money(wish.minor),
                tier_id=None,
                moves_tier=False,
                payment_method=wish.card,
                versions=None,
                lease_seconds=LEASE_SECONDS,
            )
        try:
            await self._ask(placed, command, f"{wish.act} {number}")
        except Refusal as refusal:
            placed.refused.append(refusal.code)
        else:
            placed.cancelled = placed.cancelled or wish.act is Act.CANCEL

    async def _ask(self, placed: Placed, command: Any, what: str) -> None:
        key = Idempotency(placed.person_id, what, what)
        await self.world.ask("pledge", command, idempotency=key)

    def _money(self, minor: int) -> Money:
        return Money(amount=minor, currency=self.plan.currency)
