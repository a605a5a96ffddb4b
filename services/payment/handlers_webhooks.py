"""What the provider tells us by itself, inside the group's transaction (DOMAIN Y5): kept once, and where it leads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from contracts.ids import PledgeId
from eventing.database import Connection
from eventing.definition import Answer, Handler
from eventing.work import Need, Work
from payment import cases, domain, webhooks
from payment import handlers_steps as steps
from payment.cases import CaseKind
from payment.domain_events import Kind
from payment.tables import OPERATIONS, WEBHOOKS, State, WebhookRow
from payment.webhooks import KeepWebhook

GRACE: Final = timedelta(seconds=5)  # Our own API answer is usually recorded by then, which needs no call.

_OPERATIONS_OF = """
    SELECT operation_id, subject_id
      FROM operation
     WHERE reference = $1
     ORDER BY decided_at IS NULL DESC, created_at DESC
"""


@dataclass(frozen=True)
class NoteReference:
    """An undecided operation has left this object at the provider; work on it now."""

    operation_id: UUID
    reference: str


@dataclass(frozen=True)
class Touched:
    """Something happened to an object at the provider that one of our operations knows."""

    reference: str


def keep_webhook(work: Work, command: KeepWebhook) -> Answer:
    """Keep an event once. One that is not ours is done with, and a person is told of it, once."""
    if work.get(WEBHOOKS, command.event_id) is not None:
        return {"kept": False}
    row = WebhookRow(
        event_id=command.event_id,
        type=command.type,
        object_id=command.object_id,
        created_at=command.created_at,
        received_at=work.now,
        due_at=work.now + GRACE,
        note=command.note,
        worked_at=work.now if command.note in webhooks.FOREIGN else None,
    )
    work.put(WEBHOOKS, row)
    if why := webhooks.FOREIGN.get(command.note):
        cases.open_case(work, CaseKind.FOREIGN_EVENT, command.note, f"{why} The first was {command.event_id}.")
    return {"kept": True}


def note_reference(work: Work, command: NoteReference) -> Answer:
    row = work.get(OPERATIONS, command.operation_id)
    if row is None or row.decided_at is not None:
        return {"noted": False}
    due = work.now if row.state is State.WAITING else row.due_at
    work.put(OPERATIONS, replace(row, reference=command.reference, due_at=due))
    return {"noted": True}


async def operations_of(connection: Connection, command: Touched) -> list[tuple[UUID, UUID]]:
    """Operation and subject of those that know the object: first the undecided, then the latest."""
    rows = await connection.fetch(_OPERATIONS_OF, command.reference)
    return [(row["operation_id"], row["subject_id"]) for row in rows]


def touched(work: Work, command: Touched) -> Answer:
    """What waits for the object is asked for now; a hold that somebody else has ended is looked at."""
    if not work.read:
        return {"known": False}
    operation_id, pledge_id = work.read[0]
    row = work.get(OPERATIONS, operation_id)
    if row is not None and row.state is State.WAITING:
        work.put(OPERATIONS, replace(row, due_at=work.now))
    elif row is not None and row.decided_at is not None and row.kind is not Kind.PAYOUT:
        payment = steps.payment_of(work, pledge_id)
        steps.wish(work, pledge_id, domain.doubt(payment, PledgeId(pledge_id), command.reference))
    return {"known": True}


def _webhook(command: KeepWebhook) -> Iterable[Need]:
    yield WEBHOOKS, (command.event_id,)
    if command.note in webhooks.FOREIGN:
        yield cases.CASES, (cases.case_id_of(CaseKind.FOREIGN_EVENT, command.note),)


def _operation(command: NoteReference) -> Iterable[Need]:
    return ((OPERATIONS, (command.operation_id,)),)


COMMANDS: Final[Mapping[type[Any], Handler]] = {
    KeepWebhook: Handler(keep_webhook, _webhook),
    NoteReference: Handler(note_reference, _operation),
    Touched: Handler(touched, read=operations_of),
}
