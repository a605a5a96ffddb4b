"""Plays one scenario through the gateway, from the draft to the settlement."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from scenarios.client import Answer, Client, all_of
from scenarios.model import CancelAnswer, Phase, PledgeAnswer, PledgeGroup, Tier
from scenarios.people import Person
from scenarios.play import UNDECIDED, PlacedPledge, Play, tally_on
from scenarios.visibility import POLL_SECONDS

OPEN_SECONDS: Final = 20.0  # From the launch until the pledge service has heard of it: usually below a second.
REST_SECONDS: Final = 60.0  # For the payments of one phase; a restarted service needs a few of them.
SETTLED_SECONDS: Final = 120.0  # After the deadline and the time to mend failed captures.
ROUND_SECONDS: Final = 0.25  # Between two looks at what is still undecided.
ASKED_AT_ONCE: Final = 16
# Sixteen backers a second and campaign, several at the same moment, so that they do compete for the last slots.
ARRIVE_AT_ONCE: Final = 8
ARRIVE_EVERY_SECONDS: Final = 0.5
AFTER_CUTOFF_SECONDS: Final = 0.5  # The cutoff is the platform's clock; this is for the ticks between both.


class ScenarioFailedError(Exception):
    """A scenario did not go as its file says. The message names campaign, phase and reason."""


class TooSlowError(ScenarioFailedError):
    """The machine did not get through a phase before the cutoff or the deadline: not wrong, but nothing is shown."""


class Arrivals:
    """Lets the backers of a phase in, a few at a time: all at once would measure their queue and nothing else."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._began = time.monotonic()
        self._came = 0

    async def turn(self) -> None:
        at = self._began + self._came // ARRIVE_AT_ONCE * self._every_seconds
        self._came += 1
        await asyncio.sleep(max(0.0, at - time.monotonic()))


@dataclass(frozen=True)
class Player:
    """`stretch` multiplies the campaign's times for slow machines."""

    client: Client
    play: Play
    told: Callable[[str], None] = lambda _line: None
    stretch: int = 1

    async def run(self) -> None:
        """Everything up to the settlement. Raises ScenarioFailedError or UnexpectedAnswerError."""
        await self._launch()
        async with self._watching():
            for phase in self.play.scenario.phases:
                await self._phase(phase)
            self.play.page_at_rest = self.play.page
            await self._wait_for_settlement()

    async def _launch(self) -> None:
        self.play.stage = "launch"
        campaign, token = self.play.scenario.campaign, self.play.cast.creator.token
        self.play.deadline = time.time() + campaign.deadline_seconds * self.stretch
        draft = {
            "title": campaign.title,
            "story": campaign.story,
            "goal": self._money(campaign.goal),
            "model": campaign.model,
            "deadline": datetime.fromtimestamp(self.play.deadline, UTC).isoformat(),
            "stretch_goals": [
                {"title": one.title, "amount": self._money(one.amount)} for one in campaign.stretch_goals
            ],
        }
        self.play.campaign_id = UUID((await self.client.post("/campaigns", token, draft)).expect(201).body["id"])
        for tier in campaign.tiers:
            answer = await self.client.post(f"{self._path}/tiers", token, self._tier(tier))
            self.play.tier_ids[tier.key] = answer.expect(201).body["tier_id"]
        policy = campaign.policy.model_dump(exclude_none=True)
        if "cancellation_cutoff_seconds" in policy:
            policy["cancellation_cutoff_seconds"] *= self.stretch
        (await self.client.post(f"{self._path}/launch", token, {"policy": policy})).expect(200)
        self._say(f"launched, {campaign.deadline_seconds * self.stretch} s to its deadline")

    def _tier(self, tier: Tier) -> dict[str, object]:
        body = tier.model_dump(include={"title", "description", "estimated_delivery", "limit"}, exclude_none=True)
        body["minimum"] = self._money(tier.minimum)
        if tier.pool_of is not None:
            body["pool_of"] = self.play.tier_ids[tier.pool_of]
        return body

    @contextlib.asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Look at the public page all the time, as its visitors do."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self) -> None:
        self.play.page = (await self.client.get(self._path)).expect(200).body
        self.play.visibility.page(time.monotonic(), self.play.page["backers"])

    async def _phase(self, phase: Phase) -> None:
        if phase.after == "cutoff":
            self.play.stage = "waiting for the cutoff"
            await asyncio.sleep(max(0.0, self.play.cutoff + AFTER_CUTOFF_SECONDS - time.time()))
        self.play.stage = phase.name
        in_time = bool(phase.cancel) and all(group.expected(CancelAnswer.CANCELLED) for group in phase.cancel)
        limit = self.play.cutoff if in_time else self.play.deadline
        before, placed_before = self.play.total.count, len(self.play.pledges)
        self.play.visibility.begin()
        arrivals = Arrivals(ARRIVE_EVERY_SECONDS * self.stretch)
        try:
            await all_of(
                [self._place(group, arrivals) for group in phase.pledge]
                + [self._cancel(phase) for _ in phase.cancel[:1]]
            )
            await self._come_to_rest(phase)
        except ScenarioFailedError:
            self._check_in_time(phase, limit)  # Whatever it was: too late is the reason to name.
            raise
        self._check_in_time(phase, limit)
        self.play.visibility.end(before, [one.sent_at for one in self.play.pledges[placed_before:] if one.stands])
        self._say(f"{phase.name}: {self.play.total.count} backers")

    def _check_in_time(self, phase: Phase, limit: float) -> None:
        late = time.time() - limit
        if late > 0:
            what = "the cutoff" if limit < self.play.deadline else "the deadline"
            raise TooSlowError(
                f"{self._name}: {phase.name!r} was not at rest when {what} came, {late:.1f} s ago. This machine is too"
                f" slow for deadline_seconds; nothing is wrong with the books. Try --stretch {self.stretch + 1}."
            )

    async def _place(self, group: PledgeGroup, arrivals: Arrivals) -> None:
        answers = await all_of(
            self._pledge(group, backer, country, arrivals) for backer, country in self.play.cast.backers[group.group]
        )
        for answer in PledgeAnswer:
            if answer not in {
                PledgeAnswer.ACCEPTED,
                PledgeAnswer.DECLINED,
            }:  # These two come later, and are checked then.
                self._compare(group.group, answer, group.expected(answer), answers.count(answer))

    async def _pledge(self, group: PledgeGroup, backer: Person, country: str, arrivals: Arrivals) -> str | None:
        """The refusal, None if the pledge was taken."""
        await arrivals.turn()
        body = {"amount": self._money(group.amount), "payment_method": group.card, "country": country}
        if group.tier is not None:
            body["tier_id"] = self.play.tier_ids[group.tier]
        answer = await self._when_open(backer, body)
        self.play.attempted += 1
        if answer.refusal is not None:
            self.play.refused[answer.refusal] += 1
            return answer.refusal
        id_ = answer.expect(201).body["id"]
        self.play.pledges.append(PlacedPledge(id_, group, backer, country, answer.sent_at))
        return None

    async def _when_open(self, backer: Person, body: object) -> Answer:
        """Right after the launch the pledge service may not have heard of it."""
        until = time.monotonic() + OPEN_SECONDS
        while True:
            answer = await self.client.post(f"{self._path}/pledges", backer.token, body)
            if answer.status != 404 or answer.refusal != "campaign-not-open" or time.monotonic() > until:
                return answer
            await asyncio.sleep(ROUND_SECONDS)

    async def _cancel(self, phase: Phase) -> None:
        chosen = [(group, self.play.standing_of(group.group)[: group.count]) for group in phase.cancel]
        for group, pledges in chosen:
            answers = await all_of(self._cancel_one(pledge) for pledge in pledges)
            for answer in CancelAnswer:
                self._compare(group.group, answer, group.expected(answer), answers.count(answer))

    async def _cancel_one(self, pledge: PlacedPledge) -> str:
        answer = await self.client.post(f"/pledges/{pledge.id}/cancel", pledge.backer.token)
        if answer.refusal is not None:
            self.play.refused[answer.refusal] += 1
            return answer.refusal
        answer.expect(202)
        pledge.status = CancelAnswer.CANCELLED
        self.play.cancelled += 1
        return CancelAnswer.CANCELLED

    def _compare(self, group: str, answer: str, expected: int, found: int) -> None:
        if expected != found:
            raise ScenarioFailedError(
                f"{self._name}: {self.play.stage!r}: of the group {group!r}, {expected} should be {answer!r} and"
                f" {found} are (refusals so far: {dict(self.play.refused)})"
            )

    async def _come_to_rest(self, phase: Phase) -> None:
        """Wait until every pledge is decided and the public page shows the total of those that stand."""
        until = time.monotonic() + REST_SECONDS
        while True:
            await self._ask_around()
            await self._look()
            if not any(self.play.undecided()) and tally_on(self.play.page) == self.play.total:
                break
            if time.monotonic() > until:
                raise ScenarioFailedError(
                    f"{self._name}: {phase.name!r} does not come to rest: {len(list(self.play.undecided()))} pledges"
                    f" are undecided, {self.play.total} stand, the page shows {tally_on(self.play.page)}"
                )
            await asyncio.sleep(ROUND_SECONDS)
        for group in phase.pledge:
            standing = len(self.play.standing_of(group.group))
            self._compare(group.group, PledgeAnswer.ACCEPTED, group.expected(PledgeAnswer.ACCEPTED), standing)

    async def _ask_around(self) -> None:
        """Ask about what is undecided, oldest first, a few at a time; where some still are, the rest can wait."""
        undecided = list(self.play.undecided())
        for at in range(0, len(undecided), ASKED_AT_ONCE):
            asked = undecided[at : at + ASKED_AT_ONCE]
            await all_of(self._ask(pledge) for pledge in asked)
            if any(pledge.status in UNDECIDED for pledge in asked):
                return

    async def _ask(self, pledge: PlacedPledge) -> None:
        answer = await self.client.get(f"/pledges/{pledge.id}", pledge.backer.token)
        pledge.status = answer.expect(200).body["status"]

    async def _wait_for_settlement(self) -> None:
        self.play.stage = "waiting for the deadline"
        await asyncio.sleep(max(0.0, self.play.deadline - time.time()))
        self.play.stage = "settling"
        fix_seconds = self.play.scenario.campaign.policy.fix_payment_seconds
        until = time.monotonic() + SETTLED_SECONDS + (fix_seconds or 0)
        while not self._settled():
            if time.monotonic() > until:
                raise ScenarioFailedError(f"{self._name}: not settled: {self.play.settlement}")
            await asyncio.sleep(ROUND_SECONDS)
            answer = await self.client.get(f"{self._path}/settlement", self.play.cast.creator.token)
            self.play.settlement = answer.expect(200).body
            await self._look()
        self.play.stage = str(self.play.settlement["outcome"])
        self._say(f"settled: {self.play.stage}")

    def _settled(self) -> bool:
        """By the settlement itself, and on the public page."""
        outcome = self.play.settlement.get("outcome")
        return outcome is not None and self.play.page.get("status") == outcome

    def _money(self, minor: int) -> dict[str, object]:
        return {"amount": minor, "currency": self.play.scenario.campaign.currency}

    @property
    def _path(self) -> str:
        return f"/campaigns/{self.play.campaign_id}"

    @property
    def _name(self) -> str:
        return self.play.scenario.name

    def _say(self, what: str) -> None:
        self.told(f"{self._name}: {what}")
