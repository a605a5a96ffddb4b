"""The timers that drive settlements. They run on every replica: what another has done already is done by nobody."""

from dataclasses import dataclass
from typing import Final

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from eventing.runtime import Job
from settlement import queries
from settlement.domain import RequestDrops, RequestNext, StartSettlement

STARTS_PER_ROUND: Final = 20  # Each reads one whole book; between them other work gets its turn.
REQUESTS_PER_COMMAND_MAX: Final = 500  # As large as a group: more would hold the campaign's lock for longer.
EVERY_SECONDS: Final = 0.2
# The bound is filled in so many rounds: 125 requests a second where it is 500, and Stripe answers 100 by default.
# All at once would make pledges at the checkout wait behind them in payment.
ROUNDS: Final = 20
ROUND_MIN: Final = 25


def per_round(outstanding_max: int) -> int:
    """How many requests go out in one round at most."""
    return max(ROUND_MIN, outstanding_max // ROUNDS)


@dataclass(frozen=True)
class Settler:
    """Looks for what is due and gives the commands. `outstanding_max` bounds all unanswered requests together."""

    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock
    outstanding_max: int

    def jobs(self) -> tuple[Job, ...]:
        return (
            Job("start settlements", self.start_due, EVERY_SECONDS),
            Job("request captures and voids", self.request_due, EVERY_SECONDS),
            Job("drop unmended pledges", self.drop_due, EVERY_SECONDS),
        )

    async def start_due(self) -> bool:
        """Start what has all it needs (DOMAIN S1)."""
        found = await queries.ready(self.pool, STARTS_PER_ROUND)
        for campaign_id in found:
            await self.commit.execute(StartSettlement(campaign_id))
        return len(found) == STARTS_PER_ROUND

    async def request_due(self) -> bool:
        """Fill the room under the bound, in equal shares for the campaigns that have pledges to ask about (S3).

        Never to be looked at again at once: the next round has its time.
        """
        found = await queries.unanswered(self.pool)
        room = self.outstanding_max - sum(one.outstanding for one in found)
        room = min(room, per_round(self.outstanding_max))
        waiting = [one for one in found if one.open]
        for index, one in enumerate(waiting):
            share = min(-(-room // (len(waiting) - index)), REQUESTS_PER_COMMAND_MAX)
            if share <= 0:
                break
            pledge_ids = await queries.next_open(self.pool, one.campaign_id, share)
            await self.commit.execute(RequestNext(one.campaign_id, pledge_ids, one.outstanding + share))
            room -= len(pledge_ids)
        return False

    async def drop_due(self) -> bool:
        """Give up the failed captures whose window is over (S5)."""
        found = await queries.late(self.pool, self.clock, REQUESTS_PER_COMMAND_MAX)
        for campaign_id, pledge_ids in found:
            await self.commit.execute(RequestDrops(campaign_id, pledge_ids))
        return any(len(pledge_ids) == REQUESTS_PER_COMMAND_MAX for _, pledge_ids in found)
