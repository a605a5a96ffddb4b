"""The notifier's core on a real database with two replicas, and a real SMTP server."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from deploy.local.provision import Provisioned
from eventing.database import Pool
from notifier.gateway import MailServer, SmtpConnection
from notifier.handlers import DEFINITION
from notifier.jobs import Sender
from notifier.letters import Letters
from tests.integration.house import House, house
from tests.integration.notifier.post_office import HOST, PostOffice, post_office

PATIENCE = timedelta(days=1)
MAIL_FROM = "Groundswell <mail@groundswell.example>"


@pytest.fixture
async def core(database: Provisioned) -> AsyncIterator[House]:
    async with house(database, DEFINITION, replicas=2) as opened:
        yield opened


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with post_office() as opened:
        yield opened


@pytest.fixture
async def new_sender(core: House, office: PostOffice) -> AsyncIterator[Callable[..., Sender]]:
    """Makes senders, each one a replica with connections of its own."""
    made: list[SmtpConnection] = []

    def make(pool: Pool = core.pool, connections: int = 2) -> Sender:
        mine = [SmtpConnection(MailServer(HOST, office.port)) for _ in range(connections)]
        made.extend(mine)
        letters = Letters(MAIL_FROM, "https://groundswell.example")
        return Sender(pool, core.clock, letters, mine, PATIENCE)

    yield make
    for connection in made:
        connection.close()
