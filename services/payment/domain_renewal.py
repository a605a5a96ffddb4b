"""When a hold is renewed, and when a renewal that failed is tried again (DOMAIN Y3, Y4). Pure."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

LATEST: Final = timedelta(days=5)  # A hold that is not of the provider's extended kind is never older than this.
MARGIN: Final = timedelta(hours=24)  # Before the provider lets the hold lapse.
JITTER: Final = timedelta(hours=12)  # Holds that were taken together are not renewed together.
LAPSED: Final = timedelta(minutes=5)  # After the time it lapses at: what it reserved is free again by then.
NEEDS_THE_MONEY_BACK: Final = frozenset(("insufficient_funds", "withdrawal_count_limit_exceeded"))
RETRY: Final = tuple(timedelta(hours=hours) for hours in (1, 3, 6, 12, 24))


def first_due(pledge_id: UUID, now: datetime, capture_before: datetime | None, *, extended: bool) -> datetime:
    """When a hold taken `now` is to be replaced: early enough, and at another time for each pledge."""
    latest = capture_before - MARGIN if extended and capture_before else now + LATEST
    if capture_before:
        # A hold too short for the margin is renewed when half of it is over, so that it is not renewed in a loop.
        latest = min(latest, max(capture_before - MARGIN, now + (capture_before - now) / 2))
    jitter = JITTER * (pledge_id.int % 1_000 / 1_000)  # the last bits of an id are random
    return max(latest - jitter, now + (latest - now) / 2)


def next_try(now: datetime, capture_before: datetime | None, failures: int, reason: str) -> datetime:
    """After the `failures`-th failure in a row. Where the old hold is in the way of the new, once it has lapsed."""
    again = now + RETRY[min(failures, len(RETRY)) - 1]
    if capture_before is None or now >= capture_before:
        return again
    lapsed = capture_before + LAPSED
    return lapsed if reason in NEEDS_THE_MONEY_BACK else min(again, lapsed)
