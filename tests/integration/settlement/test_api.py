"""Watching a settlement over HTTP (DOMAIN S1, S8, H2), and the timers that drive it in a running service."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.ids import new_id
from contracts.settlement import CaptureRequested
from deploy.local.provision import Provisioned
from eventing.tokens import Role
from settlement.app import HOUSE, Settings
from tests.integration.served import Served, served
from tests.integration.settlement.world import World

PATIENCE_SECONDS = 20


@pytest.fixture
async def service(provisioned: Provisioned) -> AsyncIterator[Served]:
    async with served(HOUSE, Settings, provisioned) as opened:
        yield opened


async def watch(service: Served, world: World, person: Any = None, role: Role = Role.CREATOR) -> tuple[int, Any]:
    headers = service.bearer(person or world.creator_id, role)
    response = await service.http.get(f"/campaigns/{world.campaign_id}/settlement", headers=headers)
    return response.status_code, response.json()


async def until(service: Served, world: World, status: str) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            _, shown = await watch(service, world)
            if shown["status"] == status:
                return shown
            await asyncio.sleep(0.02)  # between two looks at a condition with a deadline


class TestWhoSees:
    async def test_its_creator_and_operators_see_it_and_nobody_else(self, service: Served) -> None:
        world = World(goal=3000, amounts=[1000])
        await service.runtime.commit.take_in(world.campaign())
        assert (await watch(service, world))[0] == 200
        assert (await watch(service, world, new_id(), Role.OPERATOR))[0] == 200
        assert (await watch(service, world, new_id(), Role.CREATOR))[0] == 404
        assert (await watch(service, world, new_id(), Role.BACKER))[0] == 403
        assert (await service.http.get(f"/campaigns/{world.campaign_id}/settlement")).status_code == 401

    async def test_an_unknown_campaign_or_a_broken_id_is_refused(self, service: Served) -> None:
        assert (await watch(service, World(goal=1, amounts=[])))[0] == 404
        headers = service.bearer(new_id(), Role.OPERATOR)
        assert (await service.http.get("/campaigns/x/settlement", headers=headers)).status_code == 422


class TestProgress:
    async def test_waiting_says_for_what_then_it_goes_on_by_itself_to_the_end(self, service: Served) -> None:
        world = World(goal=2000, amounts=[1000, 1500])
        take_in = service.runtime.commit.take_in
        await take_in([*world.campaign(), *world.manifest()])
        _, waiting = await watch(service, world)
        assert (waiting["status"], [one["what"] for one in waiting["missing"]]) == ("waiting", ["pledges"])
        await take_in(world.pledges())
        settling = await until(service, world, "settling")
        assert (settling["direction"], settling["progress"]["left"], settling["missing"]) == ("collect", 2, [])
        rows = await service.runtime.pool.fetch("SELECT pledge_id FROM booked_pledge WHERE status = 'authorized'")
        await take_in([told for row in rows for told in world.answers(_capture(world, row["pledge_id"]))])
        settled = await until(service, world, "settled")
        assert (settled["outcome"], settled["captured"]) == (
            "funded",
            {"count": 2, "total": {"amount": 2500, "currency": "EUR"}},
        )
        assert (settled["progress"]["done"], settled["progress"]["left"]) == (2, 0)
        assert settled["progress"]["estimated_end"] == settled["settled_at"]


def _capture(world: World, pledge_id: Any) -> Any:
    amount = world.facts[pledge_id]["amount"]
    return [CaptureRequested(pledge_id=pledge_id, campaign_id=world.campaign_id, amount=amount)]
