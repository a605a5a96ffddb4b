"""The consumer on real servers: bodies are settled after the commit, whatever they hold."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from faststream.rabbit.message import RabbitMessage

from contracts.ids import new_id
from contracts.pledge import PledgeAuthorized, PledgePlaced
from deploy.local.servers import Servers
from eventing.consumer import Consumer
from eventing.parked import ParkedEvent, parked_events
from tests.integration.eventing.broker import channel, depth, publish, until
from tests.integration.eventing.conftest import Ground, Jar
from tests.integration.eventing.facts import Fact, life, on_the_wire
from tests.integration.eventing.jar import POISON_MINOR, SOURCE


@asynccontextmanager
async def consuming(ground: Ground, jar: Jar) -> AsyncIterator[Consumer]:
    consumer = Consumer(jar.pool, jar.commit, SOURCE, ground.broker_url)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def send(ground: Ground, *facts: Fact) -> None:
    """One message per event type, as the relay does."""
    for type_ in {fact.event.type for fact in facts}:
        await publish(ground.publisher_url, type_, [on_the_wire(f) for f in facts if f.event.type == type_])


async def parked(jar: Jar, count: int) -> list[ParkedEvent]:
    async def there() -> bool:
        return len(await parked_events(jar.pool)) >= count

    await until(there)
    return await parked_events(jar.pool)


async def _is_empty(ground: Ground) -> bool:
    return await depth(ground.admin_url, SOURCE) == 0


async def stored(jar: Jar, count: int) -> bool:
    return bool(await jar.pool.fetchval("SELECT count(*) = $1 FROM event", count))


class TestTakingIn:
    async def test_events_are_folded_and_their_messages_settled(self, ground: Ground, jar: Jar) -> None:
        campaign = new_id()
        facts = [f for _ in range(50) for f in life(campaign, 100)]
        await send(ground, *facts)
        async with consuming(ground, jar):
            await until(lambda: stored(jar, len(facts)))
        assert await jar.pool.fetchval("SELECT minor FROM campaign_sum WHERE campaign_id = $1", campaign) == 5000
        assert await depth(ground.admin_url, SOURCE) == 0

    async def test_a_settled_message_is_freed_at_once(self, ground: Ground, jar: Jar) -> None:
        """A message in a cycle stays until garbage is looked for, which services do seldom."""
        facts = life(new_id(), 100)
        gc.collect()
        gc.disable()
        try:
            async with consuming(ground, jar):
                await send(ground, *facts)
                await until(lambda: stored(jar, len(facts)))
                await until(lambda: _is_empty(ground))
            assert [one for one in gc.get_objects() if type(one) is RabbitMessage] == []
        finally:
            gc.enable()

    async def test_a_poison_event_in_a_batch_is_parked_and_the_rest_goes_through(
        self, ground: Ground, jar: Jar
    ) -> None:
        campaign = new_id()
        await send(ground, *life(campaign, 100), *life(campaign, POISON_MINOR), *life(campaign, 300))
        async with consuming(ground, jar):
            (one,) = await parked(jar, 1)
            await until(lambda: stored(jar, 5))
        assert (one.type, one.error) == (PledgeAuthorized.type, "PoisonedError: 666")
        assert await jar.pool.fetchval("SELECT minor FROM campaign_sum WHERE campaign_id = $1", campaign) == 400

    @pytest.mark.parametrize("body", [b"\xff\xfe", b"{", b"[]", b'"text"', b"[1]", b"[" * 5000])
    async def test_an_undecodable_body_is_parked_as_it_came(self, ground: Ground, jar: Jar, body: bytes) -> None:
        await publish(ground.publisher_url, PledgePlaced.type, body)
        async with consuming(ground, jar):
            (one,) = await parked(jar, 1)
        assert (one.body, one.type) == (body, PledgePlaced.type)
        assert await depth(ground.admin_url, SOURCE) == 0

    async def test_what_does_not_fit_its_contract_is_parked_one_by_one(self, ground: Ground, jar: Jar) -> None:
        good = life(new_id(), 100)[0]
        wire = json.loads(on_the_wire(good))
        wrong = [
            {**wire, "source": "campaign", "id": str(new_id())},
            {**wire, "type": "pledge.PledgeTeleported.v1", "id": str(new_id())},
            {**wire, "subject": str(new_id()), "id": str(new_id())},
            {**wire, "data": {"pledge_id": "?"}, "id": str(new_id())},
            {**wire, "data": {**wire["data"], "country": "D\x00"}, "id": str(new_id())},
            {"no": "envelope"},
        ]
        await publish(ground.publisher_url, PledgePlaced.type, [json.dumps(w) for w in (*wrong, wire)])
        async with consuming(ground, jar):
            found = await parked(jar, len(wrong))
            await until(lambda: stored(jar, 1))
        assert sorted(p.error.split(":")[0] for p in found) == sorted(
            ["MisplacedError"] * 3 + ["ValidationError"] * 2 + ["UndecodableError"]
        )

    async def test_an_event_under_a_foreign_routing_key_is_parked(self, ground: Ground, jar: Jar) -> None:
        """The broker lets a service say only its own types; the body must not smuggle in another one."""
        await publish(ground.publisher_url, PledgePlaced.type, [on_the_wire(life(new_id(), 100)[1])])
        async with consuming(ground, jar):
            (one,) = await parked(jar, 1)
        assert one.error.startswith("MisplacedError")

    async def test_a_dead_letter_is_parked(self, ground: Ground, jar: Jar) -> None:
        await publish(ground.publisher_url, PledgePlaced.type, b"whatever")
        async with channel(ground.admin_url) as broker:
            queue = await broker.get_queue(SOURCE)
            message = await queue.get()
            assert message is not None
            await message.reject(requeue=False)
        async with consuming(ground, jar):
            (one,) = await parked(jar, 1)
        assert one.body == b"whatever"
        assert one.error.startswith("DeadLetterError")


class TestFaults:
    async def test_with_the_database_stopped_for_10_seconds_nothing_is_lost_and_nothing_spins(
        self, ground: Ground, jar: Jar, servers: Servers
    ) -> None:
        campaign = new_id()
        async with consuming(ground, jar):
            await asyncio.to_thread(servers.postgres.stop)
            with structlog.testing.capture_logs() as logs:
                facts = [f for _ in range(100) for f in life(campaign, 100)]
                await send(ground, *facts)
                await asyncio.sleep(10)  # the outage itself
                await asyncio.to_thread(servers.postgres.start)
                await until(lambda: stored(jar, len(facts)), 60)
        assert await jar.pool.fetchval("SELECT minor FROM campaign_sum WHERE campaign_id = $1", campaign) == 10_000
        assert await parked_events(jar.pool) == []
        tries = [entry for entry in logs if entry["event"] == "group_failed"]
        assert 1 <= len(tries) <= 20

    async def test_a_broker_that_restarts_gets_its_consumer_back(
        self, ground: Ground, jar: Jar, servers: Servers
    ) -> None:
        async with consuming(ground, jar) as consumer:
            assert await consumer.consuming()
            await asyncio.to_thread(servers.rabbitmq.stop)
            assert not await consumer.consuming()
            await asyncio.to_thread(servers.rabbitmq.start)
            await until(consumer.consuming, 60)
            await send(ground, *life(new_id(), 100))
            await until(lambda: stored(jar, 2))
