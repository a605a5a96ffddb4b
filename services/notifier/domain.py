"""Who is told what (DOMAIN N1, N2): pure rules, and the rows that they rest on.

A notice is named by (kind, person, what it is about). That name is its identity: whatever is redelivered or
shuffled leads to the same name, and so to one notice.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts.campaign import CampaignLaunched, FundingModel, RewardTier
from contracts.money import Money
from contracts.payment import PayoutKind
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeDeclined,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeDropped,
    PledgeFact,
    PledgeHoldRenewed,
    PledgePartlyRefunded,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)
from contracts.settlement import Outcome

DEFERRALS_MAX: Final = 60  # With a pause of an hour at most: two days and a half of "try again later".
DEFERRAL_SECONDS_MAX: Final = 3600
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)  # Before any contact was given.


class Kind(StrEnum):
    PLEDGE_CONFIRMED = "pledge_confirmed"
    PLEDGE_DECLINED = "pledge_declined"
    PLEDGE_CANCELLED = "pledge_cancelled"
    ACTION_REQUIRED = "action_required"
    PLEDGE_AT_RISK = "pledge_at_risk"
    PLEDGE_RECOVERED = "pledge_recovered"
    PLEDGE_REFUNDED = "pledge_refunded"
    SLOT_OFFERED = "slot_offered"
    MILESTONE = "milestone"
    CREATOR_UPDATE = "creator_update"
    CAMPAIGN_FUNDED = "campaign_funded"
    CAMPAIGN_PARTIALLY_FUNDED = "campaign_partially_funded"
    CAMPAIGN_FAILED = "campaign_failed"
    CREATOR_SETTLED = "creator_settled"
    CREATOR_PAYOUT = "creator_payout"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_CLOSED = "dispute_closed"


class Standing(StrEnum):
    """Where a pledge is, as far as its backer's mail is concerned."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    AT_RISK = "at_risk"
    CAPTURED = "captured"
    OWING = "owing"
    VOIDED = "voided"
    ENDED = "ended"


STANDING_AFTER: Final[dict[type[PledgeFact], Standing]] = {
    PledgePlaced: Standing.PENDING,
    PledgeAuthorized: Standing.AUTHORIZED,
    PledgeHoldRenewed: Standing.AUTHORIZED,
    PledgeAtRisk: Standing.AT_RISK,
    PledgeChanged: Standing.AUTHORIZED,
    PledgeCaptured: Standing.CAPTURED,
    PledgePartlyRefunded: Standing.CAPTURED,
    PledgeCaptureFailed: Standing.OWING,
    PledgeVoided: Standing.VOIDED,
    PledgeDeclined: Standing.ENDED,
    PledgeCancelled: Standing.ENDED,
    PledgeDropped: Standing.ENDED,
    PledgeRefunded: Standing.ENDED,
}
# These leave the pledge where it is, but for a pledge whose bank wants its backer: that one is pending.
OTHERS: Final[tuple[type[PledgeFact], ...]] = (PledgeActionRequired, PledgeDisputeOpened, PledgeDisputeClosed)


class Facts(BaseModel):
    """What a notice says beside what is known of its campaign and pledge. Never anything personal (DOMAIN N4)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: str = ""
    until: datetime | None = None
    percent: int | None = None
    stretch_goal: str | None = None
    total: Money | None = None
    backers: int | None = None
    title: str = ""
    text: str = ""
    outcome: Outcome | None = None
    payout: Money | None = None
    platform_fee: Money | None = None
    provider_fee: Money | None = None
    refunded: Money | None = None
    disputed: Money | None = None
    reserve: Money | None = None
    released: Money | None = None
    recovered: Money | None = None
    payout_kind: PayoutKind = PayoutKind.MAIN
    lost: bool = False  # of a pledge at risk: nothing is held any more
    hard: bool = False  # of a pledge at risk: only another card helps
    partly: bool = False  # of a refund
    of_change: bool = False  # the bank wants the backer for a change
    won: bool = False  # of a dispute that is decided

    def json_text(self) -> str:
        return self.model_dump_json(exclude_defaults=True)


@dataclass(frozen=True)
class Contact:
    """Where a person's mail goes (DOMAIN N4). Stands in this table only: in no event, no log, no metric."""

    person_id: UUID
    email: str
    name: str
    locale: str
    changed_at: datetime


@dataclass(frozen=True)
class SetContact:
    person_id: UUID
    email: str
    name: str
    locale: str


@dataclass(frozen=True)
class Campaign:
    """Its row is there with the first fact about it, so that there is something to lock."""

    campaign_id: UUID
    title: str | None = None  # None: the launch has not come in yet
    model: FundingModel | None = None
    deadline: datetime | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Tier:
    tier_id: UUID
    title: str
    estimated_delivery: str


@dataclass(frozen=True)
class Backing:
    """Who backs what, by the newest fact about the pledge."""

    pledge_id: UUID
    campaign_id: UUID
    backer_id: UUID
    tier_id: UUID | None
    amount_minor: int
    currency: str
    standing: Standing
    version: int


@dataclass(frozen=True)
class Notice:
    """Something that a person is to be told, once. `about_id`: a pledge, offer, campaign, update or milestone event."""

    kind: Kind
    person_id: UUID
    about_id: UUID
    campaign_id: UUID
    pledge_id: UUID | None
    facts: str  # Facts in JSON
    urgent: bool  # False: one of many to all backers, sent after what concerns a person alone
    created_at: datetime
    due_at: datetime


class Status(StrEnum):
    WAITING = "waiting"
    CONTACTLESS = "contactless"  # waits until the person says where mail goes
    SENT = "sent"
    SKIPPED = "skipped"
    GIVEN_UP = "given_up"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a notice after an attempt. `due_at`: when it is looked at again, for one that waits."""

    status: Status
    due_at: datetime
    reason: str = ""
    attempts: int = 0


def launched(before: Campaign, fact: CampaignLaunched) -> Campaign:
    return replace(before, title=fact.title, model=fact.model, deadline=fact.deadline)


def tier(fact: RewardTier) -> Tier:
    return Tier(fact.tier_id, fact.title, fact.estimated_delivery)


def backing(before: Backing | None, fact: PledgeFact, version: int) -> Backing | None:
    """Every fact with a standing carries all of the pledge, so one that was overtaken has nothing to add."""
    standing = standing_after(fact)
    if standing is None or (before is not None and version <= before.version):
        return before
    return Backing(
        pledge_id=fact.pledge_id,
        campaign_id=fact.campaign_id,
        backer_id=fact.backer_id,
        tier_id=fact.tier_id,
        amount_minor=fact.amount.amount,
        currency=fact.amount.currency,
        standing=standing,
        version=version,
    )


def standing_after(fact: PledgeFact) -> Standing | None:
    """None: the pledge stays where it is."""
    match fact:
        case PledgeChanged(hold_id=None):  # in keep-it-all
            return Standing.CAPTURED
        case PledgeActionRequired(change_id=None):
            return Standing.PENDING
        case _:
            return STANDING_AFTER.get(type(fact))


def mark(kind: str, person_id: UUID, about_id: UUID) -> str:
    """A notice's own mark, 32 hex digits that tell nothing: its mail has it in its Message-ID, every time (N2)."""
    return sha256(f"{kind}|{person_id}|{about_id}".encode()).hexdigest()[:32]


def deferred(attempts: int, now: datetime, reason: str, chance: float) -> Verdict:
    """Later, but not for ever. `attempts` were made before this one; `chance` in 0..1 spreads the load."""
    if attempts >= DEFERRALS_MAX:
        return Verdict(Status.GIVEN_UP, now, reason, attempts)
    seconds = min(2.0**attempts, DEFERRAL_SECONDS_MAX) * (0.5 + chance / 2)
    return Verdict(Status.WAITING, now + timedelta(seconds=seconds), reason, attempts + 1)


def without_contact(created_at: datetime, patience: timedelta, now: datetime, attempts: int) -> Verdict:
    """Nobody has said yet where this person's mail goes."""
    if now >= created_at + patience:
        return Verdict(Status.SKIPPED, now, "no contact", attempts)
    return Verdict(Status.CONTACTLESS, created_at + patience, "no contact", attempts)
