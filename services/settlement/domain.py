"""The rules of settlement (DOMAIN S1 to S8): when it starts, which way it goes, what is left, how it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.campaign import FundingModel
from contracts.event import Event
from contracts.ids import CampaignId, PledgeId
from contracts.manifest import digest
from contracts.money import Money
from contracts.settlement import (
    CampaignSettled,
    CaptureRequested,
    DropRequested,
    Outcome,
    PayoutRequested,
    VoidRequested,
)
from settlement.domain_book import UNFINISHED, BookedPledge, Bucket, bucket_of, holds, may_be_dropped
from settlement.domain_campaign import BASIS_POINTS, Campaign, Direction


class SettlementStarted(Event, type="settlement.SettlementStarted.v1"):
    """The direction, decided once, and the sums that it was decided by (DOMAIN S2)."""

    campaign_id: CampaignId
    direction: Direction
    count: int
    total: Money
    collectable: Money
    goal: Money

    @property
    def subject(self) -> UUID:
        return self.campaign_id


# -- commands: all of them are the service's own, given by its timers ------------------------------------------


@dataclass(frozen=True)
class StartSettlement:
    campaign_id: CampaignId


@dataclass(frozen=True)
class RequestNext:
    """Ask for the capture or void of these, as long as no more than `outstanding_max` are without an answer."""

    campaign_id: CampaignId
    pledge_ids: tuple[PledgeId, ...]
    outstanding_max: int


@dataclass(frozen=True)
class RequestDrops:
    campaign_id: CampaignId
    pledge_ids: tuple[PledgeId, ...]


# -- the start (S1, S2) ----------------------------------------------------------------------------------------


def matches(campaign: Campaign, book: Sequence[BookedPledge]) -> bool:
    """Whether these, live when the book was closed, are the closed book (DOMAIN P9, S1)."""
    if (len(book), sum(pledge.minor for pledge in book)) != (campaign.manifest_count, campaign.manifest_minor):
        return False
    lines = ((pledge.pledge_id, pledge.minor, pledge.currency, pledge.tier_id) for pledge in book)
    return digest(lines) == campaign.manifest_digest


def decide_start(campaign: Campaign, book: Sequence[BookedPledge], now: datetime) -> tuple[SettlementStarted, ...]:
    """Start if all is there; `book` is what the own copy says was live when the book was closed."""
    facts_missing = campaign.model is None or campaign.closed_at is None or campaign.manifest_at is None
    if campaign.direction or campaign.cancelled_at or facts_missing or not matches(campaign, book):
        return ()
    collectable = sum(pledge.minor for pledge in book if holds(pledge, now))
    return (
        SettlementStarted(
            campaign_id=campaign.campaign_id,
            direction=direction_of(campaign, collectable),
            count=campaign.manifest_count,
            total=campaign.money(campaign.manifest_minor),
            collectable=campaign.money(collectable),
            goal=campaign.money(campaign.goal_minor),
        ),
    )


def direction_of(campaign: Campaign, collectable: int) -> Direction:
    """DOMAIN S2, in whole numbers."""
    if campaign.model is FundingModel.KEEP_IT_ALL:
        return Direction.COLLECT
    enough = collectable * BASIS_POINTS >= campaign.goal_minor * campaign.lowest_collectable_bps
    return Direction.COLLECT if campaign.manifest_minor >= campaign.goal_minor and enough else Direction.VOID


# -- requests (S3, S5) -----------------------------------------------------------------------------------------


def decide_requests(
    campaign: Campaign, pledges: Sequence[BookedPledge], outstanding_max: int
) -> tuple[CaptureRequested | VoidRequested, ...]:
    """One request for each pledge that needs one, as far as the bound on unanswered requests goes."""
    room = max(0, outstanding_max - campaign.outstanding_count)
    waiting = [pledge for pledge in pledges if bucket_of(pledge) is Bucket.OPEN][:room]
    match campaign.direction:
        case None:
            return ()
        case Direction.VOID:
            return tuple(VoidRequested(pledge_id=p.pledge_id, campaign_id=p.campaign_id) for p in waiting)
        case Direction.COLLECT:
            return tuple(
                CaptureRequested(
                    pledge_id=p.pledge_id,
                    campaign_id=p.campaign_id,
                    amount=Money(amount=p.minor, currency=p.currency),
                )
                for p in waiting
            )


def decide_drops(campaign: Campaign, pledges: Sequence[BookedPledge], now: datetime) -> tuple[DropRequested, ...]:
    """One for each failed capture that nobody mended in time."""
    if campaign.direction is None:
        return ()
    late = [pledge for pledge in pledges if may_be_dropped(pledge, campaign.fix_payment_seconds, now)]
    return tuple(DropRequested(pledge_id=p.pledge_id, campaign_id=p.campaign_id) for p in late)


# -- the end (S6, S7) ------------------------------------------------------------------------------------------


def outcome_of(campaign: Campaign) -> Outcome:
    """DOMAIN S6. Only a void is a failure: a collection that brought in nothing is a partial one of zero."""
    if campaign.direction is Direction.VOID:
        return Outcome.FAILED
    return Outcome.FUNDED if campaign.captured_minor >= campaign.goal_minor else Outcome.PARTIALLY_FUNDED


def decide_end(campaign: Campaign) -> tuple[CampaignSettled | PayoutRequested, ...]:
    """The outcome, and the payout if there is anything to pay, when nothing is left to be done."""
    unfinished = campaign.count(*UNFINISHED)
    if campaign.direction is None or campaign.outcome or unfinished or campaign.creator_id is None:
        return ()
    settled = CampaignSettled(
        campaign_id=campaign.campaign_id,
        creator_id=campaign.creator_id,
        outcome=outcome_of(campaign),
        captured=campaign.tally(Bucket.CAPTURED),
        dropped=campaign.tally(Bucket.DROPPED),
        voided=campaign.tally(Bucket.VOIDED),
    )
    if campaign.captured_count == 0:
        return (settled,)
    payout = PayoutRequested(
        campaign_id=campaign.campaign_id,
        creator_id=campaign.creator_id,
        captured=settled.captured.total,
        platform_fee_bps=campaign.platform_fee_bps,
    )
    return (settled, payout)
