"""What the provider tells us by itself (DOMAIN Y5): checked at the door, and all that is kept of it.

| what comes | what becomes of it |
| --- | --- |
| forged, unsigned, signed more than five minutes ago or ahead | 400; the provider signs anew each time it tries |
| signed, but no event (not JSON in UTF-8, no id, type or time) | 400 |
| too large, or with a NUL or a huge number, which the door stops | 413, 400; the event sweep gets it by its id |
| known by its id | 2xx, kept once |
| of a connected account, or of the other mode (live or test) | 2xx, kept with a note, never worked, one case |
| of another API version | 2xx, kept with a note, worked: what we keep is the same in all of them |
| about nothing that we know, of any type | 2xx, kept, done with |
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

from pydantic_core import from_json

from eventing.refusal import Refusal
from eventing.tables import check_text

TOLERANCE_SECONDS: Final = 300  # Stripe's own suggestion, here for both directions.
TEXT_MAX: Final = 255  # Stripe's ids and types are shorter.


class Note(StrEnum):
    """What is strange about an event."""

    NOTHING = ""
    OTHER_ACCOUNT = "other_account"
    OTHER_MODE = "other_mode"
    OTHER_VERSION = "other_version"


# Not ours to work on: what they are about is not in our account, or is not real money where ours is.
FOREIGN: Final = {
    Note.OTHER_ACCOUNT: "An event of a connected account came in: the webhook endpoint listens to connected accounts.",
    Note.OTHER_MODE: "An event of the other mode came in: the API key is for tests, the endpoint live, or vice versa.",
}


@dataclass(frozen=True)
class Ours:
    """What an event of our own account says about itself."""

    live: bool
    api_version: str


@dataclass(frozen=True)
class KeepWebhook:
    """All that is kept of an event: id, type, time, and the id of the object that it is about, if it has one."""

    event_id: str
    type: str
    object_id: str
    created_at: datetime
    note: Note = Note.NOTHING


class BadSignature(Refusal):
    """Not from the provider, or too old to tell."""

    code: ClassVar[str] = "bad-signature"
    title: ClassVar[str] = "The signature does not hold"
    status: ClassVar[int] = 400


class UnreadableEvent(Refusal):
    """Signed by the provider, but not an event."""

    code: ClassVar[str] = "unreadable-event"
    title: ClassVar[str] = "This is not an event"
    status: ClassVar[int] = 400


def verify(body: bytes, header: str, secrets: Sequence[str], now: float) -> None:
    """Check `Stripe-Signature` over the raw body against every active secret.

    Raises:
        BadSignature: No secret fits, or the time in it is more than `TOLERANCE_SECONDS` off in either direction.
    """
    pairs = [part.split("=", 1) for part in header.split(",") if "=" in part]
    times = [value for name, value in pairs if name.strip() == "t"]
    given = [value for name, value in pairs if name.strip() == "v1"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12):
        raise BadSignature("The Stripe-Signature header has no time.")
    signed = times[0].encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    if not any(_same(one, other) for one in expected for other in given):
        raise BadSignature("No active secret gives this signature.")
    if abs(now - int(times[0])) > TOLERANCE_SECONDS:
        raise BadSignature("The signature is too old, or from the future.")


def _same(expected: str, given: str) -> bool:
    return given.isascii() and hmac.compare_digest(expected, given)


def read(body: bytes, ours: Ours) -> KeepWebhook:
    """An event as it is delivered.

    Raises:
        UnreadableEvent: It is none.
    """
    try:
        event = from_json(body)  # of any content type, so the door has not looked at it
    except ValueError:
        raise UnreadableEvent("The body is not JSON in UTF-8.") from None
    return summary(event, ours)


def summary(event: Any, ours: Ours) -> KeepWebhook:
    """What is kept of an event: a snapshot (v1) or a thin one (v2).

    Raises:
        UnreadableEvent: Its id, type or time is missing or of the wrong kind.
    """
    try:
        about = event["data"]["object"] if event.get("object") == "event" else event.get("related_object")
        texts = [event["id"], event["type"], (about or {}).get("id") or ""]
        at = _time(event["created"])
        for text in texts:
            check_text(text)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        raise UnreadableEvent("It needs id, type and created.") from None
    if not all(len(text) <= TEXT_MAX for text in texts):
        raise UnreadableEvent("Its id, type and object id must be short.")
    return KeepWebhook(texts[0], texts[1], texts[2], at, _note(event, ours))


def _time(created: Any) -> datetime:
    """Unix seconds of a snapshot, ISO 8601 of a thin event. Raises what they raise for anything else."""
    if isinstance(created, int):
        return datetime.fromtimestamp(created, UTC)
    at = datetime.fromisoformat(created)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _note(event: Mapping[str, Any], ours: Ours) -> Note:
    if event.get("account") or event.get("context"):  # v1 and v2; our own account's events name none
        return Note.OTHER_ACCOUNT
    if event.get("livemode", ours.live) is not ours.live:
        return Note.OTHER_MODE
    if event.get("api_version", ours.api_version) != ours.api_version:
        return Note.OTHER_VERSION
    return Note.NOTHING
