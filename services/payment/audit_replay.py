"""The pure half of the auditor: what a stream of facts must have booked, and whether its facts add up."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from contracts.event import Event
from contracts.money import Money
from contracts.payment import PaymentCaptured, PaymentFact, PaymentRefunded, PayoutSent
from eventing.work import Recorded
from payment.ledger import NO_HOLDS, Holds, Posting, after, postings_of, reference_of
from payment.queries_ledger import Booked

# About which object of the provider, campaign, pledge, the rule, what was found against it.
Broken: TypeAlias = tuple[str, UUID, UUID | None, str, str]


@dataclass
class Replay:
    """Facts in the order of their streams; one stream after the other, each may go on in the next page."""

    _subject: UUID | None = None
    _holds: Holds = field(default_factory=dict)
    _captured: int = 0
    _refunded: int = 0
    _broken: list[Broken] = field(default_factory=list)

    def booked(self, facts: Iterable[Recorded]) -> Iterator[Booked]:
        for recorded in facts:
            if recorded.subject != self._subject:
                self._subject, self._holds = recorded.subject, NO_HOLDS
                self._captured = self._refunded = 0
            made = postings_of(recorded.event, self._holds)
            self._judge(recorded.event, made)
            self._holds = after(self._holds, made)
            for posting in made:
                times = frozenset((recorded.time,) if posting.lines else ())
                yield Booked(posting, recorded.time, times)

    def broken(self) -> list[Broken]:
        """What was found against the rules since the last call."""
        found, self._broken = self._broken, []
        return found

    def _judge(self, event: Event, made: tuple[Posting, ...]) -> None:
        """Refunded <= captured <= held (M5), and a payout is the sum of its parts (Y10)."""
        if isinstance(event, PaymentCaptured):
            self._captured += event.amount.amount
            held = next((hold.money for hold in (self._holds.get(event.hold_id),) if hold), event.amount)
            if event.amount.amount > held.amount or event.amount.currency != held.currency:
                self._break(event, "captured <= held", f"{_said(event.amount)} of {_said(held)}")
        elif isinstance(event, PaymentRefunded):
            self._refunded += event.amount.amount
            if self._refunded > self._captured:
                self._break(event, "refunded <= captured", f"{self._refunded} of {_said(event.amount, self._captured)}")
        elif isinstance(event, PayoutSent) and (off := _off(event)):
            self._break(event, "a payout is the sum of its parts", f"off by {_said(event.amount, off)}")
        assert all(sum(line.amount for line in posting.lines) == 0 for posting in made)

    def _break(self, event: PaymentFact | PayoutSent, rule: str, found: str) -> None:
        pledge_id = event.pledge_id if isinstance(event, PaymentFact) else None
        self._broken.append((reference_of(event), event.campaign_id, pledge_id, rule, found))


def _off(sent: PayoutSent) -> int:
    plus = (sent.captured, sent.released)
    minus = (
        sent.amount,
        sent.platform_fee,
        sent.provider_fee,
        sent.refunded,
        sent.disputed,
        sent.reserve,
        sent.recovered,
    )
    return sum(one.amount for one in plus if one) - sum(one.amount for one in minus if one)


def unlike(expected: Booked, found: Booked | None) -> tuple[str, str]:
    """What two have that is not the same, for a person to read."""
    ours = _shown(expected)
    if found is None:
        return ours["lines"], "nothing"
    theirs = _shown(found)
    names = [name for name in ours if ours[name] != theirs[name]]
    return tuple("; ".join(shown[name] for name in names) for shown in (ours, theirs))  # type: ignore[return-value]  # of two


def _shown(booked: Booked) -> dict[str, str]:
    posting = booked.posting
    lines = ", ".join(f"{line.account} {line.amount} {line.currency}" for line in posting.lines)
    campaigns = sorted({str(line.campaign_id) for line in posting.lines})
    return {
        "lines": lines or "no entries",
        "campaigns": f"campaigns {', '.join(campaigns)}",
        "at": f"at {booked.at.isoformat()}",
        "entries": f"entries at {', '.join(sorted(map(datetime.isoformat, booked.entries_at)))}",
        "phase": f"{posting.phase} of {posting.pending_id}" if posting.pending_id else posting.phase.value,
        "about": f"{posting.event} {posting.reference}, pledge {posting.pledge_id}, campaign {posting.campaign_id}",
    }


def _said(money: Money, minor: int | None = None) -> str:
    return f"{money.amount if minor is None else minor} {money.currency}"
