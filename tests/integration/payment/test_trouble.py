"""The provider, the network and our own processes fail in every way; the money moves once (DOMAIN M5, Y1, Y2)."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.campaign import PaymentStrategy
from contracts.payment import PaymentAuthorized, PaymentCaptured, PaymentRefunded, PaymentVoided
from deploy.local.provision import Provisioned
from eventing.group_commit import GroupCommit
from payment.app import HOUSE, Settings
from payment.gateway import Outcome
from payment.handlers import DEFINITION
from payment.stripe_gateway import StripeProvider
from payment.worker import Worker
from tests.contract.stripe_sandbox_server import API_KEY, free_port
from tests.integration.house import House, house, names
from tests.integration.payment.conftest import TIMEOUT_SECONDS, connected
from tests.integration.payment.platform import Platform, Sandbox, until
from tests.integration.served import served

CREATE = "/v1/payment_intents"
CAPTURE = "/v1/payment_intents/*/capture"
CANCEL = "/v1/payment_intents/*/cancel"
SENT_LONG_AGO = """
    UPDATE operation
       SET created_at = now() - $1::interval, first_sent_at = now() - $1::interval, sends = 1, due_at = now()
"""

FAULTS: list[dict[str, Any]] = [
    {"kind": "html"},
    {"kind": "html", "when": "after"},
    {"kind": "text"},
    {"kind": "text", "when": "after"},
    {"kind": "drop"},
    {"kind": "drop", "when": "after"},
    {"kind": "delay", "seconds": 2 * TIMEOUT_SECONDS},
    {"kind": "throttle", "count": 2},
    {"kind": "lock_timeout", "count": 2},
    {"kind": "error", "when": "after"},  # stored under the key: only reading back finds out
]


def _label(fault: dict[str, Any]) -> str:
    return "-".join(str(value) for name, value in fault.items() if name != "seconds")


@pytest.mark.parametrize("fault", FAULTS, ids=_label)
async def test_every_fault_at_every_step_ends_in_one_effect(platform: Platform, fault: dict[str, Any]) -> None:
    for path in (CREATE, CAPTURE, CANCEL, "/v1/refunds"):
        await platform.sandbox.fault(**fault, method="POST", path=path)
    kept, voided = platform.placed(5000), platform.placed(6000)
    charged = platform.placed(7000, strategy=PaymentStrategy.IMMEDIATE)
    await platform.tell(kept, voided, charged)
    await platform.until_quiet()  # what was turned away so far was never sent, and would not be any more
    await platform.tell(platform.capture(kept), platform.void(voided), platform.cancelled(charged))
    assert (await platform.until_said(kept.pledge_id, PaymentCaptured)).amount == kept.amount
    await platform.until_said(voided.pledge_id, PaymentVoided)
    await platform.until_said(charged.pledge_id, PaymentRefunded)
    await platform.until_quiet()
    assert await platform.sandbox.faults_left() == 0
    for placed, facts in (
        (kept, ["PaymentAuthorized", "PaymentCaptured"]),
        (voided, ["PaymentAuthorized", "PaymentVoided"]),
        (charged, ["PaymentCaptured", "PaymentRefunded"]),
    ):
        assert names(await platform.said(placed.pledge_id)) == facts
    assert await platform.sandbox.line(platform.campaign_id, "authorized") == (3, 18_000)
    await platform.books_agree()


async def test_a_stored_error_before_the_effect_is_passed_by_with_a_new_key(platform: Platform) -> None:
    """The provider replays its 500 for a day; its state of the payment proves that a new attempt is safe."""
    placed = platform.placed()
    await platform.tell(placed)
    await platform.until_said(placed.pledge_id, PaymentAuthorized)
    await platform.sandbox.fault("error", path=CAPTURE)
    await platform.tell(platform.capture(placed))
    await platform.until_said(placed.pledge_id, PaymentCaptured)
    assert await platform.operations(placed.pledge_id) == [
        ("authorize", 1, "done"),
        ("capture", 1, "done"),
        ("capture", 2, "done"),
    ]
    await platform.books_agree()


async def test_a_stored_error_on_a_new_payment_is_never_passed_by(platform: Platform) -> None:
    """That nothing is found yet proves nothing: the first request may still be on its way (DOMAIN Y2)."""
    await platform.sandbox.fault("error", path=CREATE)
    placed = platform.placed()
    await platform.tell(placed)
    await until(lambda: _sends(platform, at_least=4))
    assert await platform.operations(placed.pledge_id) in (
        [("authorize", 1, "waiting")],
        [("authorize", 1, "leased")],
    )
    assert await platform.said(placed.pledge_id) == []


async def _sends(platform: Platform, at_least: int) -> bool:
    return int(await platform.pool.fetchval("SELECT max(sends) FROM operation")) >= at_least


async def test_the_sandbox_is_away_for_a_while(provisioned: Provisioned) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    async with (
        served(
            HOUSE,
            Settings,
            provisioned,
            stripe_api_key=SecretStr(API_KEY),
            stripe_api_base=address,
            stripe_webhook_secrets=SecretStr("whsec"),
        ) as service,
        connected(address) as sandbox,
    ):
        platform = Platform(service.runtime.commit, service.runtime.pool, sandbox)
        placed = [platform.placed() for _ in range(20)]
        await platform.tell(platform.launched(), *placed)
        await until(lambda: _sends(platform, at_least=2))
        assert await platform.said(placed[0].pledge_id) == []
        with _sandbox_on(port):
            await platform.until_quiet()
            assert await sandbox.line(platform.campaign_id, "held") == (20, 100_000)
            await platform.books_agree()


@contextlib.contextmanager
def _sandbox_on(port: int) -> Iterator[None]:
    program = str(Path(sys.executable).with_name("stripe-sandbox"))
    process = subprocess.Popen(
        [program, "serve", "--port", str(port)], env={**os.environ, "STRIPE_SANDBOX_API_KEY": API_KEY}
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


class CrashingProvider(StripeProvider):
    """The real one, but whoever calls it is killed when the answer is there and not yet recorded."""

    crash: asyncio.Event | None = None

    async def authorize(self, *args: Any) -> Outcome:
        return await self._answered(await super().authorize(*args))

    async def capture(self, *args: Any) -> Outcome:
        return await self._answered(await super().capture(*args))

    async def _answered(self, outcome: Outcome) -> Outcome:
        if self.crash is not None:
            self.crash.set()
            await asyncio.Event().wait()  # until the killing comes
        return outcome


@asynccontextmanager
async def core(provisioned: Provisioned, sandbox: Sandbox, replicas: int = 1) -> AsyncIterator[tuple[House, Platform]]:
    """The service without its own worker, on a clock that goes."""
    async with house(provisioned, DEFINITION, replicas) as inside:
        inside.clock.frozen_at = None
        yield inside, Platform(inside.commit, inside.pool, sandbox)


def worker(inside: House, provider: StripeProvider, replica: int = 0) -> Worker:
    return Worker(inside.pool, inside.replicas[replica], inside.clock, provider, 8, asyncio.Event())


@asynccontextmanager
async def working(*workers: Worker) -> AsyncIterator[list["asyncio.Task[None]"]]:
    async def forever(one: Worker) -> None:
        while True:
            await one.run_once()

    tasks = [asyncio.create_task(forever(one)) for one in workers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def provider(sandbox: Sandbox) -> AsyncIterator[CrashingProvider]:
    made = CrashingProvider(API_KEY, sandbox.address, TIMEOUT_SECONDS)
    yield made
    await made.close()


class TestCrash:
    async def test_between_answer_and_record_the_next_worker_repeats_with_the_same_key(
        self, provisioned: Provisioned, sandbox: Sandbox, provider: CrashingProvider
    ) -> None:
        async with core(provisioned, sandbox) as (inside, platform):
            placed = platform.placed()
            await platform.tell(platform.launched(), placed)
            await self._killed_when_answered(inside, provider)
            assert await sandbox.line(platform.campaign_id, "held") == (1, 5000)
            assert await platform.said(placed.pledge_id) == []
            async with working(worker(inside, provider)):
                await platform.until_said(placed.pledge_id, PaymentAuthorized)
            await platform.tell(platform.capture(placed))
            await self._killed_when_answered(inside, provider)
            async with working(worker(inside, provider)):
                await platform.until_said(placed.pledge_id, PaymentCaptured)
            assert await platform.operations(placed.pledge_id) == [("authorize", 1, "done"), ("capture", 1, "done")]
            await platform.books_agree()

    async def _killed_when_answered(self, inside: House, provider: CrashingProvider) -> None:
        provider.crash = asyncio.Event()
        doomed = worker(inside, provider)
        async with working(doomed):
            await provider.crash.wait()
            for call in doomed._working:
                call.cancel()
        provider.crash = None
        await self._lease_runs_out(inside)

    @staticmethod
    async def _lease_runs_out(inside: House) -> None:
        ran_out = "UPDATE operation SET lease_until = lease_until - interval '1 hour' WHERE state = 'leased'"
        assert await inside.pool.execute(ran_out) == "UPDATE 1"

    async def test_a_worker_that_lost_its_lease_records_nothing(
        self, provisioned: Provisioned, sandbox: Sandbox, provider: CrashingProvider
    ) -> None:
        async with core(provisioned, sandbox) as (inside, platform):
            placed = platform.placed()
            await platform.tell(platform.launched(), placed)
            slow, quick = worker(inside, provider), worker(inside, provider)
            (lost,) = await slow._lease(1)
            await self._lease_runs_out(inside)
            (taken,) = await quick._lease(1)
            assert taken.row.key == lost.row.key
            await slow._record(lost, await slow._ask(lost))
            assert await platform.said(placed.pledge_id) == []
            await quick._record(taken, await quick._ask(taken))
            assert names(await platform.said(placed.pledge_id)) == ["PaymentAuthorized"]
            await platform.books_agree()


async def test_two_workers_over_the_same_rows(
    provisioned: Provisioned, sandbox: Sandbox, provider: CrashingProvider
) -> None:
    async with core(provisioned, sandbox, replicas=2) as (inside, platform):
        placed = [platform.placed() for _ in range(60)]
        await platform.tell(platform.launched(), *placed)
        async with working(worker(inside, provider, 0), worker(inside, provider, 1)):
            await platform.until_quiet()
            await platform.tell(*map(platform.capture, placed[:30]), *map(platform.void, placed[30:]))
            await platform.until_quiet()
        assert await sandbox.line(platform.campaign_id, "captured") == (30, 150_000)
        assert await sandbox.line(platform.campaign_id, "voided") == (30, 150_000)
        await platform.books_agree()


async def test_an_answer_that_waits_to_be_recorded_holds_up_no_other_call(
    provisioned: Provisioned, sandbox: Sandbox, provider: CrashingProvider
) -> None:
    async with core(provisioned, sandbox) as (inside, platform):
        placed = [platform.placed() for _ in range(6)]
        async with working(worker(inside, provider)):
            await platform.tell(platform.launched(), *placed)
            await platform.until_quiet()
        await platform.tell(*map(platform.capture, placed))
        asleep = GroupCommit(inside.pool, DEFINITION)
        async with working(replace(worker(inside, provider), commit=asleep, concurrency=2)):
            await until(lambda: _captured(sandbox, platform, 6))
            assert names(await platform.said(placed[0].pledge_id)) == ["PaymentAuthorized"]
            awake = asyncio.create_task(asleep.run())
            await platform.until_quiet()
            asleep.stop()
            await awake
        await platform.books_agree()


async def _captured(sandbox: Sandbox, platform: Platform, count: int) -> bool:
    return (await sandbox.line(platform.campaign_id, "captured"))[0] == count


async def test_an_operation_older_than_twenty_hours_is_read_back_and_not_sent(
    provisioned: Provisioned, sandbox: Sandbox, provider: CrashingProvider
) -> None:
    async with core(provisioned, sandbox) as (inside, platform):
        placed = platform.placed()
        await platform.tell(platform.launched(), placed)
        await inside.pool.execute(SENT_LONG_AGO, timedelta(hours=21))
        async with working(worker(inside, provider)):
            await until(lambda: _sends(platform, at_least=2))
            await until(lambda: _waiting(platform))
        assert await sandbox.line(platform.campaign_id, "authorized") == (0, 0)
        await inside.pool.execute(SENT_LONG_AGO, timedelta(hours=26))
        async with working(worker(inside, provider)):  # not there after the key's life: proof, so a new attempt
            await platform.until_said(placed.pledge_id, PaymentAuthorized)
        assert await platform.operations(placed.pledge_id) == [("authorize", 1, "done"), ("authorize", 2, "done")]
        await platform.books_agree()


async def _waiting(platform: Platform) -> bool:
    return bool(await platform.pool.fetchval("SELECT bool_and(state = 'waiting') FROM operation"))
