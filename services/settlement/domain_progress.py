"""How far a settlement is (DOMAIN S8)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from settlement.domain_book import UNFINISHED, Bucket
from settlement.domain_campaign import Campaign


@dataclass(frozen=True)
class Progress:
    """Pledges of the closed book: done, left, of those failed; how fast they get done, and when the last will be."""

    done: int
    left: int
    outstanding: int
    failed: int
    per_second: float
    estimated_end: datetime | None


def progress(campaign: Campaign, last_failed_at: datetime | None, now: datetime) -> Progress:
    """`last_failed_at`: the latest of the captures that failed and were not mended yet."""
    left = campaign.count(*UNFINISHED)
    rate = _per_second(campaign, left)
    return Progress(
        done=campaign.manifest_count - left if campaign.started_at else 0,
        left=left,
        outstanding=campaign.outstanding_count,
        failed=campaign.count(Bucket.FAILED, Bucket.DROPPING),
        per_second=round(rate, 1),
        estimated_end=_estimated_end(campaign, rate, last_failed_at, now),
    )


def _per_second(campaign: Campaign, left: int) -> float:
    """Pledges finished between the start and the last answer."""
    if campaign.started_at is None or campaign.answered_at is None:
        return 0.0
    seconds = (campaign.answered_at - campaign.started_at).total_seconds()
    return (campaign.to_do_count - left) / seconds if seconds > 0 else 0.0


def _estimated_end(campaign: Campaign, rate: float, last_failed_at: datetime | None, now: datetime) -> datetime | None:
    """None where nothing is known to estimate by."""
    if campaign.settled_at:
        return campaign.settled_at
    unanswered = campaign.count(Bucket.OPEN, Bucket.OUTSTANDING)
    if unanswered:
        return now + timedelta(seconds=unanswered / rate) if rate > 0 else None
    return last_failed_at and last_failed_at + timedelta(seconds=campaign.fix_payment_seconds)
