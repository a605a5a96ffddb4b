"""The sandbox's own books: what happened to whose money, kept beside the records as it happens.

A campaign is `metadata[campaign_id]` (a transfer may name it in `transfer_group`), a pledge
`metadata[pledge_id]`; what names neither counts under the empty name.

Per campaign and currency: authorized = held + captured + released + voided + capture_failed, in minor units.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from stripe_sandbox.errors import Document
from stripe_sandbox.resources import Charge, Dispute, Intent, Metadata, Movement, Refund, Reversal, Transfer

NAMED_MAX = 100  # Enough ids to look into; the counts are complete.


class Kind(StrEnum):
    AUTHORIZED = "authorized"
    """Holds, and payments that were taken at once."""
    CAPTURED = "captured"
    RELEASED = "released"
    """What a capture left of its hold."""
    VOIDED = "voided"
    """Holds that were cancelled, or expired."""
    EXPIRED = "expired"
    """The part of voided that nobody asked for."""
    CAPTURE_FAILED = "capture_failed"
    DECLINED = "declined"
    REFUNDED = "refunded"
    TRANSFERRED = "transferred"
    REVERSED = "reversed"
    """Transfers taken back."""
    DISPUTED = "disputed"
    """What banks took back."""
    REINSTATED = "reinstated"
    """What came back with disputes that were won."""
    FEES = "fees"
    DISPUTE_FEES = "dispute_fees"


_LEAVING = (Kind.CAPTURED, Kind.RELEASED, Kind.VOIDED, Kind.CAPTURE_FAILED)


@dataclass(slots=True)
class Line:
    count: int = 0
    minor: int = 0

    def add(self, minor: int) -> None:
        self.count += 1
        self.minor += minor

    def document(self) -> Document:
        return {"count": self.count, "minor": self.minor}


@dataclass(slots=True)
class PledgeBook:
    live_holds: int = 0
    captures: int = 0


Account = tuple[str, str]
"""Campaign and currency."""


@dataclass
class Books:
    lines: defaultdict[tuple[str, str, Kind], Line] = field(default_factory=lambda: defaultdict(Line))
    accounts: dict[Account, None] = field(default_factory=dict)
    pledges: defaultdict[str, PledgeBook] = field(default_factory=lambda: defaultdict(PledgeBook))
    two_live_holds: dict[str, None] = field(default_factory=dict)
    two_live_holds_ever: dict[str, None] = field(default_factory=dict)
    charged_twice: dict[str, None] = field(default_factory=dict)

    def held(self, intent: Intent) -> None:
        self._add(intent.metadata, intent.currency, Kind.AUTHORIZED, intent.amount)
        self._live(intent.metadata, +1)

    def declined(self, intent: Intent) -> None:
        self._add(intent.metadata, intent.currency, Kind.DECLINED, intent.amount)

    def charged(self, intent: Intent) -> None:
        """Authorized and captured in one step."""
        self._add(intent.metadata, intent.currency, Kind.AUTHORIZED, intent.amount)
        self._captured(intent)

    def captured(self, intent: Intent, charge: Charge) -> None:
        self._live(intent.metadata, -1)
        if charge.released:
            self._add(intent.metadata, intent.currency, Kind.RELEASED, charge.released)
        self._captured(intent)

    def capture_failed(self, intent: Intent) -> None:
        self._live(intent.metadata, -1)
        self._add(intent.metadata, intent.currency, Kind.CAPTURE_FAILED, intent.amount)

    def voided(self, intent: Intent, *, expired: bool) -> None:
        self._live(intent.metadata, -1)
        self._add(intent.metadata, intent.currency, Kind.VOIDED, intent.amount)
        if expired:
            self._add(intent.metadata, intent.currency, Kind.EXPIRED, intent.amount)

    def refunded(self, refund: Refund, metadata: Metadata) -> None:
        """`metadata` is the payment's: a refund made by hand carries none."""
        self._add(metadata, refund.currency, Kind.REFUNDED, refund.amount)

    def transferred(self, transfer: Transfer) -> None:
        self._add(_campaign_of(transfer), transfer.currency, Kind.TRANSFERRED, transfer.amount)

    def taken_back(self, transfer: Transfer, reversal: Reversal) -> None:
        self._add(_campaign_of(transfer), transfer.currency, Kind.REVERSED, reversal.amount)

    def disputed(self, dispute: Dispute, movement: Movement, metadata: Metadata) -> None:
        """`metadata` is the payment's, as for refunds."""
        self._add(metadata, dispute.currency, Kind.DISPUTED, dispute.amount)
        self._add(metadata, dispute.currency, Kind.DISPUTE_FEES, movement.fee)

    def reinstated(self, dispute: Dispute, movement: Movement, metadata: Metadata) -> None:
        self._add(metadata, dispute.currency, Kind.REINSTATED, dispute.amount)
        if movement.fee:
            self._add(metadata, dispute.currency, Kind.DISPUTE_FEES, movement.fee)

    def fee(self, movement: Movement, metadata: Metadata) -> None:
        self._add(metadata, movement.currency, Kind.FEES, movement.fee)

    def document(self) -> Document:
        """The books as JSON: `totals` by currency, `campaigns` by id and currency, `anomalies`."""
        totals: dict[str, dict[Kind, Line]] = {}
        campaigns: dict[str, Document] = {}
        for campaign, currency in self.accounts:
            lines = {kind: self.lines.get((campaign, currency, kind), Line()) for kind in Kind}
            campaigns.setdefault(campaign, {})[currency] = _with_held(lines)
            total = totals.setdefault(currency, {kind: Line() for kind in Kind})
            for kind, line in lines.items():
                total[kind].count += line.count
                total[kind].minor += line.minor
        return {
            "totals": {currency: _with_held(lines) for currency, lines in totals.items()},
            "campaigns": campaigns,
            "anomalies": {
                "two_live_holds": _named(self.two_live_holds),
                "two_live_holds_ever": _named(self.two_live_holds_ever),
                "charged_twice": _named(self.charged_twice),
            },
        }

    def _captured(self, intent: Intent) -> None:
        self._add(intent.metadata, intent.currency, Kind.CAPTURED, intent.amount_received)
        pledge_id = intent.metadata.get("pledge_id")
        if pledge_id is None:
            return
        pledge = self.pledges[pledge_id]
        pledge.captures += 1
        if pledge.captures > 1:
            self.charged_twice[pledge_id] = None

    def _live(self, metadata: Metadata, change: int) -> None:
        pledge_id = metadata.get("pledge_id")
        if pledge_id is None:
            return
        pledge = self.pledges[pledge_id]
        pledge.live_holds += change
        if pledge.live_holds > 1:
            self.two_live_holds[pledge_id] = None
            self.two_live_holds_ever[pledge_id] = None
        else:
            self.two_live_holds.pop(pledge_id, None)

    def _add(self, metadata: Metadata, currency: str, kind: Kind, minor: int) -> None:
        campaign = metadata.get("campaign_id", "")
        self.accounts[campaign, currency] = None
        self.lines[campaign, currency, kind].add(minor)


def _campaign_of(transfer: Transfer) -> Metadata:
    return {"campaign_id": transfer.metadata.get("campaign_id") or transfer.transfer_group or ""}


def _with_held(lines: dict[Kind, Line]) -> Document:
    document: Document = {kind.value: line.document() for kind, line in lines.items()}
    ended = (Kind.CAPTURED, Kind.VOIDED, Kind.CAPTURE_FAILED)
    document["held"] = {
        "count": lines[Kind.AUTHORIZED].count - sum(lines[kind].count for kind in ended),
        "minor": lines[Kind.AUTHORIZED].minor - sum(lines[kind].minor for kind in _LEAVING),
    }
    return document


def _named(ids: dict[str, None]) -> Document:
    return {"count": len(ids), "pledge_ids": list(ids)[:NAMED_MAX]}
