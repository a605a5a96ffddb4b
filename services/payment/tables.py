"""Decision tables of the payment service, in the order in which they are locked."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from eventing.tables import Table
from payment import cases, ledger
from payment.budget import Lane
from payment.domain_events import Kind


class State(StrEnum):
    """Where an operation stands. `waiting` and `leased` are undecided; `done` and `skipped` never change again."""

    WAITING = "waiting"
    LEASED = "leased"
    DONE = "done"
    SKIPPED = "skipped"  # never sent
    STOPPED = "stopped"  # for a person to look at, who may let a payout's go on


@dataclass(frozen=True)
class OperationRow:
    """Something asked of the provider (DOMAIN Y1): written down, committed, sent, its outcome recorded.

    `subject_id` is the pledge, or the campaign of a payout. `counterpart` is the payment method, the hold or the
    account that it is about. `reference` is the provider's object, as soon as anybody has told us. `customer` is the
    provider's, whose list of payments says what became of this one. `purpose` tells the refunds of a pledge apart.
    """

    operation_id: UUID
    subject_id: UUID
    campaign_id: UUID
    kind: Kind
    attempt: int
    amount: int
    currency: str
    counterpart: str
    due_at: datetime
    created_at: datetime
    state: State = State.WAITING
    outcome: str = ""  # the last one, for people to read
    sends: int = 0
    reference: str | None = None
    first_sent_at: datetime | None = None
    lease_token: UUID | None = None
    lease_until: datetime | None = None
    decided_at: datetime | None = None
    customer: str | None = None
    off_session: bool = False  # the backer is not there
    extended: bool = False  # asks for the provider's longer hold
    purpose: str = ""
    lane: Lane = Lane.CHECKOUT
    act_by: datetime | None = None  # of a renewal: the end of the hold that it replaces
    change_id: UUID | None = None  # the change of the pledge that it is for

    @property
    def key(self) -> str:
        return key_of(self.subject_id, self.kind, self.attempt, self.change_id)


_OPERATIONS: Final = UUID("a3d2e0f4-6c1b-5e0a-9c57-2f6d5a0b7c11")  # The namespace of operation ids; any constant.


def key_of(subject_id: UUID, kind: Kind, attempt: int, change_id: UUID | None = None) -> str:
    """The idempotency key. Derived, so that a restored database makes the same one (DOMAIN Y2).

    That of a change has its id: which of them there were before, and what came of those, may be forgotten.
    """
    key = f"{subject_id}:{kind}:{attempt}"
    return f"{key}:{change_id}" if change_id else key


def operation_id_of(subject_id: UUID, kind: Kind, attempt: int, change_id: UUID | None = None) -> UUID:
    """The id under which the provider knows an operation (`metadata.operation_id`)."""
    return uuid5(_OPERATIONS, key_of(subject_id, kind, attempt, change_id))


@dataclass(frozen=True)
class CampaignRow:
    campaign_id: UUID
    creator_id: UUID
    platform_fee_bps: int


@dataclass(frozen=True)
class PayerRow:
    """Who pays for a pledge; `customer_id` is the provider's, made before the first payment is."""

    pledge_id: UUID
    campaign_id: UUID
    backer_id: UUID | None
    customer_id: str | None = None


@dataclass(frozen=True)
class RenewalRow:
    """When the current hold is to be replaced, or looked at. `failures` in a row, since it was taken."""

    pledge_id: UUID
    hold_id: str
    due_at: datetime
    capture_before: datetime | None
    failures: int = 0


@dataclass(frozen=True)
class CreatorRow:
    """Locked while a payout of this creator is worked out, so that no debt is recovered twice."""

    creator_id: UUID
    currency: str


class PayoutState(StrEnum):
    WAITING = "waiting"  # to be looked at when due
    STARTED = "started"  # an attempt is under way, or stopped
    RESTING = "resting"  # paid out; what comes in later wakes it


@dataclass(frozen=True)
class PayoutRow:
    """A campaign's payouts, once settlement has asked for them. `doubt` says why one waits; `sent` counts them."""

    campaign_id: UUID
    creator_id: UUID
    captured: int
    currency: str
    platform_fee_bps: int
    state: PayoutState
    doubt: str
    due_at: datetime
    sent: int = 0
    reserve_until: datetime | None = None  # None: nothing is kept back any more


class DisputeState(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True)
class DisputeRow:
    """What a backer's bank has taken back, and the provider's fee for it (DOMAIN Y9)."""

    dispute_id: str
    campaign_id: UUID
    pledge_id: UUID
    amount: int
    fee: int
    currency: str
    reason: str
    state: DisputeState
    opened_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True)
class WebhookRow:
    """All that is kept of a provider's event (DOMAIN Y5): no personal data.

    `note` says what is strange about it; `attempts` counts look-ups, `due_at` is when the next one is due.
    """

    event_id: str
    type: str
    object_id: str
    created_at: datetime
    received_at: datetime
    due_at: datetime
    note: str = ""
    attempts: int = 0
    worked_at: datetime | None = None


CAMPAIGNS = Table("campaign", CampaignRow, ("campaign_id",))
CREATORS = Table("creator", CreatorRow, ("creator_id", "currency"))
PAYOUTS = Table("payout", PayoutRow, ("campaign_id",))
DISPUTES = Table("dispute", DisputeRow, ("dispute_id",))
PAYERS = Table("payer", PayerRow, ("pledge_id",))
RENEWALS = Table("renewal", RenewalRow, ("pledge_id",))
OPERATIONS = Table("operation", OperationRow, ("operation_id",))
WEBHOOKS = Table("webhook", WebhookRow, ("event_id",), lock=False)
TABLES = (
    CAMPAIGNS,
    CREATORS,
    PAYOUTS,
    PAYERS,
    RENEWALS,
    OPERATIONS,
    DISPUTES,
    WEBHOOKS,
    *ledger.TABLES,
    *cases.TABLES,
)
