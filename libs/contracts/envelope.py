"""CloudEvents 1.0 in JSON, and the batches they travel in (`application/cloudevents-batch+json`)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from json import JSONEncoder
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json

BATCH_CONTENT_TYPE: Final = "application/cloudevents-batch+json"
SPEC_VERSION: Final = "1.0"
VERSION_MAX: Final = 2**31 - 1  # The event store keeps it as an `int`.

_quoted: Final = JSONEncoder().encode  # what `dumps` calls, without its way there


class UndecodableError(ValueError):
    """A body or an envelope that is not what this platform sends."""


class Envelope(NamedTuple):
    """One event as it travels: CloudEvents attributes and the data as parsed JSON.

    The data stays a plain dict here: a reader validates it with the model that it knows, and stores it whole,
    with fields that only a newer reader understands. A tuple, because it is made five times faster than a frozen
    dataclass of ten fields, and one is made for every event that is read.
    """

    id: UUID
    source: str
    type: str
    subject: UUID
    version: int  # `streamversion`: 1, 2, 3 … within (source, subject)
    time: datetime  # UTC, the database clock of the transaction that decided it
    data: Mapping[str, Any]
    traceparent: str = ""
    correlation_id: str = ""
    causation_id: str = ""


def encode(
    *,
    id: UUID,  # noqa: A002 - CloudEvents' own name
    source: str,
    type: str,  # noqa: A002 - the same
    subject: UUID,
    version: int,
    time: datetime,
    data_json: str,
    traceparent: str = "",
    correlation_id: str = "",
    causation_id: str = "",
) -> str:
    """One CloudEvent as JSON text; `data_json` goes in as it is, so that nothing is parsed on the way out.

    The extension attributes are written only where they have a value, as CloudEvents asks. They are escaped:
    a correlation id can come from a client's header.
    """
    extensions = "".join(
        f',"{name}":{_quoted(value)}'
        for name, value in (
            ("traceparent", traceparent),
            ("correlationid", correlation_id),
            ("causationid", causation_id),
        )
        if value
    )
    return (
        f'{{"specversion":"1.0","id":"{id}","source":"{source}","type":"{type}","subject":"{subject}",'
        f'"time":"{time.isoformat()}","datacontenttype":"application/json","dataschema":"/schemas/{type}.json",'
        f'"streamversion":{version}{extensions},"data":{data_json}}}'
    )


def batch(encoded: Sequence[str]) -> bytes:
    """A message body: a CloudEvents batch of events that `encode` made."""
    return f"[{','.join(encoded)}]".encode()


def decode_batch(body: bytes) -> list[Mapping[str, Any]]:
    """The raw CloudEvents of a message body, none of them looked into yet.

    Raises:
        UndecodableError: The body is not a JSON array of objects.
    """
    try:
        raw = from_json(body, allow_inf_nan=False)  # NaN is not JSON, and jsonb refuses it
    except ValueError as error:
        msg = f"not JSON: {error}"
        raise UndecodableError(msg) from error
    if not isinstance(raw, list) or not raw or not all(isinstance(item, dict) for item in raw):
        msg = "not a CloudEvents batch: expected a JSON array of at least one object"
        raise UndecodableError(msg)
    return raw


def decode(raw: Mapping[str, Any]) -> Envelope:
    """One envelope of a batch.

    Raises:
        UndecodableError: A required attribute is missing or of the wrong kind.
    """
    try:
        if raw["specversion"] != SPEC_VERSION or not isinstance(raw["data"], dict):
            raise UndecodableError("expected CloudEvents 1.0 with an object as data")
        return Envelope(
            id=UUID(raw["id"]),
            source=_text(raw["source"]),
            type=_text(raw["type"]),
            subject=UUID(raw["subject"]),
            version=_stream_version(raw["streamversion"]),
            time=_instant(raw["time"]),
            data=raw["data"],
            traceparent=_text(raw.get("traceparent", "")),
            correlation_id=_text(raw.get("correlationid", "")),
            causation_id=_text(raw.get("causationid", "")),
        )
    except UndecodableError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        msg = f"not a CloudEvent of this platform: {type(error).__name__}: {error}"
        raise UndecodableError(msg) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _stream_version(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= VERSION_MAX:
        raise ValueError(f"streamversion must be an integer from 1 to {VERSION_MAX}")
    return value


def _instant(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError("time must say its zone")
    return time.astimezone(UTC)
