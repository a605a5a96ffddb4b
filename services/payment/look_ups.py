"""Looks refunds and disputes up at the provider (DOMAIN Y8, Y9): an event tells only where to look.

Each answers whether the object needs no more looking at.

Raises:
    LookupFailedError: The provider did not say.
"""

from dataclasses import dataclass

from contracts.ids import PledgeId
from eventing.group_commit import GroupCommit
from payment.gateway import Provider
from payment.handlers_disputes import NoteDispute
from payment.handlers_refunds import NoteRefunds


@dataclass
class RefundLookUp:
    """By the id of a refund, a charge or a payment: all refunds of that payment."""

    commit: GroupCommit
    provider: Provider

    async def __call__(self, object_id: str) -> bool:
        found = await self.provider.refunds_of(object_id)
        if found is None:
            return True
        command = NoteRefunds(PledgeId(found.pledge_id), found.payment_id, found.refunds)
        return bool((await self.commit.execute(command))["noted"])


@dataclass
class DisputeLookUp:
    commit: GroupCommit
    provider: Provider

    async def __call__(self, object_id: str) -> bool:
        seen = await self.provider.dispute(object_id)
        if seen is None:
            return True
        return bool((await self.commit.execute(NoteDispute(PledgeId(seen.pledge_id), seen)))["noted"])
