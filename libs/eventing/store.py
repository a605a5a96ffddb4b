"""The event table: taking in what others have said, and parking what cannot be taken in."""

from collections.abc import Sequence
from enum import Enum
from typing import Final
from uuid import UUID

import structlog
from pydantic_core import to_json

from contracts.envelope import Envelope
from contracts.envelope import encode as encode_envelope
from eventing.database import Connection
from eventing.tables import transposed
from eventing.work import EVENT_COLUMNS

ERROR_LENGTH_MAX: Final = 2_000  # Enough for a person to see what is wrong.

log = structlog.get_logger(__name__)

_TAKE_IN = f"""
    INSERT INTO event (event_id, source, stream_id, version, type, data, meta)
    SELECT event_id, source, stream_id, version, type, data, meta FROM unnest({EVENT_COLUMNS}
    ORDER BY source, stream_id, version
    ON CONFLICT (source, stream_id, version) DO NOTHING
    RETURNING event_id
"""  # noqa: S608 - constant text
_IDS_OF = """
    SELECT e.source, e.stream_id, e.version, e.event_id
    FROM event e JOIN unnest($1::text[], $2::uuid[], $3::int[]) AS given(source, stream_id, version)
      USING (source, stream_id, version)
"""
_PARK = """
    INSERT INTO parked_event (type, event_id, body, error) VALUES ($1, $2, $3, $4)
    ON CONFLICT (event_id) WHERE event_id IS NOT NULL DO NOTHING
"""


class Taken(Enum):
    NEW = "new"
    REPEAT = "repeat"


class ImpostorError(Exception):
    """The same (source, stream, version) with another id: two histories, and that is an alarm."""


async def take_in(connection: Connection, envelopes: Sequence[Envelope]) -> list[Taken | ImpostorError]:
    """Store foreign events, each once; a verdict for each, in their order.

    Waits for another transaction that is storing the same ones.

    Raises:
        asyncpg.PostgresError: As the database says; nothing of the statement is stored.
    """
    if not envelopes:
        return []
    rows = [
        (e.id, e.source, e.subject, e.version, e.type, to_json(e.data).decode(), _meta(e))
        for e in sorted(envelopes, key=lambda e: (e.source, e.subject.int, e.version))
    ]
    new = {record["event_id"] for record in await connection.fetch(_TAKE_IN, *transposed(rows, 7))}
    if len(new) == len(envelopes):
        return [Taken.NEW] * len(envelopes)
    return await _verdicts(connection, envelopes, new)


async def _verdicts(
    connection: Connection, envelopes: Sequence[Envelope], new: set[UUID]
) -> list[Taken | ImpostorError]:
    """Tell repeats from impostors, also among the events of one statement."""
    ids = {_identity(e): e.id for e in envelopes if e.id in new}
    seen_before = sorted({_identity(e) for e in envelopes} - ids.keys())
    for record in await connection.fetch(_IDS_OF, *transposed(seen_before, 3)):
        ids[record["source"], record["stream_id"], record["version"]] = record["event_id"]
    verdicts: list[Taken | ImpostorError] = []
    for envelope in envelopes:
        stored = ids[_identity(envelope)]
        if envelope.id != stored:
            verdicts.append(ImpostorError(f"{_identity(envelope)} is stored with the id {stored}"))
            continue
        verdicts.append(Taken.NEW if envelope.id in new else Taken.REPEAT)
        new.discard(envelope.id)  # the same event once more in this statement is a repeat
    return verdicts


async def park(connection: Connection, envelope: Envelope | None, error: BaseException) -> None:
    """Put an event aside with its error; the same event is parked once."""
    assert envelope is not None
    body = f"[{_as_json(envelope)}]".encode()
    await park_body(connection, body, error, type_=envelope.type, event_id=envelope.id)


async def park_body(
    connection: Connection,
    body: bytes,
    error: BaseException,
    *,
    type_: str,
    event_id: UUID | None = None,
) -> None:
    """Put a message body aside exactly as it came."""
    reason = f"{type(error).__name__}: {error}".replace("\x00", "\\0")[:ERROR_LENGTH_MAX]
    await connection.execute(_PARK, type_.replace("\x00", ""), event_id, body, reason)
    log.error("event_parked", type=type_, event_id=str(event_id), error=reason)


def _identity(envelope: Envelope) -> tuple[str, UUID, int]:
    return envelope.source, envelope.subject, envelope.version


def _meta(envelope: Envelope) -> str:
    meta = {
        "time": envelope.time.isoformat(),
        "traceparent": envelope.traceparent,
        "correlationid": envelope.correlation_id,
        "causationid": envelope.causation_id,
    }
    return to_json(meta).decode()


def _as_json(envelope: Envelope) -> str:
    return encode_envelope(
        id=envelope.id,
        source=envelope.source,
        type=envelope.type,
        subject=envelope.subject,
        version=envelope.version,
        time=envelope.time,
        data_json=to_json(envelope.data).decode(),
        traceparent=envelope.traceparent,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
    )
