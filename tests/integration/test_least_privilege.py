"""Each service reaches its own corner of the backing servers and nothing of its neighbours'."""

from collections.abc import AsyncIterator

import aio_pika
import asyncpg
import pytest
from aiormq.exceptions import ChannelAccessRefused

from deploy.local.provision import SERVICES, Provisioned, drop, provision
from deploy.local.servers import Servers
from tests.rooms import new_name

CALL_SECONDS = 10
NEIGHBOURS = [service for service in SERVICES if service != "pledge"]


@pytest.fixture
async def provisioned(servers: Servers) -> AsyncIterator[Provisioned]:
    """Provisioned as a platform is, with roles and users of its own."""
    namespace = new_name()
    try:
        yield await provision(servers.backing, namespace)
    finally:
        await drop(servers.backing, namespace)


async def connect(provisioned: Provisioned, service: str) -> asyncpg.Connection:
    return await asyncpg.connect(provisioned.database_urls[service], timeout=CALL_SECONDS)


class TestDatabaseRole:
    async def test_works_in_its_own_schema_without_naming_it(self, provisioned: Provisioned) -> None:
        pledge = await connect(provisioned, "pledge")
        await pledge.execute("CREATE TABLE note (text text)")
        await pledge.execute("INSERT INTO note VALUES ('mine')")
        found = await pledge.fetchval("SELECT text FROM pledge.note")
        await pledge.close()
        assert found == "mine"

    @pytest.mark.parametrize("neighbour", NEIGHBOURS)
    async def test_cannot_read_a_neighbours_schema(self, provisioned: Provisioned, neighbour: str) -> None:
        owner = await connect(provisioned, neighbour)
        await owner.execute("CREATE TABLE secret (text text)")
        await owner.close()
        pledge = await connect(provisioned, "pledge")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=f"schema {neighbour}"):
            await pledge.fetch(f"SELECT * FROM {neighbour}.secret")
        await pledge.close()

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE payment.mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
            "CREATE TEMP TABLE mine (id int)",
            "CREATE ROLE mine",
        ],
    )
    async def test_cannot_make_anything_elsewhere(self, provisioned: Provisioned, statement: str) -> None:
        pledge = await connect(provisioned, "pledge")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pledge.execute(statement)
        await pledge.close()

    async def test_cannot_enter_another_namespace(self, servers: Servers, provisioned: Provisioned) -> None:
        url, _, own = provisioned.database_urls["pledge"].rpartition("/")
        other = f"{own}_other"
        await provision(servers.backing, other)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
                await asyncpg.connect(f"{url}/{other}", timeout=CALL_SECONDS)
        finally:
            await drop(servers.backing, other)

    async def test_has_time_limits(self, provisioned: Provisioned) -> None:
        pledge = await connect(provisioned, "pledge")
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        limits = {name: await pledge.fetchval(f"SHOW {name}") for name in names}
        await pledge.close()
        assert limits == {
            "lock_timeout": "2s",
            "statement_timeout": "30s",
            "idle_in_transaction_session_timeout": "10s",
        }


async def declare_topology(provisioned: Provisioned) -> None:
    """What `migrate` does, with the same account."""
    async with await aio_pika.connect(provisioned.broker_admin_url, timeout=CALL_SECONDS) as connection:
        channel = await connection.channel()
        events = await channel.declare_exchange("events", aio_pika.ExchangeType.TOPIC, durable=True)
        await channel.declare_exchange("events.dead", aio_pika.ExchangeType.TOPIC, durable=True)
        for service in SERVICES:
            queue = await channel.declare_queue(
                service,
                durable=True,
                arguments={"x-queue-type": "quorum", "x-dead-letter-exchange": "events.dead"},
            )
            await queue.bind(events, "pledge.#")


class TestBrokerUser:
    @pytest.fixture
    async def channel(self, provisioned: Provisioned) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        await declare_topology(provisioned)
        url = provisioned.broker_urls["pledge"]
        async with await aio_pika.connect(url, timeout=CALL_SECONDS) as connection:
            yield await connection.channel()

    async def test_publishes_its_own_types_and_consumes_its_own_queue(
        self, channel: aio_pika.abc.AbstractChannel
    ) -> None:
        events = await channel.get_exchange("events", ensure=False)
        await events.publish(aio_pika.Message(b"[]"), "pledge.PledgePlaced.v1", timeout=CALL_SECONDS)
        queue = await channel.get_queue("pledge", ensure=False)
        message = await queue.get(timeout=CALL_SECONDS)
        assert message is not None
        assert message.body == b"[]"
        await message.ack()

    @pytest.mark.parametrize("neighbour", NEIGHBOURS)
    async def test_cannot_consume_a_neighbours_queue(
        self, channel: aio_pika.abc.AbstractChannel, neighbour: str
    ) -> None:
        queue = await channel.get_queue(neighbour, ensure=False)
        with pytest.raises(ChannelAccessRefused):
            await queue.get(timeout=CALL_SECONDS)

    @pytest.mark.parametrize("key", ["payment.PaymentCaptured.v1", "pledges.Fake.v1", "x.pledge.Fake.v1"])
    async def test_cannot_publish_what_is_not_its_own(self, channel: aio_pika.abc.AbstractChannel, key: str) -> None:
        events = await channel.get_exchange("events", ensure=False)
        with pytest.raises(ChannelAccessRefused):
            await events.publish(aio_pika.Message(b"[]"), key, timeout=CALL_SECONDS)

    async def test_cannot_go_round_the_exchange(self, channel: aio_pika.abc.AbstractChannel) -> None:
        with pytest.raises(ChannelAccessRefused):
            await channel.default_exchange.publish(aio_pika.Message(b"[]"), "payment", timeout=CALL_SECONDS)

    async def test_cannot_purge_a_neighbours_queue(self, channel: aio_pika.abc.AbstractChannel) -> None:
        queue = await channel.get_queue("payment", ensure=False)
        with pytest.raises(ChannelAccessRefused):
            await queue.purge(timeout=CALL_SECONDS)

    async def test_cannot_delete_a_neighbours_queue(self, channel: aio_pika.abc.AbstractChannel) -> None:
        with pytest.raises(ChannelAccessRefused):
            await channel.queue_delete("payment", timeout=CALL_SECONDS)

    async def test_cannot_redirect_a_neighbours_queue(self, channel: aio_pika.abc.AbstractChannel) -> None:
        queue = await channel.get_queue("payment", ensure=False)
        with pytest.raises(ChannelAccessRefused):
            await queue.bind("events", "pledge.#", timeout=CALL_SECONDS)


class TestProvision:
    async def test_again_changes_nothing(self, servers: Servers, provisioned: Provisioned) -> None:
        pledge = await connect(provisioned, "pledge")
        await pledge.execute("CREATE TABLE kept (id int)")
        again = await provision(servers.backing, provisioned.namespace)
        found = await pledge.fetchval("SELECT count(*) FROM kept")
        await pledge.close()
        assert (again, found) == (provisioned, 0)
