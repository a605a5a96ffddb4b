"""Which pool a tier draws from: lets a placement name all that it locks before its transaction begins."""

from collections import OrderedDict
from typing import Final
from uuid import UUID

from eventing.database import Pool

TIERS_MAX: Final = 10_000  # 2 MB; past it those asked for first are asked for again.


class PoolHints:
    """Asked of the database once for each tier, and right for ever after: a tier keeps its pool."""

    def __init__(self, database: Pool) -> None:
        self._database = database
        self._known: OrderedDict[UUID, UUID | None] = OrderedDict()

    async def pool_of(self, tier_id: UUID | None) -> UUID | None:
        """The tier's pool; None for an unlimited tier, and for one that is not known yet."""
        if tier_id is None:
            return None
        if tier_id in self._known:
            return self._known[tier_id]
        row = await self._database.fetchrow("SELECT pool_id FROM tier WHERE tier_id = $1", tier_id)
        if row is None:
            return None
        pool_id: UUID | None = row["pool_id"]
        self._known[tier_id] = pool_id
        if len(self._known) > TIERS_MAX:
            self._known.popitem(last=False)
        return pool_id
