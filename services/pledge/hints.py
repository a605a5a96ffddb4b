"""Which pool a tier draws from, as seen lately: lets a placement name all that it locks, without a query."""

from collections import OrderedDict
from typing import Final
from uuid import UUID

from eventing.work import Work
from pledge.tables import TIERS

TIERS_MAX: Final = 10_000  # 2 MB; past it the tiers not pledged to for longest are forgotten.


class PoolHints:
    """Never wrong, because a tier keeps its pool; at most not there yet."""

    def __init__(self) -> None:
        self._pools: OrderedDict[UUID, UUID] = OrderedDict()

    def learn(self, work: Work) -> None:
        """Called after every commit with what the group has worked on."""
        for table, row in work.changed:
            if table is TIERS and row.pool_id is not None:
                self._pools[row.tier_id] = row.pool_id
                self._pools.move_to_end(row.tier_id)
        while len(self._pools) > TIERS_MAX:
            self._pools.popitem(last=False)

    def pool_of(self, tier_id: UUID | None) -> UUID | None:
        return self._pools.get(tier_id) if tier_id is not None else None
