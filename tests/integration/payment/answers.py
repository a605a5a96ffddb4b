"""A provider that answers what the test says: for the core of the service, without its workers."""

from datetime import datetime
from uuid import UUID, uuid4

from payment.domain_events import Kind
from payment.gateway import Decided, Unknown
from payment.handlers import Decide, PutOff
from tests.integration.house import House, Stories
from tests.integration.payment.platform import Platform

_LEASE = """
    UPDATE operation
       SET state = 'leased', lease_token = $1, lease_until = $2, first_sent_at = coalesce(first_sent_at, $2)
     WHERE subject_id = $3 AND kind = $4 AND state = 'waiting'
    RETURNING operation_id
"""


def platform_of(core: House) -> Platform:
    return Platform(core.commit, core.pool, sandbox=None, stories=Stories())  # type: ignore[arg-type]  # nobody asks it


async def answer(core: House, pledge_id: UUID, kind: Kind, outcome: Decided | Unknown) -> UUID:
    """The provider's answer to what is waiting to be asked; returns the operation."""
    token = uuid4()
    now: datetime | None = core.clock.frozen_at
    operation_id: UUID = await core.pool.fetchval(_LEASE, token, now, pledge_id, kind.value)
    assert operation_id is not None, f"no {kind} waits"
    if isinstance(outcome, Unknown):
        await core.execute(PutOff(operation_id, token, f"unknown: {outcome.reason}", 3_600))
    else:
        await core.execute(Decide(operation_id, pledge_id, kind, token, outcome))
    return operation_id
