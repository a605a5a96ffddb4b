"""What every service's HTTP shell does with good, broken and hostile requests (DOMAIN H1, H2, H4, P10)."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, ClassVar
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse
from starlette.routing import Mount

from eventing import log
from eventing.health import Check
from eventing.http import IdempotencyKey, build_app
from eventing.refusal import Refusal, Unavailable
from eventing.telemetry import current_traceparent
from eventing.tokens import Role, UndeclaredRouteError, public, require
from tests.integration.eventing.shell import client, serving, settings

CAMPAIGN = "0190f2c4-0000-7000-8000-000000000000"
ECHO = f"/campaigns/{CAMPAIGN}/echo"
KEY = {"Idempotency-Key": "key-1"}
SHORT_SECONDS = 0.3


class CutoffPassed(Refusal):
    code: ClassVar[str] = "cutoff-passed"
    title: ClassVar[str] = "Pledges are locked"


class Goal(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    amount: int
    currency: str


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tier: UUID | None = None
    goal: Goal
    note: str = ""


FAILURES: dict[str, Exception] = {
    "refusal": CutoffPassed("The cutoff was an hour ago.", cutoff="2026-11-01T12:00:00Z", status=200),
    "full": Unavailable("The service is full.", 3),
    "stopping": asyncpg.AdminShutdownError("terminating connection"),
    "query": asyncpg.UndefinedTableError("no table secret_table"),
    "bug": RuntimeError("the inside secret"),
}


def routes() -> APIRouter:
    router = APIRouter(dependencies=[public()])

    @router.post("/campaigns/{campaign_id}/echo", status_code=201)
    async def echo(campaign_id: UUID, body: Body, key: IdempotencyKey) -> dict[str, object]:
        return {"campaign": campaign_id, "body": body, "key": key}

    @router.get("/ids")
    async def ids() -> dict[str, str]:
        return {"correlation": log.correlation_id.get(), "traceparent": current_traceparent()}

    @router.get("/fails/{how}")
    async def fails(how: str) -> None:
        if how == "forever":
            await asyncio.Event().wait()
        if how == "database":
            await asyncpg.connect("postgresql://a:b@127.0.0.1:1/none")
        raise FAILURES[how]

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first "
            later = asyncio.Event()
            asyncio.get_running_loop().call_later(2 * SHORT_SECONDS, later.set)
            await later.wait()
            yield b"second"

        return StreamingResponse(parts())

    return router


def app(checks: dict[str, Check] | None = None, **changed: object) -> FastAPI:
    return build_app(settings(**changed), title="Pledges", version="1", routers=[routes()], checks=checks)


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with client(app()) as opened:
        yield opened


@asynccontextmanager
async def impatient() -> AsyncIterator[httpx.AsyncClient]:
    async with client(app(http_timeout_seconds=SHORT_SECONDS)) as opened:
        yield opened


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    document: dict[str, object] = response.json()
    assert (response.status_code, document["type"]) == (status, f"/problems/{code}")
    assert response.headers["content-type"] == "application/problem+json"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert response.headers["x-request-id"]
    return document


GOOD = {"goal": {"amount": 100, "currency": "EUR"}}


def nested(depth: int) -> bytes:
    return b"[" * depth + b"1" + b"]" * depth


class TestBody:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"{", "broken-json"),
            (b"\xff\xfe{}", "broken-json"),
            ('{"note": "a"}'.encode("utf-16"), "broken-json"),
            (b'{"note": NaN}', "broken-json"),
            (b'{"note": "\\ud800"}', "broken-json"),
            (b'{"note": "a\\u0000b"}', "nul"),
            (b'{"a\\u0000b": 1}', "nul"),
            (b'{"goal": {"amount": 1000000000001}}', "number-too-large"),
            (b'{"goal": {"amount": -1e300}}', "number-too-large"),
            (b'{"goal": {"amount": ' + b"9" * 5000 + b"}}", "number-too-large"),
            (nested(33), "too-deep"),
            (nested(20_000), "too-deep"),
        ],
        ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else value,
    )
    async def test_that_could_hurt_further_in_stops_at_the_door(
        self, http: httpx.AsyncClient, body: bytes, code: str
    ) -> None:
        response = await http.post(ECHO, content=body, headers=KEY | {"Content-Type": "application/json"})
        assert_problem(response, 400, code)

    async def test_that_is_harmless_passes(self, http: httpx.AsyncClient) -> None:
        body = {"goal": {"amount": 10**12, "currency": "EUR"}, "note": "\U0001f680 \\u0000 ü"}
        response = await http.post(ECHO, json=body, headers=KEY)
        assert response.status_code == 201
        assert response.json()["body"]["note"] == body["note"]
        assert response.json()["body"]["goal"] == body["goal"]

    async def test_as_deep_as_allowed_passes_the_door(self, http: httpx.AsyncClient) -> None:
        response = await http.post(ECHO, content=nested(32), headers=KEY | {"Content-Type": "application/json"})
        assert_problem(response, 422, "invalid-request")

    async def test_larger_than_the_limit_is_refused_whether_it_says_so_or_not(self, http: httpx.AsyncClient) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(70):
                yield b" " * 1_000

        assert_problem(await http.post(ECHO, content=b" " * 70_000), 413, "body-too-large")
        assert_problem(await http.post(ECHO, content=chunks()), 413, "body-too-large")

    async def test_of_exactly_the_limit_passes(self, http: httpx.AsyncClient) -> None:
        body = json.dumps(GOOD).encode().ljust(65_536)
        response = await http.post(ECHO, content=body, headers=KEY | {"Content-Type": "application/json"})
        assert response.status_code == 201

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
    async def test_of_another_media_type_is_refused(self, http: httpx.AsyncClient, content_type: str) -> None:
        response = await http.post(ECHO, content=json.dumps(GOOD), headers=KEY | {"Content-Type": content_type})
        assert_problem(response, 415, "unsupported-media-type")

    async def test_that_does_not_come_in_time_gives_408(self) -> None:
        async with serving(app(http_timeout_seconds=SHORT_SECONDS)) as address:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
            writer.write(f"POST {ECHO} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode())
            answer = await asyncio.wait_for(reader.read(), 10)  # to the end: the server hangs up
            writer.close()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"/problems/request-timeout" in answer


class TestFields:
    async def test_wrong_ones_are_listed_and_nothing_of_the_input_is_echoed(self, http: httpx.AsyncClient) -> None:
        body = {"tier": "zq-tier", "goal": {"amount": "zq-amount", "currency": 7}, "zq-unknown": "zq-value"}
        response = await http.post("/campaigns/zq-campaign/echo", json=body, headers=KEY)
        document = assert_problem(response, 422, "invalid-request")
        listed = document["errors"]
        assert isinstance(listed, list)
        assert {(item["in"], item["field"]) for item in listed} == {
            ("path", "campaign_id"),
            ("body", "tier"),
            ("body", "goal.amount"),
            ("body", "goal.currency"),
            ("body", ""),
        }
        assert "zq" not in response.text

    @pytest.mark.parametrize("address", ["/ids%00", "/ids?a=%00", "/fails/a%00b"])
    async def test_an_address_with_nul_is_refused(self, http: httpx.AsyncClient, address: str) -> None:
        assert_problem(await http.get(address), 400, "nul")


class TestIdempotencyKey:
    @pytest.mark.parametrize("key", [None, b"", b"a b", b"x" * 256, b"\xe4"])
    async def test_missing_or_malformed_gives_400(self, http: httpx.AsyncClient, key: bytes | None) -> None:
        headers = {} if key is None else {b"Idempotency-Key": key}
        assert_problem(await http.post(ECHO, json=GOOD, headers=headers), 400, "idempotency-key")

    async def test_of_255_visible_characters_passes(self, http: httpx.AsyncClient) -> None:
        response = await http.post(ECHO, json=GOOD, headers={"Idempotency-Key": "~" * 255})
        assert response.json()["key"] == "~" * 255


class TestAddress:
    async def test_unknown_gives_404(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/zq-nowhere")
        assert_problem(response, 404, "not-found")
        assert "zq" not in response.text

    async def test_with_another_method_gives_405_and_says_which(self, http: httpx.AsyncClient) -> None:
        response = await http.delete("/ids")
        assert_problem(response, 405, "method-not-allowed")
        assert response.headers["allow"] == "GET"


class TestFailure:
    async def test_a_refusal_names_the_rule_and_its_facts(self, http: httpx.AsyncClient) -> None:
        document = assert_problem(await http.get("/fails/refusal"), 409, "cutoff-passed")
        assert document["title"] == "Pledges are locked"
        assert document["detail"] == "The cutoff was an hour ago."
        assert document["cutoff"] == "2026-11-01T12:00:00Z"

    async def test_a_full_service_says_when_to_come_back(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/fails/full")
        assert_problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "3"

    @pytest.mark.parametrize("how", ["database", "stopping"])
    async def test_a_database_that_is_away_gives_503(self, http: httpx.AsyncClient, how: str) -> None:
        response = await http.get(f"/fails/{how}")
        assert_problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "1"

    @pytest.mark.provokes_5xx
    @pytest.mark.parametrize("how", ["query", "bug"])
    async def test_a_bug_gives_500_and_tells_nothing_of_the_inside(self, http: httpx.AsyncClient, how: str) -> None:
        response = await http.get(f"/fails/{how}")
        assert_problem(response, 500, "internal-error")
        assert "secret" not in response.text

    async def test_work_that_takes_too_long_gives_503(self) -> None:
        async with impatient() as http:
            response = await http.get("/fails/forever")
        assert_problem(response, 503, "unavailable")
        assert response.headers["retry-after"]

    async def test_a_stream_may_last_longer_than_the_time_limit(self) -> None:
        async with impatient() as http:
            assert (await http.get("/stream")).text == "first second"


class TestIds:
    async def test_the_request_id_comes_back_and_is_the_correlation_id(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/ids", headers={"X-Request-Id": "order-66"})
        assert response.headers["x-request-id"] == "order-66"
        assert response.json()["correlation"] == "order-66"

    @pytest.mark.parametrize("given", ["a b", "x" * 129, '"}{'])
    async def test_a_malformed_request_id_is_replaced(self, http: httpx.AsyncClient, given: str) -> None:
        response = await http.get("/ids", headers={"X-Request-Id": given})
        assert str(UUID(response.headers["x-request-id"])) == response.headers["x-request-id"]

    async def test_a_trace_goes_on_and_one_begins_where_there_is_none(self, http: httpx.AsyncClient) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        assert (await http.get("/ids", headers={"traceparent": trace})).json()["traceparent"] == trace
        begun = [(await http.get("/ids", headers=h)).json()["traceparent"] for h in ({}, {"traceparent": "00-x"})]
        assert all(len(one) == len(trace) for one in begun)
        assert len(set(begun)) == 2


class TestPages:
    async def test_the_api_page_documents_problems_keys_and_tokens(self) -> None:
        router = APIRouter()
        router.post("/pledges")(placing)
        built = build_app(settings(), title="Pledges", version="1", routers=[router])
        async with client(built) as http:
            document = (await http.get("/openapi/pledge.json")).json()
            assert (await http.get("/openapi.json")).json() == document
            for page in ("/docs", "/docs/pledge"):
                assert "/openapi/pledge.json" in (await http.get(page)).text
        operation = document["paths"]["/pledges"]["post"]
        assert document["openapi"].startswith("3.1")
        assert set(operation["responses"]) == {"200", "4XX"}
        assert "application/problem+json" in operation["responses"]["4XX"]["content"]
        assert document["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status", "detail"]
        assert operation["security"] == [{"Token": []}]
        assert [p["name"] for p in operation["parameters"] if p["required"]] == ["Idempotency-Key"]

    async def test_a_page_and_all_that_it_loads_come_from_the_service_itself(self) -> None:
        async with client(app()) as http:
            page = await http.get("/docs/pledge")
            loaded = re.findall(r'(?:src|href|data-openapi)="([^"]+)"', page.text)
            assert len(loaded) == 6
            for address in loaded:
                assert address.startswith(("/docs/pledge/", "/openapi/"))
                assert (await http.get(address)).is_success, address
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; ")
        assert "http" not in policy

    async def test_a_page_holds_a_token_only_where_the_setting_gives_it_one(self) -> None:
        given = '{"creator": "ey.J-_1", "backer <1>": "ey.J-_2"}'
        offered = {"nobody": "", "creator": "ey.J-_1", "backer &lt;1&gt;": "ey.J-_2"}
        for built, expected in ((app(), {}), (app(api_page_tokens=given), offered)):
            async with client(built) as http:
                page = await http.get("/docs/pledge")
            choices = re.findall(r'value="(.*?)" data-name="(.*?)"', page.text)
            assert {name: token for token, name in choices} == expected
            assert ("ey.J" in page.text, page.headers["cache-control"]) == (bool(expected), "no-store")

    async def test_metrics_count_by_route_and_never_by_id(self) -> None:
        async with client(app()) as http:
            await http.post(ECHO, json=GOOD, headers=KEY)
            await http.get("/zq-nowhere")
            await http.request("ZQ", "/ids")
            text = (await http.get("/metrics")).text
        counted = 'http_request_seconds_count{method="POST",route="/campaigns/{campaign_id}/echo",status="201"} 1.0'
        assert counted in text
        assert 'route="unmatched",status="404"' in text
        assert CAMPAIGN not in text
        assert "zq" not in text.lower()


async def placing(key: IdempotencyKey, _: Annotated[object, require(Role.BACKER)]) -> None:
    """Place a pledge."""


class TestHealth:
    async def test_live_while_not_ready_and_ready_names_what_is_missing(self) -> None:
        async def answers() -> None: ...

        async def hangs() -> None:
            await asyncio.Event().wait()

        async def away() -> None:
            raise ConnectionError

        async with client(app({"database": answers, "consumer": hangs, "other": away})) as http:
            assert (await http.get("/health/live")).status_code == 200
            response = await http.get("/health/ready")
        assert response.status_code == 503
        assert response.json()["checks"] == {"database": True, "consumer": False, "other": False}

    async def test_ready_when_all_checks_pass(self) -> None:
        async def answers() -> None: ...

        async with client(app({"database": answers})) as http:
            assert (await http.get("/health/ready")).json() == {"status": "ready", "checks": {"database": True}}


class TestDeclaration:
    """DOMAIN H2: a route that says nothing lets nobody in; here it does not even start."""

    def test_a_route_that_says_nothing_is_not_built(self) -> None:
        router = APIRouter()
        router.get("/said", dependencies=[public()])(placing)
        router.get("/forgotten")(lambda: None)
        with pytest.raises(UndeclaredRouteError, match="/forgotten"):
            build_app(settings(), title="t", version="1", routers=[router])

    def test_an_app_mounted_below_is_not_built(self) -> None:
        router = APIRouter(routes=[Mount("/inside", app=FastAPI())])
        with pytest.raises(UndeclaredRouteError, match="/inside"):
            build_app(settings(), title="t", version="1", routers=[router])

    def test_a_router_may_say_it_for_all_its_routes(self) -> None:
        router = APIRouter(dependencies=[require(Role.OPERATOR)])
        router.get("/cases")(lambda: None)
        built = build_app(settings(), title="t", version="1", routers=[router])
        assert "/cases" in built.openapi()["paths"]
