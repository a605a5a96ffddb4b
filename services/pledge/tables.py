"""The rows on which pledges are decided, and the reading side made of the pledges' own facts."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.event import Event
from eventing.tables import Counters, Table
from eventing.work import Fold
from pledge.domain import Pledge, Status, evolve
from pledge.domain_book import Book, Pool, Tier
from pledge.domain_waitlist import Waiting


@dataclass(frozen=True)
class LivePledge:
    """A backer's one live pledge to a campaign (DOMAIN P4), and the pools that it has a slot of.

    Two only while a change to a tier of another pool is undecided (DOMAIN P6).
    """

    campaign_id: UUID
    backer_id: UUID
    pledge_id: UUID
    pool_id: UUID | None
    change_pool_id: UUID | None = None


@dataclass(frozen=True)
class PledgeView:
    """A pledge as it is shown, and as it goes into the manifest."""

    pledge_id: UUID
    campaign_id: UUID
    backer_id: UUID
    tier_id: UUID | None
    amount_minor: int
    currency: str
    country: str
    status: Status
    reason: str | None  # why it was declined, cancelled or not captured
    placed_at: datetime
    lease_until: datetime
    changed_at: datetime
    version: int
    change_id: UUID | None = None  # a change that is undecided or was dropped; None: there is none, or it was done
    change_amount_minor: int | None = None
    change_tier_id: UUID | None = None
    change_until: datetime | None = None  # its lease, while it is undecided
    change_reason: str | None = None  # why it was dropped
    change_waits: bool = False  # for its backer, whom the bank wants
    refunded_minor: int = 0  # of what was captured
    at_risk_since: datetime | None = None
    at_risk_reason: str | None = None
    hold_lost: bool = False
    card_refused: bool = False


@dataclass(frozen=True)
class Buckets:
    """Where the pledges of a campaign are, in count and amount; what a captured one gave back has ended (DOMAIN M4)."""

    campaign_id: UUID
    waiting: int
    waiting_minor: int
    held: int
    held_minor: int
    captured: int
    captured_minor: int
    owing: int
    owing_minor: int
    ended: int
    ended_minor: int


def _announced(_before: bool | None, _event: Event) -> bool:
    return True


PLEDGE: Fold[Pledge] = Fold(evolve)
BOOK_STREAM: Fold[bool] = Fold(_announced)  # the campaign's own stream here: its manifest
OFFER: Fold[bool] = Fold(_announced)  # what was told of an offer; where it stands is in its row

# Decision tables, in the order in which they are locked.
BOOKS = Table("book", Book, ("campaign_id",))
TIERS = Table("tier", Tier, ("tier_id",), lock=False)
POOLS = Table("pool", Pool, ("pool_id",))
LIVE_PLEDGES = Table("live_pledge", LivePledge, ("campaign_id", "backer_id"))
WAITLIST = Table("waitlist", Waiting, ("pool_id", "backer_id"))

PLEDGES = Table("pledge_view", PledgeView, ("pledge_id",))
BUCKETS = Counters("pledge_buckets", Buckets, ("campaign_id",))
