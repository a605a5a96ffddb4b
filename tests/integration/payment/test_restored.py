"""A database that was brought back: what waited in the copy may have been sent in the lost minutes (DOMAIN Y2)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from contracts.campaign import PaymentStrategy
from contracts.pledge import PledgePlaced
from deploy.local.provision import Provisioned
from eventing.group_commit import GroupCommit
from eventing.restored import note_restore
from payment import operations
from payment.domain_events import Kind
from payment.gateway import Succeeded
from payment.handlers import DEFINITION
from payment.stripe_gateway import StripeProvider
from payment.tables import OPERATIONS, operation_id_of
from tests.integration.house import House
from tests.integration.payment.platform import Sandbox
from tests.integration.payment.test_trouble import core, provider, worker, working

__all__ = ["provider"]  # a fixture


async def send(inside: House, one: StripeProvider, *, capture: bool = False) -> None:
    """What a worker does, and nobody remembers; `capture`: also what comes after a hold."""
    columns = ", ".join(column.name for column in OPERATIONS.columns)
    (record,) = await inside.pool.fetch(f"SELECT {columns} FROM operation")
    row = OPERATIONS.load(record)
    customer = await one.create_customer(replace(operations.request_of(row), key=f"{row.subject_id}:customer"))
    assert isinstance(customer, str)
    made = await operations.send(one, replace(row, customer=customer), "")
    assert isinstance(made, Succeeded)
    if capture:
        captured = operation_id_of(row.subject_id, Kind.CAPTURE, 1)
        capturing = replace(row, operation_id=captured, kind=Kind.CAPTURE, counterpart=made.reference)
        assert isinstance(await operations.send(one, capturing, ""), Succeeded)


@asynccontextmanager
async def restored(inside: House) -> AsyncIterator[GroupCommit]:
    """As the service starts again, its worker not yet at work."""
    floor = await note_restore(inside.pool) + 1  # the second in which all of this happens
    commit = GroupCommit(inside.pool, DEFINITION, inside.clock, version_floor=floor)
    running = asyncio.create_task(commit.run())
    yield commit
    commit.stop()
    await running


@pytest.mark.parametrize("strategy", [PaymentStrategy.IMMEDIATE, PaymentStrategy.HOLD])
@pytest.mark.parametrize("sent", [True, False])
async def test_what_waited_and_is_not_wanted_any_more_is_looked_for(
    provisioned: Provisioned, sandbox: Sandbox, provider: StripeProvider, strategy: PaymentStrategy, *, sent: bool
) -> None:
    async with core(provisioned, sandbox) as (inside, platform):
        placed: PledgePlaced = platform.placed(5_000, strategy=strategy)
        await platform.tell(platform.launched(), placed)
        if sent:
            await send(inside, provider)
        async with restored(inside) as commit:
            again = replace(platform, commit=commit)
            await again.tell(again.cancelled(placed))
            async with working(replace(worker(inside, provider), commit=commit)):
                await again.until_quiet()
        lines = {name: await sandbox.line(again.campaign_id, name) for name in ("captured", "refunded", "voided")}
        moved = (1, 5_000) if sent else (0, 0)
        if strategy is PaymentStrategy.IMMEDIATE:
            assert lines == {"captured": moved, "refunded": moved, "voided": (0, 0)}
        else:
            assert lines == {"captured": (0, 0), "refunded": (0, 0), "voided": moved}
        await again.books_agree()


@pytest.mark.parametrize("told_first", ["order", "capture"])
async def test_what_was_held_and_captured_is_booked_and_not_captured_again(
    provisioned: Provisioned, sandbox: Sandbox, provider: StripeProvider, told_first: str
) -> None:
    async with core(provisioned, sandbox) as (inside, platform):
        placed: PledgePlaced = platform.placed(5_000)
        await platform.tell(platform.launched(), placed)
        await send(inside, provider, capture=True)
        async with restored(inside) as commit:
            again = replace(platform, commit=commit)
            if told_first == "capture":
                await again.tell(again.capture(placed))
            async with working(replace(worker(inside, provider), commit=commit)):
                await again.until_quiet()
                await again.tell(again.capture(placed))
                await again.until_quiet()
        assert await sandbox.line(again.campaign_id, "captured") == (1, 5_000)
        await again.books_agree()
