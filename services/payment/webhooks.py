"""What the provider tells us by itself (DOMAIN Y5): checked, kept once, answered at once, worked afterwards."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

import structlog
from pydantic_core import from_json

from eventing.clock import DatabaseClock
from eventing.database import Pool
from eventing.group_commit import GroupCommit
from eventing.refusal import Refusal
from eventing.tables import check_text
from payment.gateway import LookupFailedError, Provider
from payment.handlers import KeepWebhook, NoteReference

log = structlog.get_logger(__name__)

TOLERANCE_SECONDS: Final = 300  # Stripe's own suggestion, here for both directions.
BATCH: Final = 500  # Most are done with without a call.
LOOKUPS_MAX: Final = 20  # Calls per round; a flood of strangers' events must not eat the provider's rate limit.
GRACE: Final = timedelta(seconds=5)  # Our own API answer is usually recorded by then, which needs no call.
KEPT: Final = timedelta(days=35)  # Longer than the provider keeps its events (30 days), so that none comes again.
TEXT_MAX: Final = 255  # Stripe's ids and types are shorter.

_DUE: Final = """
    SELECT webhook.event_id, webhook.object_id,
           EXISTS (SELECT FROM operation
                    WHERE operation.reference = webhook.object_id AND decided_at IS NOT NULL) AS known
      FROM webhook
     WHERE worked_at IS NULL AND received_at <= $1
     ORDER BY received_at
     LIMIT $2
"""
_WORKED: Final = "UPDATE webhook SET worked_at = $1 WHERE event_id = ANY($2::text[])"
_FORGET: Final = "DELETE FROM webhook WHERE received_at < $1 AND worked_at IS NOT NULL"


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


def read(body: bytes) -> KeepWebhook:
    """All that is kept of an event: id, type, time, and the id of the object that it is about.

    Raises:
        UnreadableEvent: One of them is missing or of the wrong kind.
    """
    try:
        event = from_json(body)  # of any content type, so the door has not looked at it
        about = event["data"]["object"]["id"] if event.get("object") == "event" else event["related_object"]["id"]
        texts = [event["id"], event["type"], about or ""]
        created = event["created"]
        at = datetime.fromtimestamp(created, UTC) if isinstance(created, int) else datetime.fromisoformat(created)
        for text in texts:
            check_text(text)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        raise UnreadableEvent("It needs id, type, created and the object's id.") from None
    if not all(len(text) <= TEXT_MAX for text in texts):
        raise UnreadableEvent("Its id, type and object id must be short.")
    return KeepWebhook(texts[0], texts[1], texts[2], at)


@dataclass
class Inbox:
    """Works kept events: an operation that is still undecided learns which object it has left at the provider."""

    pool: Pool
    commit: GroupCommit
    clock: DatabaseClock
    provider: Provider

    async def run_once(self) -> bool:
        async with self.pool.acquire() as connection:
            now = await self.clock.now(connection)
            due = await connection.fetch(_DUE, now - GRACE, BATCH)
            await connection.execute(_FORGET, now - KEPT)
        worked: list[str] = []
        strange: dict[str, list[str]] = {}
        for row in due:
            if row["known"] or not row["object_id"].startswith("pi_"):
                worked.append(row["event_id"])
            else:
                strange.setdefault(row["object_id"], []).append(row["event_id"])
        for reference in list(strange)[:LOOKUPS_MAX]:
            if await self._look_up(reference):
                worked += strange[reference]
        if worked:
            await self.pool.execute(_WORKED, now, sorted(worked))
        return len(due) == BATCH and bool(worked)

    async def _look_up(self, reference: str) -> bool:
        """Whether the object needs no more looking at."""
        try:
            operation_id = await self.provider.operation_of(reference)
        except LookupFailedError as error:
            log.warning("webhook_waits", reference=reference, error=str(error))
            return False
        if operation_id is not None:
            await self.commit.execute(NoteReference(operation_id, reference))
        return True
