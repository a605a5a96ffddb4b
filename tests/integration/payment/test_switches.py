"""An operator stops all calls of one kind, on every replica, and lets them go on later (DOMAIN Y6)."""

import json
from collections.abc import Mapping

import pytest

from contracts.ids import new_id
from contracts.payment import PaymentCaptured, PaymentVoided
from deploy.local.provision import Provisioned
from eventing.tokens import Role
from payment import switches
from payment.budget import Limits
from payment.calls import SwitchedOffError
from payment.switches import SWITCHES, Switch
from tests.integration.house import House
from tests.integration.payment.command_line import payment
from tests.integration.payment.platform import Platform, Sandbox, until
from tests.integration.payment.test_budget import metered, replicas
from tests.integration.payment.test_trouble import core
from tests.integration.served import Served

WHY = "captures fail at the provider"


async def stop(inside: House, kind: str) -> None:
    await switches.stop(inside.pool, inside.clock, kind, "an operator", WHY)


async def state(inside: House, kind: str) -> Switch:
    (one,) = [one for one in await switches.states(inside.pool) if one.kind == kind]
    return one


class TestTwoReplicas:
    async def test_one_kind_stops_and_goes_on_where_it_was(self, provisioned: Provisioned, sandbox: Sandbox) -> None:
        async with core(provisioned, sandbox, replicas=2) as (inside, platform):
            async with replicas(inside, sandbox.address, Limits()):
                kept, voided = [[platform.placed() for _ in range(10)] for _ in range(2)]
                await platform.tell(platform.launched(), *kept, *voided)
                await platform.until_quiet()
                await stop(inside, "capture")
                await platform.tell(*map(platform.capture, kept), *map(platform.void, voided))
                for one in voided:
                    await platform.until_said(one.pledge_id, PaymentVoided)
                found = await state(inside, "capture")
                assert (found.waiting, found.under_way, found.reason) == (10, 0, WHY)
                assert await sandbox.line(platform.campaign_id, "captured") == (0, 0)
                assert await switches.go(inside.pool, "capture")
                for one in kept:
                    await platform.until_said(one.pledge_id, PaymentCaptured)
            await platform.books_agree()

    @pytest.mark.parametrize("kind", ["authorize", "all"])
    async def test_what_was_leased_already_is_not_sent(
        self, provisioned: Provisioned, sandbox: Sandbox, kind: str
    ) -> None:
        """The last look is just before the call, and the operation is as if it had never been leased."""
        async with (
            core(provisioned, sandbox) as (inside, platform),
            metered(inside, sandbox.address, Limits(overall=50)) as worker,
        ):
            placed = platform.placed()
            await platform.tell(platform.launched(), placed)
            (leased,) = await worker._lease(1)
            await stop(inside, kind)
            await worker._work(leased)
            rows = await inside.pool.fetch("SELECT state, sends, first_sent_at, outcome FROM operation")
            assert list(map(tuple, rows)) == [("waiting", 0, None, "stopped by an operator")]
            assert await worker._lease(1) == []
            assert await sandbox.line(platform.campaign_id, "authorized") == (0, 0)
            await platform.tell(platform.cancelled(placed))  # it was never sent, so it need not be
            assert await platform.operations(placed.pledge_id) == [("authorize", 1, "skipped")]

    async def test_reading_goes_on_until_reads_are_stopped(self, provisioned: Provisioned, sandbox: Sandbox) -> None:
        async with (
            core(provisioned, sandbox) as (inside, _),
            metered(inside, sandbox.address, Limits()) as one,
            metered(inside, sandbox.address, Limits()) as other,
        ):
            await stop(inside, "all")
            assert await one.provider.operation_of("pi_unknown") is None
            await stop(inside, "reads")
            gate = other.budget
            assert gate is not None
            with pytest.raises(SwitchedOffError):
                await gate.let_through("GET /v1/events", None)


class TestHttp:
    async def test_an_operator_stops_a_kind_and_lets_it_go(self, platform: Platform, service: Served) -> None:
        operator = service.bearer(new_id(), Role.OPERATOR)
        body = {"stopped": True, "reason": WHY}
        answer = await service.http.put("/operations/switches/capture", json=body, headers=operator)
        assert (answer.status_code, answer.json()["reason"]) == (200, WHY)
        again = {"stopped": True, "reason": "still"}
        second = await service.http.put("/operations/switches/capture", json=again, headers=operator)
        assert second.json()["stopped_at"] == answer.json()["stopped_at"]
        listed = (await service.http.get("/operations/switches", headers=operator)).json()
        assert [one["kind"] for one in listed if one["stopped_at"]] == ["capture"]
        assert [one["kind"] for one in listed] == list(SWITCHES)
        placed = platform.placed()
        await platform.tell(placed, platform.capture(placed))
        await until(lambda: _waits(service, operator))
        assert await platform.sandbox.line(platform.campaign_id, "captured") == (0, 0)
        gone = await service.http.put("/operations/switches/capture", json={"stopped": False}, headers=operator)
        assert gone.json()["stopped_at"] is None
        await platform.until_said(placed.pledge_id, PaymentCaptured)

    async def test_what_is_refused(self, service: Served) -> None:
        operator = service.bearer(new_id(), Role.OPERATOR)
        for path, body, status in (
            ("capture", {"stopped": True}, 422),
            ("capture", {"stopped": True, "reason": "  "}, 422),
            ("capture", {"stopped": "maybe"}, 422),
            ("everything", {"stopped": True, "reason": WHY}, 404),
        ):
            answer = await service.http.put(f"/operations/switches/{path}", json=body, headers=operator)
            assert answer.status_code == status, (path, body)
        for role in (Role.BACKER, Role.CREATOR):
            person = service.bearer(new_id(), role)
            assert (await service.http.get("/operations/switches", headers=person)).status_code == 403
            answer = await service.http.put("/operations/switches/all", json={"stopped": False}, headers=person)
            assert answer.status_code == 403


async def _waits(service: Served, operator: Mapping[str, str]) -> bool:
    listed = (await service.http.get("/operations/switches", headers=operator)).json()
    return any(one["kind"] == "capture" and one["waiting"] == 1 for one in listed)


class TestCommands:
    async def test_stop_go_and_switches(self, provisioned: Provisioned, sandbox: Sandbox) -> None:
        async with core(provisioned, sandbox) as (inside, _):

            async def run(*arguments: str) -> str:
                answer = await payment(provisioned, *arguments)
                assert answer.exit_code == 0, answer.output
                return answer.output

            stopped_now = "refund: stopped. Calls under way end by themselves.\n"
            assert await run("stop", "refund", "--reason", WHY) == stopped_now
            assert (await state(inside, "refund")).reason == WHY
            stopped = [one for one in json.loads(await run("switches", "--json")) if one["stopped_at"]]
            assert [(one["kind"], one["reason"]) for one in stopped] == [("refund", WHY)]
            table = (await run("switches")).splitlines()
            assert len(table) == 1 + len(SWITCHES)
            assert any(line.startswith("refund") and line.endswith(WHY) for line in table)
            assert await run("go", "refund") == "refund: goes on.\n"
            assert await run("go", "refund") == "refund: was not stopped.\n"
            assert (await state(inside, "refund")).stopped_at is None

    async def test_a_kind_that_there_is_not_is_refused(self, provisioned: Provisioned) -> None:
        answer = await payment(provisioned, "stop", "everything", "--reason", WHY)
        assert answer.exit_code == 2
