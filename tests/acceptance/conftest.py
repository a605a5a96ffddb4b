"""One whole platform for all acceptance tests: real processes behind the gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.platform import LocalPlatform, start
from scenarios.model import DEADLINE_SECONDS_MIN
from tests.service_logs import ServiceLogs


@pytest.fixture(scope="session")
def platform(service_logs: ServiceLogs) -> Iterator[LocalPlatform]:
    """A test that takes a program away brings it back, through `asyncio.to_thread`."""
    settings = {
        "GROUNDSWELL_MIN_CAMPAIGN_SECONDS": str(DEADLINE_SECONDS_MIN),
        # What a killed payment worker was at waits for its lease, which is some of these time-outs.
        "GROUNDSWELL_STRIPE_TIMEOUT_SECONDS": "2",
        "GROUNDSWELL_SMTP_TIMEOUT_SECONDS": "2",  # the same for the mails of a killed notifier
    }
    with start("acceptance", settings=settings, in_memory=True) as started:
        service_logs.watch(started.logs)
        yield started
