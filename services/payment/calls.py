"""Every call to the provider passes here, just before it is sent: counted, paid for, or held back (DOMAIN Y7).

A worker's operation brings the tokens that it was leased with. Whoever calls without an operation (webhooks, sweeps)
waits for a token of its own.
"""

from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import stripe

from payment.budget import OVERALL, endpoint_of

TOO_MANY: Final = 429
REASON: Final = "stripe-rate-limited-reason"  # https://docs.stripe.com/rate-limits; without it, it may be either
LOCKED: Final = b'"lock_timeout"'  # A 429 about one object, that another request holds: no reason to slow down.


class SwitchedOffError(Exception):
    """An operator has stopped calls of this kind; nothing was sent."""


@dataclass
class Ticket:
    """A leased operation's right to call. `held_back`: its last call was not sent, because its kind is stopped."""

    kind: str
    tokens: Counter[str] = field(default_factory=Counter)
    held_back: bool = False


TICKET: Final[ContextVar[Ticket | None]] = ContextVar("ticket", default=None)


class Gate(Protocol):
    async def let_through(self, endpoint: str, ticket: Ticket | None) -> None:
        """Returns when this call may be sent.

        Raises:
            SwitchedOffError: It may not.
        """


@dataclass
class Report:
    """What one process has to tell the shared buckets: calls that nobody has paid for, and 429s, by endpoint."""

    unpaid: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)

    def merge(self, other: "Report") -> None:
        self.unpaid.update(other.unpaid)
        self.throttled.update(other.throttled)


@dataclass
class Meter:
    """Counts the calls of one process. `gate` is set as soon as there is a database."""

    gate: Gate | None = None
    called: Counter[str] = field(default_factory=Counter)  # ever, by endpoint
    _report: Report = field(default_factory=Report)

    @property
    def throttled(self) -> bool:
        """Whether there are 429s to report."""
        return bool(self._report.throttled)

    def take_report(self) -> Report:
        report, self._report = self._report, Report()
        return report

    def keep(self, report: Report) -> None:
        """One that could not be handed in."""
        self._report.merge(report)

    def give_back(self, ticket: Ticket) -> None:
        """Tokens of calls that were not made after all."""
        self._report.unpaid.subtract(ticket.tokens)
        ticket.tokens.clear()

    async def before(self, endpoint: str) -> None:
        ticket = TICKET.get()
        if self.gate is not None:
            await self.gate.let_through(endpoint, ticket)
        self.called[endpoint] += 1
        if ticket is None:
            return  # it has paid at the gate
        if ticket.tokens[endpoint] > 0:
            ticket.tokens[endpoint] -= 1
        else:
            self._report.unpaid[endpoint] += 1

    def after(self, endpoint: str, status: int, headers: Mapping[str, str], content: bytes) -> None:
        if status != TOO_MANY or LOCKED in content:
            return
        reason = next((value for name, value in headers.items() if name.lower() == REASON), "")
        if not reason.startswith("global"):
            self._report.throttled[endpoint] += 1
        if not reason.startswith("endpoint"):
            self._report.throttled[OVERALL] += 1


class MeteredClient(stripe.AIOHTTPClient):
    """The SDK's HTTP client, through the meter."""

    def __init__(self, meter: Meter, timeout_seconds: float) -> None:
        super().__init__(timeout=timeout_seconds)
        self._meter = meter

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        endpoint = endpoint_of(method, urlsplit(url).path)
        await self._meter.before(endpoint)
        content, status, answered = await super().request_async(method, url, headers, post_data)
        self._meter.after(endpoint, status, answered, content)
        return content, status, answered
