"""`<service> migrate`, as operators and the compose file run it, does all that serving needs."""

from __future__ import annotations

import aio_pika

from deploy.local.platform import migrations_of
from deploy.local.provision import Provisioned
from deploy.local.servers import Servers
from deploy.topology import SERVICES
from eventing import migrations
from eventing.topology import queue_of
from tests.integration.corner import Corner


async def test_each_service_brings_its_own_schema_up_to_date_and_declares_the_queues(
    servers: Servers, empty: Provisioned
) -> None:
    await Corner(servers, empty).migrate(*(part.name for part in SERVICES))
    for name, url in empty.database_urls.items():
        assert await migrations.migrate(url, migrations.CORE, migrations_of(name)) == []
    async with await aio_pika.connect(empty.broker_admin_url) as connection:
        channel = await connection.channel()
        for part in SERVICES:
            await channel.declare_queue(queue_of(part.name), passive=True)
