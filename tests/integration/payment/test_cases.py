"""Cases as operators meet them, over HTTP and on the command line (DOMAIN Y6)."""

import json
from typing import Any
from uuid import UUID

import httpx

from contracts.ids import new_id
from contracts.payment import PaymentAuthorized
from deploy.local.provision import Provisioned
from eventing.tokens import Role
from payment.cases import CaseKind, case_id_of
from payment.domain_events import Kind
from payment.handlers_cases import CloseCase, OpenCase
from payment.tables import operation_id_of
from tests.integration.payment.command_line import payment
from tests.integration.payment.platform import Platform, until
from tests.integration.served import Served

CASES = "/operations/cases"


async def opened(service: Served, about: str, kind: CaseKind = CaseKind.DRIFT) -> None:
    await service.runtime.commit.execute(OpenCase(kind, about, f"{about} differs"))


async def read(service: Served, path: str) -> Any:
    answer = await service.http.get(path, headers=service.bearer(new_id(), Role.OPERATOR))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def send(service: Served, path: str, body: Any, *, by: UUID, key: str = "") -> httpx.Response:
    headers = service.bearer(by, Role.OPERATOR) | {"Idempotency-Key": key or str(new_id())}
    return await service.http.post(path, json=body, headers=headers)


async def abouts(service: Served, query: str = "") -> list[str]:
    return [case["about"] for case in (await read(service, CASES + query))["items"]]


class TestHttp:
    async def test_a_case_is_seen_with_its_operation_commented_and_resolved_once(
        self, platform: Platform, service: Served
    ) -> None:
        placed = platform.placed()
        await platform.tell(placed)
        await platform.until_said(placed.pledge_id, PaymentAuthorized)
        operation_id = operation_id_of(placed.pledge_id, Kind.AUTHORIZE, 1)
        command = OpenCase(
            CaseKind.MISMATCH, "x", "x differs", placed.campaign_id, placed.pledge_id, operation_id=operation_id
        )
        await service.runtime.commit.execute(command)
        [case] = (await read(service, CASES))["items"]
        path = case["links"]["self"]
        ada, bob = new_id(), new_id()
        first = await send(service, f"{path}/comments", {"text": "I look"}, by=ada, key="once")
        again = await send(service, f"{path}/comments", {"text": "I look"}, by=ada, key="once")
        assert (first.status_code, first.headers["location"], first.json()) == (201, path, again.json())
        other = await send(service, f"{path}/comments", {"text": "Another"}, by=ada, key="once")
        assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")

        done = await send(service, f"{path}/resolve", {"text": "It was me"}, by=bob, key="done")
        repeated = await send(service, f"{path}/resolve", {"text": "It was me"}, by=bob, key="done")
        assert (done.status_code, repeated.json()) == (200, done.json())
        late = await send(service, f"{path}/resolve", {}, by=ada)
        assert (late.status_code, late.json()["type"]) == (409, "/problems/case-resolved")

        whole = await read(service, path)
        assert (whole["state"], whole["resolved_by"], whole["resolved_at"] is None) == ("resolved", str(bob), False)
        assert [(c["author"], c["text"]) for c in whole["comments"]] == [(str(ada), "I look"), (str(bob), "It was me")]
        assert (whole["operation"]["operation_id"], whole["operation"]["kind"]) == (str(operation_id), "authorize")
        assert whole["operation"]["amount"] == {"amount": 5000, "currency": "EUR"}

    async def test_the_list_is_filtered_and_turned_page_by_page_and_a_case_that_comes_again_opens_again(
        self, service: Served
    ) -> None:
        assert await read(service, CASES) == {"items": [], "next": None}
        for number in range(5):
            await opened(service, f"a{number}")
        await opened(service, "b", CaseKind.WEBHOOK)
        await opened(service, "b", CaseKind.WEBHOOK)  # the same again
        await service.runtime.commit.execute(CloseCase(CaseKind.DRIFT, "a2", "It agrees."))
        assert await abouts(service) == ["b", "a4", "a3", "a2", "a1", "a0"]
        assert await abouts(service, "?state=open&kind=drift") == ["a4", "a3", "a1", "a0"]
        assert await abouts(service, "?state=resolved") == ["a2"]
        seen, path = [], f"{CASES}?state=open&limit=2"
        while path:
            page = await read(service, path)
            seen += [case["about"] for case in page["items"]]
            path = page["next"]
        assert seen == ["b", "a4", "a3", "a1", "a0"]
        await opened(service, "a2")
        assert (await abouts(service, "?state=open"))[0] == "a2"

    async def test_how_many_wait_is_a_metric(self, service: Served) -> None:
        await opened(service, "a")
        await opened(service, "b")

        async def told() -> bool:
            return 'groundswell_payment_open_cases{kind="drift"} 2.0' in (await service.http.get("/metrics")).text

        await until(told, seconds=40)


class TestCommandLine:
    async def test_cases_are_listed_commented_and_resolved(self, service: Served, provisioned: Provisioned) -> None:
        operator, case_id = str(new_id()), str(case_id_of(CaseKind.DRIFT, "txn_1"))
        await opened(service, "txn_1")
        listed = json.loads(await said(provisioned, "cases", "list", "--state", "open", "--json"))
        assert [case["case_id"] for case in listed] == [case_id]
        assert await said(provisioned, "cases", "comment", case_id, "I look", "--by", operator) == "said\n"
        assert (await send(service, f"{CASES}/{case_id}/resolve", {}, by=new_id())).status_code == 200
        again = await payment(provisioned, "cases", "resolve", case_id, "--by", operator)
        assert (again.exit_code, again.stdout) == (1, "")
        assert "This case is resolved already." in again.stderr
        whole = await read(service, f"{CASES}/{case_id}")
        assert [(comment["author"], comment["text"]) for comment in whole["comments"]] == [(operator, "I look")]

    async def test_each_command_speaks_to_people_and_to_programs(
        self, service: Served, provisioned: Provisioned
    ) -> None:
        operator, ids = str(new_id()), [str(case_id_of(CaseKind.DRIFT, about)) for about in ("txn_1", "txn_2")]
        for about in ("txn_1", "txn_2"):
            await opened(service, about)
        head, _, *rows = (await said(provisioned, "cases", "list", "--kind", "drift", "--limit", "2")).splitlines()
        assert head.startswith("opened (UTC)")
        assert [case_id in row for case_id, row in zip(reversed(ids), rows, strict=True)] == [True, True]

        comment = await said(provisioned, "cases", "comment", ids[0], "I look", "--by", operator, "--json")
        assert json.loads(comment)["links"] == {"case": f"{CASES}/{ids[0]}"}
        shown = json.loads(await said(provisioned, "cases", "show", ids[0], "--json"))
        assert shown == await read(service, f"{CASES}/{ids[0]}")
        assert shown["comments"][0]["text"] == "I look"

        assert await said(provisioned, "cases", "resolve", ids[0], "--by", operator, "--text", "Mended") == "resolved\n"
        resolved = await said(provisioned, "cases", "resolve", ids[1], "--by", operator, "--json")
        assert (json.loads(resolved)["case_id"], json.loads(resolved)["state"]) == (ids[1], "resolved")
        page = await said(provisioned, "cases", "show", ids[0])
        assert [word in page for word in ("resolved", operator, "I look", "Mended")] == [True] * 4
        assert "No cases" in await said(provisioned, "cases", "list", "--state", "open")

    async def test_what_cannot_be_done_is_said_in_a_sentence(self, service: Served, provisioned: Provisioned) -> None:
        await opened(service, "txn_1")
        unknown, case_id, by = str(new_id()), str(case_id_of(CaseKind.DRIFT, "txn_1")), ("--by", str(new_id()))
        for expected, *arguments in (
            (f"There is no case {unknown}.", "show", unknown),
            (f"There is no case {unknown}.", "show", unknown, "--json"),
            ("There is no such case.", "comment", unknown, "I look", *by),
            ("There is no such case.", "resolve", unknown, *by),
            ("This text cannot be kept.", "comment", case_id, "", *by),
            ("This text cannot be kept.", "resolve", case_id, "--text", "x" * 2_001, *by),
            ("This case has no payment that may go on.", "resolve", case_id, "--resume", *by),
        ):
            answer = await payment(provisioned, "cases", *arguments)
            assert (answer.exit_code, answer.stdout, expected in answer.stderr) == (1, "", True), answer.stderr
        assert (await payment(provisioned, "cases", "show", "txn_1")).exit_code == 2  # no id at all
        whole = await read(service, f"{CASES}/{case_id}")
        assert (whole["state"], whole["comments"]) == ("open", [])


async def said(provisioned: Provisioned, *arguments: str) -> str:
    """What a command that went well has said."""
    answer = await payment(provisioned, *arguments)
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout
