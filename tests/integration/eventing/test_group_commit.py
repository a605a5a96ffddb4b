"""Group commit on a real PostgreSQL: one transaction for many, and nobody pays for a neighbour."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.ids import new_id
from eventing.database import Pool
from eventing.definition import every_event
from eventing.idempotency import Idempotency, IdempotencyMismatch
from eventing.lane import GATHERED_MESSAGES_MAX
from eventing.parked import parked_events, retry
from eventing.tables import UnstorableError
from tests.integration.eventing import jar as jar_module
from tests.integration.eventing.conftest import Ground, Jar
from tests.integration.eventing.facts import fact, life
from tests.integration.eventing.jar import POISON_MINOR, UNLUCKY_COINS, DropCoin, JarFull


def key(name: str = "k", fingerprint: str = "f", person_id: UUID | None = None) -> Idempotency:
    return Idempotency(person_id or new_id(), name, fingerprint)


async def coins_in(jar: Jar, jar_id: UUID) -> int:
    coins: int = await jar.pool.fetchval("SELECT coalesce(sum(coins), 0)::int FROM jar WHERE jar_id = $1", jar_id)
    return coins


async def versions(jar: Jar, stream_id: UUID) -> list[int]:
    rows = await jar.pool.fetch("SELECT version FROM event WHERE stream_id = $1 ORDER BY version", stream_id)
    return [row["version"] for row in rows]


async def outcomes(jar: Jar, *commands: DropCoin) -> list[Any]:
    """Everything that these commands, sent at the same moment, are answered with."""
    return await asyncio.gather(*(jar.commit.execute(c) for c in commands), return_exceptions=True)


async def transactions(jar: Jar) -> int:
    count: int = await jar.pool.fetchval("SELECT count(DISTINCT xid) FROM event")
    return count


def left(message: Any) -> bool:
    """A coin that somebody leaves without waiting for an answer."""
    return isinstance(message, DropCoin) and message.note == "left"


class TestPatient:
    @pytest.fixture
    async def patient(self, ground: Ground) -> AsyncIterator[Jar]:
        async with ground.replica(every_event, gather_seconds=600) as one:
            yield one

    async def test_gathers_until_no_more_messages_can_come(self, patient: Jar) -> None:
        messages = [life(new_id(), 500) for _ in range(GATHERED_MESSAGES_MAX)]
        taking = [asyncio.create_task(patient.commit.take_in(one)) for one in messages[:-1]]
        _, waiting = await asyncio.wait(taking, timeout=0.3)
        assert len(waiting) == len(taking)
        await patient.commit.take_in(messages[-1])
        await asyncio.gather(*taking)
        assert await transactions(patient) == 1

    async def test_gathers_for_its_time(self, ground: Ground) -> None:
        async with ground.replica(every_event, gather_seconds=0.2) as patient:
            await asyncio.gather(*(patient.commit.take_in(life(new_id(), 500)) for _ in range(3)))
            assert await transactions(patient) == 1

    async def test_goes_on_gathering_when_somebody_else_hurries(self, patient: Jar) -> None:
        taking = asyncio.create_task(patient.commit.take_in(life(new_id(), 500)))
        await asyncio.sleep(0.1)
        assert (await patient.commit.execute(DropCoin(new_id())))["coins"] == 1
        assert not taking.done()
        patient.commit.stop()
        await taking

    async def test_goes_when_the_service_stops(self, ground: Ground, jar: Jar) -> None:
        async with ground.replica(every_event, gather_seconds=600) as patient:
            taking = asyncio.create_task(patient.commit.take_in(life(new_id(), 500)))
            await asyncio.sleep(0.1)
        await taking
        assert await transactions(jar) == 1

    async def test_holds_up_nobody(self, ground: Ground, jar: Jar) -> None:
        held, free = new_id(), new_id()
        await jar.commit.execute(DropCoin(held))
        async with ground.replica(left) as replica, jar.pool.acquire() as other:
            async with other.transaction():
                await other.execute("SELECT FROM jar WHERE jar_id = $1 FOR UPDATE", held)
                leaving = asyncio.create_task(replica.commit.execute(DropCoin(held, note="left")))
                assert (await replica.commit.execute(DropCoin(free)))["coins"] == 1
                assert not leaving.done()
            assert (await leaving)["coins"] == 2

    async def test_both_lanes_meet_in_one_stream(self, ground: Ground) -> None:
        one = new_id()
        async with ground.replica(left, gather_seconds=0.01) as replica:
            answers = await outcomes(replica, *(DropCoin(one, note="left" if n % 2 else "") for n in range(100)))
            assert sorted(a["coins"] for a in answers) == list(range(1, 101))
            assert await versions(replica, one) == list(range(1, 101))


class TestOneGroup:
    async def test_members_see_what_earlier_members_did(self, jar: Jar) -> None:
        one = new_id()
        answers = await outcomes(jar, *(DropCoin(one) for _ in range(50)))
        assert [a["coins"] for a in answers] == list(range(1, 51))
        assert await versions(jar, one) == list(range(1, 51))

    async def test_commands_that_arrive_together_share_a_transaction(self, jar: Jar) -> None:
        await outcomes(jar, *(DropCoin(new_id()) for _ in range(100)))
        transactions = await jar.pool.fetchval("SELECT count(DISTINCT xid) FROM event")
        assert transactions == 1

    async def test_a_refusal_a_bug_and_values_that_cannot_be_stored_harm_no_neighbour(self, jar: Jar) -> None:
        one = new_id()
        good, full, bug, nul, half, huge, unlucky, last = await outcomes(
            jar,
            DropCoin(one),
            DropCoin(one, 5, limit=3),
            DropCoin(one, note="bug"),
            DropCoin(one, note="a\x00b"),
            DropCoin(one, note="a\ud800b"),
            DropCoin(one, coins=2**70),
            DropCoin(new_id(), coins=UNLUCKY_COINS),
            DropCoin(one),
        )
        assert (good["coins"], last["coins"]) == (1, 2)
        assert isinstance(full, JarFull)
        assert isinstance(bug, RuntimeError)
        assert isinstance(nul, UnstorableError)
        assert isinstance(half, ValueError)
        assert isinstance(huge, JarFull | UnstorableError)
        assert isinstance(unlucky, asyncpg.CheckViolationError)
        assert await versions(jar, one) == [1, 2]

    async def test_several_members_that_the_database_refuses_are_each_found(self, jar: Jar) -> None:
        jars = [new_id() for _ in range(40)]
        bad = {3, 4, 17, 39}
        answers = await outcomes(jar, *(DropCoin(j, UNLUCKY_COINS if i in bad else 1) for i, j in enumerate(jars)))
        refused = {i for i, answer in enumerate(answers) if isinstance(answer, asyncpg.CheckViolationError)}
        assert refused == bad
        assert await jar.pool.fetchval("SELECT count(*) FROM jar") == 36

    async def test_a_client_that_hangs_up_changes_nothing(self, jar: Jar) -> None:
        one = new_id()
        asked = asyncio.create_task(jar.commit.execute(DropCoin(one)))
        await asyncio.sleep(0)  # let it enter the queue
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await jar.commit.execute(DropCoin(new_id()))  # a later group: the first one is done by then
        assert await coins_in(jar, one) == 1


class TestIdempotency:
    async def test_the_same_key_gives_the_first_answer_again(self, jar: Jar) -> None:
        one, mine = new_id(), key()
        first = await jar.commit.execute(DropCoin(one), idempotency=mine)
        again = await jar.commit.execute(DropCoin(one), idempotency=mine)
        assert (first, await coins_in(jar, one)) == (again, 1)

    async def test_also_within_one_group(self, jar: Jar) -> None:
        one, mine = new_id(), key()
        answers = await asyncio.gather(*(jar.commit.execute(DropCoin(one), idempotency=mine) for _ in range(5)))
        assert [a["coins"] for a in answers] == [1] * 5
        assert await coins_in(jar, one) == 1

    async def test_another_body_under_the_same_key_is_refused(self, jar: Jar) -> None:
        person = new_id()
        await jar.commit.execute(DropCoin(new_id()), idempotency=key(person_id=person))
        with pytest.raises(IdempotencyMismatch):
            await jar.commit.execute(DropCoin(new_id()), idempotency=key(fingerprint="g", person_id=person))

    async def test_keys_belong_to_persons(self, jar: Jar) -> None:
        one = new_id()
        await jar.commit.execute(DropCoin(one), idempotency=key())
        await jar.commit.execute(DropCoin(one), idempotency=key())
        assert await coins_in(jar, one) == 2

    async def test_a_refusal_is_not_stored(self, jar: Jar) -> None:
        one, mine = new_id(), key()
        with pytest.raises(JarFull):
            await jar.commit.execute(DropCoin(one, 5, limit=3), idempotency=mine)
        answer = await jar.commit.execute(DropCoin(one, 5, limit=9), idempotency=mine)
        assert answer["coins"] == 5

    async def test_on_two_replicas_at_once_it_is_done_once(self, ground: Ground) -> None:
        async with ground.replica() as a, ground.replica() as b:
            for _ in range(20):
                one, mine = new_id(), key()
                answers = await asyncio.gather(
                    *(r.commit.execute(DropCoin(one), idempotency=mine) for r in (a, b, a, b))
                )
                assert [x["coins"] for x in answers] == [1] * 4


class TestReplicas:
    async def test_concurrent_appends_to_one_stream_are_decided_again(self, ground: Ground) -> None:
        one = new_id()
        async with ground.replica() as a, ground.replica() as b:
            answers = await asyncio.gather(*(r.commit.execute(DropCoin(one)) for r in (a, b) for _ in range(200)))
            assert sorted(x["coins"] for x in answers) == list(range(1, 401))
            assert await versions(a, one) == list(range(1, 401))

    async def test_groups_over_the_same_rows_never_deadlock(self, ground: Ground) -> None:
        jars = [new_id() for _ in range(30)]
        async with ground.replica() as a, ground.replica() as b:
            before = await a.pool.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            for _ in range(15):
                commands = [(r, DropCoin(j)) for r in (a, b) for j in random.sample(jars, len(jars))]
                await asyncio.gather(*(r.commit.execute(c) for r, c in commands))
            total = await a.pool.fetchval("SELECT sum(coins)::int FROM jar")
            await a.pool.fetchval("SELECT pg_stat_clear_snapshot()")
            after = await a.pool.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert (total, after - before) == (15 * 2 * 30, 0)


class LosingPool:
    """The real pool; the answer to one COMMIT that the server did is lost on the way back."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.lost = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        async with self._pool.acquire() as connection:
            yield connection
        if not self.lost:
            self.lost += 1
            raise ConnectionResetError("the answer to COMMIT was lost")


class ShutPool:
    """The real pool, which answers nobody until it is opened."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.open = False

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        if not self.open:
            raise ConnectionRefusedError("away")
        async with self._pool.acquire() as connection:
            yield connection


class TestFaults:
    async def test_a_commit_whose_answer_was_lost_is_not_done_twice(self, ground: Ground) -> None:
        """The group runs again, and finds that it is done."""
        one, mine = new_id(), key()
        async with ground.replica() as jar:
            losing = LosingPool(jar.pool)
            jar.commit._pool = losing  # type: ignore[assignment]  # the same pool, with one answer lost
            answer = await jar.commit.execute(DropCoin(one), idempotency=mine)
            assert (answer["coins"], await coins_in(jar, one), await versions(jar, one)) == (1, 1, [1])
            assert losing.lost == 1

    async def test_with_the_database_away_a_command_is_told_so_and_events_wait(self, ground: Ground) -> None:
        async with ground.replica() as jar:
            shut = ShutPool(jar.pool)
            jar.commit._pool = shut  # type: ignore[assignment]  # the same pool, shut for a while
            campaign = new_id()
            taking = asyncio.create_task(jar.commit.take_in(life(campaign, 500)))
            with pytest.raises(Exception, match=r"database.*same Idempotency-Key"):
                await jar.commit.execute(DropCoin(new_id()))
            assert not taking.done()
            shut.open = True
            await asyncio.wait_for(taking, 10)
            assert await jar.pool.fetchval("SELECT minor FROM campaign_sum WHERE campaign_id = $1", campaign) == 500


class TestForeignEvents:
    async def test_doubled_and_shuffled_they_take_effect_once(self, jar: Jar) -> None:
        campaign = new_id()
        facts = [f for n in range(60) for f in life(campaign, 100 + n, cancelled=n % 3 == 0)]
        shuffled = random.sample(facts * 3, len(facts) * 3)
        parts = [shuffled[i : i + 37] for i in range(0, len(shuffled), 37)]
        await asyncio.gather(*(jar.commit.take_in(part) for part in parts))
        sums = await jar.pool.fetchrow("SELECT minor, pledges FROM campaign_sum WHERE campaign_id = $1", campaign)
        expected = [100 + n for n in range(60) if n % 3 != 0]
        assert tuple(sums or ()) == (sum(expected), len(expected))
        assert await jar.pool.fetchval("SELECT count(*) FROM event") == len(facts)

    async def test_two_replicas_that_get_the_same_events_count_them_once(self, ground: Ground) -> None:
        campaign = new_id()
        facts = [f for n in range(100) for f in life(campaign, 100)]
        async with ground.replica() as a, ground.replica() as b:
            parts = [facts[i : i + 10] for i in range(0, len(facts), 10)]
            await asyncio.gather(*(r.commit.take_in(random.sample(p, len(p))) for p in parts for r in (a, b)))
            sums = await a.pool.fetchrow("SELECT minor, pledges FROM campaign_sum WHERE campaign_id = $1", campaign)
        assert tuple(sums or ()) == (10_000, 100)

    async def test_poison_is_parked_with_its_error_and_the_rest_goes_through(self, jar: Jar) -> None:
        campaign = new_id()
        facts = life(campaign, 500) + life(campaign, POISON_MINOR) + life(campaign, 700)
        await jar.commit.take_in(facts)
        assert await jar.pool.fetchval("SELECT minor FROM campaign_sum WHERE campaign_id = $1", campaign) == 1200
        parked = await jar.pool.fetch("SELECT event_id, type, error FROM parked_event")
        assert [(p["event_id"], p["type"]) for p in parked] == [(facts[3].envelope.id, facts[3].envelope.type)]
        assert "PoisonedError: 666" in parked[0]["error"]
        stored = await jar.pool.fetchval("SELECT count(*) FROM event WHERE event_id = $1", facts[3].envelope.id)
        assert stored == 0

    async def test_the_same_identity_with_another_id_is_an_alarm(self, jar: Jar) -> None:
        first, second = life(new_id(), 500)
        await jar.commit.take_in([first, second])
        impostor = fact(second.event, second.envelope.version)
        await jar.commit.take_in([impostor])
        parked = await jar.pool.fetchrow("SELECT event_id, error FROM parked_event")
        assert parked is not None
        assert parked["event_id"] == impostor.envelope.id
        assert parked["error"].startswith("ImpostorError")

    async def test_a_parked_event_goes_in_when_its_reason_is_mended(
        self, jar: Jar, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        campaign = new_id()
        await jar.commit.take_in(life(campaign, POISON_MINOR))
        (one,) = await parked_events(jar.pool)
        assert not await retry(jar.pool, jar.commit, one.id)
        (one,) = await parked_events(jar.pool)
        monkeypatch.setattr(jar_module, "POISON_MINOR", -1)
        assert await retry(jar.pool, jar.commit, one.id)
        assert await parked_events(jar.pool) == []
        assert await jar.pool.fetchval("SELECT minor FROM campaign_sum WHERE campaign_id = $1", campaign) == 666
