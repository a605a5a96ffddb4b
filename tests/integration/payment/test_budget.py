"""All replicas together keep within the provider's limits, and slow down when they are told to (DOMAIN Y7)."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.payment import PaymentAuthorized
from deploy.local.provision import Provisioned
from payment.buckets import Budget
from payment.budget import OVERALL, Lane, Limits
from payment.calls import Meter, MeteredClient
from payment.leasing import NEAR, Leased, Leasing
from payment.stripe_gateway import StripeProvider
from payment.worker import Worker
from tests.contract.stripe_sandbox_server import API_KEY, await_start, free_port, running
from tests.integration.house import House
from tests.integration.payment.conftest import TIMEOUT_SECONDS, connected
from tests.integration.payment.platform import Platform, Sandbox, until
from tests.integration.payment.test_trouble import core, working

CONCURRENCY = 8


def leasing(inside: House, limits: Limits) -> Leasing:
    return Leasing(inside.pool, inside.clock, Budget(inside.pool, inside.clock, limits), seconds=60)


@asynccontextmanager
async def metered(inside: House, address: str, limits: Limits, replica: int = 0) -> AsyncIterator[Worker]:
    """A worker as the service builds it."""
    meter = Meter()
    meter.gate = budget = Budget(inside.pool, inside.clock, limits, meter)
    provider = StripeProvider(API_KEY, address, TIMEOUT_SECONDS, MeteredClient(meter, TIMEOUT_SECONDS))
    core_ = inside.pool, inside.replicas[replica], inside.clock, provider
    yield Worker(*core_, CONCURRENCY, asyncio.Event(), timeout_seconds=TIMEOUT_SECONDS, budget=budget)
    await provider.close()


@asynccontextmanager
async def replicas(inside: House, address: str, limits: Limits) -> AsyncIterator[None]:
    """Two workers at work."""
    async with (
        metered(inside, address, limits, 0) as one,
        metered(inside, address, limits, 1) as other,
        working(one, other),
    ):
        yield


async def bucket(inside: House, endpoint: str) -> tuple[float, int]:
    """Rate, and 429s ever."""
    query = "SELECT rate, throttled FROM provider_bucket WHERE endpoint = $1"
    row = await inside.pool.fetchrow(query, endpoint)
    assert row is not None
    return row["rate"], row["throttled"]


def kinds(leased: list[Leased]) -> list[str]:
    return sorted(one.row.kind for one in leased)


async def wait_as(kind: str, inside: House, platform: Platform, count: int) -> None:
    """`count` operations of this kind of a settlement that wait, of pledges that nobody was asked about."""
    placed = [platform.placed() for _ in range(count)]
    await platform.tell(*placed)
    query = "UPDATE operation SET kind = $1, lane = 'settlement' WHERE subject_id = ANY($2::uuid[])"
    await inside.pool.execute(query, kind, [one.pledge_id for one in placed])


class TestOrder:
    @pytest.mark.parametrize("limits", [Limits(), Limits(overall=1_000, endpoint=1_000)], ids=["free", "limited"])
    async def test_the_checkout_comes_before_a_settlement(
        self, provisioned: Provisioned, sandbox: Sandbox, limits: Limits
    ) -> None:
        async with core(provisioned, sandbox) as (inside, platform):
            await wait_as("capture", inside, platform, 10)
            await platform.tell(platform.placed(), platform.placed())
            line = leasing(inside, limits)
            assert kinds(await line.lease(4)) == ["authorize", "authorize", "capture", "capture"]
            assert kinds(await line.lease(20)) == ["capture"] * 8

    async def test_a_renewal_waits_for_settlements_until_its_hold_is_near_its_end(
        self, provisioned: Provisioned, sandbox: Sandbox
    ) -> None:
        async with core(provisioned, sandbox) as (inside, platform):
            for left in (NEAR / 2, NEAR * 2):
                placed = platform.placed()
                await platform.tell(placed)
                query = "UPDATE operation SET lane = 'renewal', act_by = due_at + $1 WHERE subject_id = $2"
                await inside.pool.execute(query, left, placed.pledge_id)
            await wait_as("capture", inside, platform, 3)
            line = leasing(inside, Limits())
            first = await line.lease(4)
            assert kinds(first) == ["authorize", "capture", "capture", "capture"]
            assert [one.row.lane for one in first if one.row.kind == "authorize"] == [Lane.SETTLEMENT]
            assert kinds(await line.lease(4)) == ["authorize"]

    async def test_what_one_replica_does_not_take_is_there_for_another(
        self, provisioned: Provisioned, sandbox: Sandbox
    ) -> None:
        async with core(provisioned, sandbox) as (inside, platform):
            await wait_as("capture", inside, platform, 40)
            one, other = leasing(inside, Limits()), leasing(inside, Limits())
            both = await asyncio.gather(one.lease(20), other.lease(20))
            assert [len(leased) for leased in both] == [20, 20]


class TestLimits:
    async def test_are_exact_across_replicas(self, provisioned: Provisioned, sandbox: Sandbox) -> None:
        """On a clock that stands still nothing flows in: the replicas get one burst between them, however they race."""
        async with core(provisioned, sandbox, replicas=2) as (inside, platform):
            inside.clock.frozen_at = datetime.now(UTC) + timedelta(minutes=1)
            await wait_as("capture", inside, platform, 60)
            limits = Limits(overall=40)  # a burst of 20, two thirds of it kept for the checkout
            lines = [leasing(inside, limits) for _ in range(4)]
            leased = await asyncio.gather(*(line.lease(5) for line in lines for _ in range(4)))
            assert sum(map(len, leased)) == 6
            inside.clock.frozen_at += timedelta(seconds=0.1)
            leased = await asyncio.gather(*(line.lease(5) for line in lines for _ in range(4)))
            assert sum(map(len, leased)) == 4
            await platform.tell(*[platform.placed() for _ in range(9)])
            assert kinds(await lines[0].lease(20)) == ["authorize"] * 7  # two calls each

    async def test_of_one_endpoint_hold_up_no_other(self, provisioned: Provisioned, sandbox: Sandbox) -> None:
        async with core(provisioned, sandbox) as (inside, platform):
            await wait_as("capture", inside, platform, 30)
            await wait_as("void", inside, platform, 30)
            line = leasing(inside, Limits(overall=1_000, endpoint=12))
            assert kinds(await line.lease(40)) == ["capture"] * 2 + ["void"] * 2
            assert line.short

    async def test_that_are_kept_are_never_exceeded(self, provisioned: Provisioned) -> None:
        with running(STRIPE_SANDBOX_RATE_LIMIT="40") as address:
            async with connected(address) as sandbox, core(provisioned, sandbox, replicas=2) as (inside, platform):
                async with replicas(inside, address, Limits(overall=36)):
                    placed = [platform.placed() for _ in range(60)]
                    await platform.tell(platform.launched(), *placed)
                    await platform.until_quiet()
                    await platform.tell(*map(platform.capture, placed))
                    await platform.until_quiet()
                assert await bucket(inside, OVERALL) == (36, 0)
                assert await sandbox.line(platform.campaign_id, "captured") == (60, 300_000)
                await platform.books_agree()


class TestStorm:
    """The provider allows far less than we think, in the middle of a batch of captures."""

    async def test_everything_slows_down_and_ends(self, provisioned: Provisioned) -> None:
        with running(STRIPE_SANDBOX_RATE_LIMIT="40") as address:
            async with connected(address) as sandbox, core(provisioned, sandbox, replicas=2) as (inside, platform):
                captured, later = [[platform.placed() for _ in range(count)] for count in (60, 20)]
                async with replicas(inside, address, Limits(overall=36)):
                    await platform.tell(platform.launched(), *captured)
                    await platform.until_quiet()
                await inside.pool.execute("DELETE FROM provider_bucket")
                await sandbox.fault("throttle", skip=10, count=20)  # beside what its limit does
                async with replicas(inside, address, Limits(overall=400, endpoint=400)):
                    await platform.tell(*map(platform.capture, captured))
                    await platform.tell(*later)
                    await platform.until_quiet()
                rate, throttled = await bucket(inside, OVERALL)
                assert rate < 400
                assert throttled >= 20
                assert await sandbox.line(platform.campaign_id, "captured") == (60, 300_000)
                assert await sandbox.line(platform.campaign_id, "held") == (20, 100_000)
                again = await inside.pool.fetchval("SELECT sum(sends - 1) FROM operation")
                assert again < throttled / 2  # a call that was turned away is none; few are late on a busy machine
                await platform.books_agree()

    async def test_without_limits_they_slow_down_too(self, provisioned: Provisioned, sandbox: Sandbox) -> None:
        async with core(provisioned, sandbox, replicas=2) as (inside, platform):
            await sandbox.fault("throttle", count=30)
            async with replicas(inside, sandbox.address, Limits()):
                await platform.tell(platform.launched(), *[platform.placed() for _ in range(40)])
                await platform.until_quiet()
            rate, throttled = await bucket(inside, OVERALL)
            assert rate < 1_000
            assert throttled == 30
            await platform.books_agree()

    async def test_a_lock_on_one_object_slows_nobody_down(self, provisioned: Provisioned, sandbox: Sandbox) -> None:
        async with core(provisioned, sandbox, replicas=2) as (inside, platform):
            await sandbox.fault("lock_timeout", count=5)
            async with replicas(inside, sandbox.address, Limits(overall=500)):
                await platform.tell(platform.launched(), *[platform.placed() for _ in range(20)])
                await platform.until_quiet()
            assert await bucket(inside, OVERALL) == (500, 0)
            await platform.books_agree()


class TestAway:
    async def test_a_provider_that_does_not_answer_for_a_minute(self, provisioned: Provisioned) -> None:
        with _sandbox() as (address, process):
            async with (
                connected(address) as sandbox,
                core(provisioned, sandbox) as (inside, platform),
                metered(inside, address, Limits(overall=500)) as worker,
            ):
                await platform.tell(platform.launched())
                process.send_signal(signal.SIGSTOP)
                placed = [platform.placed() for _ in range(12)]
                async with working(worker):
                    await platform.tell(*placed)
                    await until(lambda: _all_asked_twice(inside))
                    assert [await platform.said(one.pledge_id) for one in placed] == [[]] * 12
                    assert await _decided(inside) == 0
                    process.send_signal(signal.SIGCONT)
                    inside.clock.offset += timedelta(seconds=60)
                    for one in placed:
                        await platform.until_said(one.pledge_id, PaymentAuthorized)
                    await platform.until_quiet()
                await platform.books_agree()


async def _all_asked_twice(inside: House) -> bool:
    return bool(await inside.pool.fetchval("SELECT min(sends) >= 2 FROM operation"))


async def _decided(inside: House) -> int:
    return int(await inside.pool.fetchval("SELECT count(*) FROM operation WHERE decided_at IS NOT NULL"))


@contextlib.contextmanager
def _sandbox() -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    port = free_port()
    program = str(Path(sys.executable).with_name("stripe-sandbox"))
    process = subprocess.Popen(
        [program, "serve", "--port", str(port)], env={**os.environ, "STRIPE_SANDBOX_API_KEY": API_KEY}
    )
    try:
        await_start(process, port)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
