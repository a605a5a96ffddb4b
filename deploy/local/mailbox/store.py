"""What the mailbox keeps, within bounds, and how it is found again."""

from __future__ import annotations

import itertools
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser

SUMMARIES_MAX = 200_000  # One milestone mail to every backer of the largest campaign that we plan for.
BODIES_BYTES_MAX = 64 * 2**20  # Compressed; the oldest texts go first, their summaries stay.
HEADER_PREFIX = "x-groundswell-"


@dataclass(slots=True)
class Summary:
    """One message as one recipient got it; `headers` are the X-Groundswell-* ones, in lower case."""

    id: int
    to: str
    sender: str
    subject: str
    message_id: str
    headers: dict[str, str]
    received_at: datetime
    copies: int = 1


@dataclass
class Filter:
    """What a reader asks for; an empty field matches everything. `header` is `Name: value` or a bare name."""

    to: str = ""
    subject: str = ""
    header: str = ""

    def matches(self, message: Summary) -> bool:
        name, _, value = self.header.lower().partition(":")
        return (
            (not self.to or message.to == self.to.lower())
            and (not self.subject or self.subject.lower() in message.subject.lower())
            and (not name or name in message.headers)
            and (not value or message.headers.get(name, "").lower() == value.strip())
        )


@dataclass
class Mailbox:
    """All mail received, oldest forgotten first."""

    summaries_max: int = SUMMARIES_MAX
    bodies_bytes_max: int = BODIES_BYTES_MAX
    _messages: OrderedDict[int, Summary] = field(default_factory=OrderedDict)
    _id_by_identity: dict[tuple[str, str], int] = field(default_factory=dict)
    _ids_by_recipient: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _bodies: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    _bodies_bytes: int = 0
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def receive(self, sender: str, recipients: Iterable[str], content: bytes) -> None:
        headers = BytesHeaderParser(policy=policy.default).parsebytes(content)
        message_id = str(headers.get("Message-ID", "")).strip()
        for recipient in (address.lower() for address in recipients):
            known = self._id_by_identity.get((message_id, recipient)) if message_id else None
            if known is not None:
                self._messages[known].copies += 1
                continue
            summary = Summary(
                id=next(self._ids),
                to=recipient,
                sender=sender,
                subject=str(headers.get("Subject", "")),
                message_id=message_id,
                headers={
                    name.lower(): str(value)
                    for name, value in headers.items()
                    if name.lower().startswith(HEADER_PREFIX)
                },
                received_at=datetime.now(UTC),
            )
            self._keep(summary, zlib.compress(content))

    def _keep(self, summary: Summary, body: bytes) -> None:
        self._messages[summary.id] = summary
        if summary.message_id:
            self._id_by_identity[summary.message_id, summary.to] = summary.id
        self._ids_by_recipient[summary.to].append(summary.id)
        self._bodies[summary.id] = body
        self._bodies_bytes += len(body)
        while self._bodies_bytes > self.bodies_bytes_max:
            self._bodies_bytes -= len(self._bodies.popitem(last=False)[1])
        if len(self._messages) > self.summaries_max:
            self._forget(self._messages.popitem(last=False)[1])

    def _forget(self, summary: Summary) -> None:
        self._id_by_identity.pop((summary.message_id, summary.to), None)
        self._bodies_bytes -= len(self._bodies.pop(summary.id, b""))
        ids = self._ids_by_recipient[summary.to]
        ids.remove(summary.id)
        if not ids:
            del self._ids_by_recipient[summary.to]

    def find(self, wanted: Filter) -> Iterator[Summary]:
        """Newest first."""
        if wanted.to:
            ids: Iterable[int] = reversed(self._ids_by_recipient.get(wanted.to.lower(), []))
        else:
            ids = reversed(self._messages)
        return (self._messages[id_] for id_ in ids if wanted.matches(self._messages[id_]))

    def message(self, id_: int) -> tuple[Summary, EmailMessage | None] | None:
        """The summary and, while its text is still kept, the whole message."""
        summary, body = self._messages.get(id_), self._bodies.get(id_)
        if summary is None:
            return None
        parsed = BytesParser(policy=policy.default).parsebytes(zlib.decompress(body)) if body else None
        return summary, parsed

    def clear(self) -> None:
        self._messages.clear()
        self._id_by_identity.clear()
        self._ids_by_recipient.clear()
        self._bodies.clear()
        self._bodies_bytes = 0


def part(message: EmailMessage | None, kind: str) -> str | None:
    """The text of the `plain` or `html` part."""
    body = message.get_body((kind,)) if message else None
    content = body.get_content() if isinstance(body, EmailMessage) else None
    return content if isinstance(content, str) else None
