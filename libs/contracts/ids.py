"""Every id has a type of its own, so that a swapped argument does not type-check.

All ids are UUIDv7: unique without asking anyone and sorted by time, which keeps B-tree inserts at one end.
"""

from typing import NewType
from uuid import UUID

from uuid_utils.compat import uuid7

CampaignId = NewType("CampaignId", UUID)
TierId = NewType("TierId", UUID)
PoolId = NewType("PoolId", UUID)
UpdateId = NewType("UpdateId", UUID)
PledgeId = NewType("PledgeId", UUID)
PersonId = NewType("PersonId", UUID)
ChangeId = NewType("ChangeId", UUID)
OfferId = NewType("OfferId", UUID)
EventId = NewType("EventId", UUID)
OperationId = NewType("OperationId", UUID)


def new_id() -> UUID:
    """A fresh UUIDv7. Drawn at a door, never inside a decision, so that a decision can be run again."""
    return uuid7()
