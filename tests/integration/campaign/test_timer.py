"""The deadline (DOMAIN C11): within a second of it, at once after a standstill, never before."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from campaign.jobs import SLEEP_SECONDS_MAX, seconds_to_sleep
from contracts.campaign import CampaignClosed
from eventing.clock import DatabaseClock
from tests.integration.campaign.client import Running, Site, until

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


async def closed_at(service: Running, path: str) -> list[datetime]:
    """When it was closed, once per CampaignClosed in its stream."""
    rows = await service.runtime.pool.fetch(
        "SELECT data::text FROM event WHERE stream_id = $1 AND type = $2",
        UUID(path.rpartition("/")[2]),
        CampaignClosed.type,
    )
    return [CampaignClosed.model_validate_json(row["data"]).closed_at for row in rows]


async def closing(service: Running, path: str) -> list[datetime]:
    return await until(lambda: closed_at(service, path), bool)


async def test_campaigns_close_by_themselves_once_with_two_replicas(site: Site) -> None:
    async with site.running() as service, site.running():
        creator = service.creator()
        deadline = datetime.now(UTC) + timedelta(seconds=3)
        paths = [await creator.launches(deadline=deadline.isoformat()) for _ in range(3)]
        for path in paths:
            [closed] = await closing(service, path)
            assert timedelta(0) <= closed - deadline < timedelta(seconds=1)
            page = await creator.page(path)
            assert (page["status"], page["time_left_seconds"]) == ("settling", 0)
        cancelled = await creator.send(f"{paths[0]}/cancel", {})
        assert (cancelled.status_code, cancelled.json()["campaign_status"]) == (409, "settling")


async def test_overdue_campaigns_close_at_once_after_a_standstill(site: Site) -> None:
    async with site.running() as service:
        deadline = datetime.now(UTC) + timedelta(hours=1)
        paths = [await service.creator().launches(deadline=deadline.isoformat()) for _ in range(3)]
        assert [await closed_at(service, path) for path in paths] == [[]] * 3
    async with site.running(DatabaseClock(offset=timedelta(hours=2))) as service:
        async with asyncio.timeout(1):
            for path in paths:
                await closing(service, path)


async def test_the_time_left_runs_by_the_clock_that_closes(site: Site) -> None:
    ahead = DatabaseClock(offset=timedelta(hours=20))
    async with site.running(ahead) as service:
        creator = service.creator()
        path = await creator.launches(deadline=(datetime.now(UTC) + timedelta(hours=24)).isoformat())
        left = (await creator.page(path))["time_left_seconds"]
        assert 3 * 3_600 < left <= 4 * 3_600


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [(timedelta(milliseconds=20), 0.02), (timedelta(days=1), SLEEP_SECONDS_MAX), (None, SLEEP_SECONDS_MAX)],
)
def test_the_timer_sleeps_until_the_next_deadline(ahead: timedelta | None, expected: float) -> None:
    assert seconds_to_sleep(NOW, None if ahead is None else NOW + ahead) == expected
