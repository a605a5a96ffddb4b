"""The gateway's one Caddyfile on a real Caddy, before small upstreams that say who they are."""

import asyncio
import json
import os
import re
import shutil
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.gateway.routes import CADDYFILE, FILE, routes
from deploy.local.plain_http import NO_TLS
from deploy.topology import GATEWAY, SERVICES, environment, owner
from eventing.service import IDLE_SECONDS

CAMPAIGN = "/campaigns/0192f0c1-2222-7000-8000-000000000001"
PUBLIC_PATHS = {
    "/campaigns": "campaign",
    CAMPAIGN: "campaign",
    f"{CAMPAIGN}/tiers": "campaign",
    f"{CAMPAIGN}/tiers/7": "campaign",
    f"{CAMPAIGN}/launch": "campaign",
    f"{CAMPAIGN}/cancel": "campaign",
    f"{CAMPAIGN}/updates": "campaign",
    f"{CAMPAIGN}/pledges": "pledge",
    "/pledges/8/cancel": "pledge",
    "/me/pledges": "pledge",
    f"{CAMPAIGN}/backers": "pledge",
    f"{CAMPAIGN}/fulfilment.csv": "pledge",
    f"{CAMPAIGN}/tiers/7/waitlist": "pledge",
    "/webhooks/stripe": "payment",
    "/payments/9": "payment",
    "/operations/parked": "payment",
    f"{CAMPAIGN}/ledger": "payment",
    f"{CAMPAIGN}/statement": "payment",
    f"{CAMPAIGN}/statement.csv": "payment",
    f"{CAMPAIGN}/settlement": "settlement",
    f"{CAMPAIGN}/settlement/progress": "settlement",
    "/me/contact": "notifier",
    "/me/notices": "notifier",
    "/me/notices/milestone": "notifier",
    "/links/abc": "notifier",
    "/unsubscribe": "notifier",
    "/unsubscribe/abc": "notifier",
    f"{CAMPAIGN}/analytics": "analytics",
    f"{CAMPAIGN}/analytics/tiers.csv": "analytics",
    f"{CAMPAIGN}/dashboard": "analytics",
}
HIDDEN_PATHS = (
    "/metrics",
    "/health/ready",
    "/health/live",
    "/openapi.json",
    "/pledges",
    "/campaigns/",
    "/campaigns/../metrics",
    "/campaigns/..%2f..%2fmetrics",
    "//metrics",
    f"{CAMPAIGN}/metrics",
    "/campaignsx",
    "/nothing",
    "/config/",
    "/docs/nobody",
)


@dataclass
class Upstream:
    """Answers every path with its own name and what it got; `/live` streams what is put into `events`."""

    name: str
    events: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    stream_ended: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        methods = ["GET", "POST", "PUT", "DELETE"]
        return Starlette(
            routes=[
                Route("/campaigns/{id}/live", self._live),
                Route("/{path:path}", self._echo, methods=methods),
            ]
        )

    async def _echo(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append(request.url.path)
        answer = {
            "service": self.name,
            "path": request.url.path,
            "headers": dict(request.headers),
            "body_bytes": len(body),
        }
        return JSONResponse(answer, headers={"X-Request-Id": "an-upstream-of-its-own", "Server": "uvicorn"})

    async def _live(self, request: Request) -> Response:
        async def stream() -> AsyncIterator[str]:
            try:
                while True:
                    yield f"data: {await self.events.get()}\n\n"
            finally:
                self.stream_ended.set()

        return StreamingResponse(stream(), media_type="text/event-stream")


@asynccontextmanager
async def served(upstream: Upstream, port: int = 0) -> AsyncIterator[int]:
    """The upstream on a port of its own."""
    config = uvicorn.Config(
        upstream.app(), log_level="error", lifespan="off", timeout_graceful_shutdown=1, timeout_keep_alive=IDLE_SECONDS
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", port)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def hanging_up(port: int) -> AsyncIterator[asyncio.Event]:
    """A service that stops: it takes a connection and closes it unread; yields what tells that it has."""
    hung_up = asyncio.Event()

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        hung_up.set()

    async with await asyncio.start_server(hang_up, "127.0.0.1", port), asyncio.timeout(10):
        yield hung_up


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Gateway:
    http: httpx.AsyncClient
    upstreams: dict[str, Upstream]
    log: Path
    port: int

    def log_lines(self, request_path: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line.get("request", {}).get("uri", "").startswith(request_path)]


@asynccontextmanager
async def caddy(upstream_addresses: dict[str, str], directory: Path) -> AsyncIterator[tuple[int, Path]]:
    """The committed Caddyfile on a real Caddy; yields its port and its log."""
    port, log = free_port(), directory / "caddy.log"
    program = shutil.which("caddy")
    assert program, "caddy is one of the programs that deploy.local.servers provides"
    values = {f"{name}_upstream": address for name, address in upstream_addresses.items()}
    env = environment(GATEWAY, values | {"gateway_address": f":{port}", "gateway_bind": "127.0.0.1"})
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program,
            *("run", "--config", str(CADDYFILE), "--adapter", "caddyfile"),
            env={"PATH": os.environ["PATH"], "HOME": str(directory)} | env,
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(20), httpx.AsyncClient(verify=NO_TLS) as http:
            while not await answers(http, f"http://127.0.0.1:{port}/docs"):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        yield port, log
    finally:
        process.terminate()
        await process.wait()


async def answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).status_code < 500
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    upstreams = {service.name: Upstream(service.name) for service in SERVICES}
    async with AsyncExitStack() as stack:
        addresses = {
            name: f"127.0.0.1:{await stack.enter_async_context(served(upstream))}"
            for name, upstream in upstreams.items()
        }
        port, log = await stack.enter_async_context(caddy(addresses, tmp_path_factory.mktemp("caddy")))
        http = await stack.enter_async_context(httpx.AsyncClient(verify=NO_TLS, base_url=f"http://127.0.0.1:{port}"))
        yield Gateway(http, upstreams, log, port)


def test_the_committed_routes_are_those_of_the_topology() -> None:
    assert FILE.read_text() == routes(), "run: python -m deploy.gateway.routes"


@pytest.mark.parametrize(("path", "service"), PUBLIC_PATHS.items())
async def test_a_public_path_leads_to_its_service_unchanged(gateway: Gateway, path: str, service: str) -> None:
    answer = (await gateway.http.get(path)).raise_for_status().json()

    assert (answer["service"], answer["path"]) == (service, path)
    assert owner(path) == service


@pytest.mark.parametrize("service", [service.name for service in SERVICES])
async def test_each_service_shows_its_api_pages_under_its_name(gateway: Gateway, service: str) -> None:
    for path in (f"/docs/{service}", f"/openapi/{service}.json"):
        answer = (await gateway.http.get(path)).json()
        assert (answer["service"], answer["path"]) == (service, path)


async def test_the_first_page_lists_the_api_pages_of_all_services(gateway: Gateway) -> None:
    page = await gateway.http.get("/", follow_redirects=True)

    assert (page.url.path, page.status_code) == ("/docs", 200)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    linked = set(re.findall(r'href="([^"]+)"', page.text))
    assert linked == {f"/{kind}" for s in SERVICES for kind in (f"docs/{s.name}", f"openapi/{s.name}.json")}


@pytest.mark.parametrize("path", HIDDEN_PATHS)
async def test_every_other_path_is_a_404_problem_that_no_service_sees(gateway: Gateway, path: str) -> None:
    for upstream in gateway.upstreams.values():
        upstream.requests.clear()

    status, headers, body = await raw_get(gateway.port, path)

    assert status == 404
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == 404
    assert path not in body
    assert [upstream.requests for upstream in gateway.upstreams.values()] == [[]] * len(SERVICES)


async def raw_get(port: int, path: str) -> tuple[int, dict[str, str], str]:
    """A GET that sends the path as it is; httpx would tidy it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    status_line, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(status_line.split()[1]), headers, body


class TestRequestId:
    async def test_a_well_formed_one_is_kept_for_the_service_and_the_caller(self, gateway: Gateway) -> None:
        answer = await gateway.http.get("/campaigns", headers={"X-Request-Id": "order-4711.a"})

        assert answer.json()["headers"]["x-request-id"] == "order-4711.a"
        assert answer.headers.get_list("x-request-id") == ["order-4711.a"]

    @pytest.mark.parametrize("given", [None, "", "short", "x" * 65, 'a"b{c}d\\e', "two words"])
    async def test_without_a_well_formed_one_a_uuid_is_made(self, gateway: Gateway, given: str | None) -> None:
        headers = {} if given is None else {"X-Request-Id": given}
        answer = await gateway.http.get("/campaigns", headers=headers)

        made = answer.json()["headers"]["x-request-id"]
        assert str(uuid.UUID(made)) == made
        assert answer.headers.get_list("x-request-id") == [made]

    async def test_two_at_once_are_replaced_by_one(self, gateway: Gateway) -> None:
        twice = [("X-Request-Id", "order-4711"), ("X-Request-Id", "order-4712")]
        answer = await gateway.http.get("/campaigns", headers=twice)

        made = answer.json()["headers"]["x-request-id"]
        assert str(uuid.UUID(made)) == made

    async def test_a_refusal_of_the_gateway_carries_it_too(self, gateway: Gateway) -> None:
        answer = await gateway.http.get("/nothing", headers={"X-Request-Id": "order-4711"})
        assert answer.headers["x-request-id"] == "order-4711"


class TestBodyLimit:
    async def test_64_kib_pass(self, gateway: Gateway) -> None:
        answer = await gateway.http.post("/campaigns", content=b"x" * 65_536)
        assert answer.json()["body_bytes"] == 65_536

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_a_byte_more_is_a_413_problem(self, gateway: Gateway, chunked: bool) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * 65_536
            yield b"x"

        answer = await gateway.http.post("/campaigns", content=chunks() if chunked else b"x" * 65_537)

        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 413


class TestServiceAway:
    async def test_is_a_503_problem_with_retry_after(self, tmp_path: Path) -> None:
        addresses = {service.name: f"127.0.0.1:{free_port()}" for service in SERVICES}
        async with caddy(addresses, tmp_path) as (port, _), httpx.AsyncClient(verify=NO_TLS) as http:
            answer = await http.post(f"http://127.0.0.1:{port}/campaigns", json={})

        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["status"] == 503

    async def test_reads_go_to_the_other_replica(self, tmp_path: Path) -> None:
        addresses = {service.name: f"127.0.0.1:{free_port()}" for service in SERVICES}
        upstream = Upstream("campaign")
        async with served(upstream) as alive:
            addresses["campaign"] = f"127.0.0.1:{free_port()} 127.0.0.1:{alive}"
            async with caddy(addresses, tmp_path) as (port, _), httpx.AsyncClient(verify=NO_TLS) as http:
                answers = [await http.get(f"http://127.0.0.1:{port}/campaigns") for _ in range(8)]

        assert [answer.status_code for answer in answers] == [200] * 8

    async def test_a_read_waits_for_a_restart(self, tmp_path: Path) -> None:
        upstream, campaign_port = Upstream("campaign"), free_port()
        addresses = {service.name: f"127.0.0.1:{campaign_port}" for service in SERVICES}
        async with caddy(addresses, tmp_path) as (port, _), httpx.AsyncClient(verify=NO_TLS) as http:
            async with hanging_up(campaign_port) as hung_up:
                sent = asyncio.create_task(http.get(f"http://127.0.0.1:{port}/campaigns"))
                await hung_up.wait()
            async with served(upstream, campaign_port):
                answer = await sent

        assert answer.status_code == 200
        assert upstream.requests == ["/campaigns"]

    async def test_a_command_is_never_sent_on_twice_or_by_halves(self, tmp_path: Path) -> None:
        addresses = {service.name: f"127.0.0.1:{free_port()}" for service in SERVICES}
        upstream = Upstream("campaign")
        async with served(upstream) as alive:
            addresses["campaign"] = f"127.0.0.1:{free_port()} 127.0.0.1:{alive}"
            async with caddy(addresses, tmp_path) as (port, _), httpx.AsyncClient(verify=NO_TLS) as http:
                url = f"http://127.0.0.1:{port}/campaigns"
                answers = [await http.post(url, content=b"x" * 500) for _ in range(20)]

        accepted = [answer.json() for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert len(accepted) + len(refused) == 20
        assert len(upstream.requests) == len(accepted)
        assert {answer["body_bytes"] for answer in accepted} == {500}
        assert len(refused) <= 2, "a replica that took no connection is left alone for a while"


class TestLive:
    async def test_an_event_arrives_before_the_next_one_is_made(self, gateway: Gateway) -> None:
        events = gateway.upstreams["campaign"].events
        async with gateway.http.stream("GET", f"{CAMPAIGN}/live") as answer, asyncio.timeout(10):
            lines = answer.aiter_lines()
            for number in range(3):
                events.put_nowait(f"event {number}")
                assert await anext(lines) == f"data: event {number}"
                assert await anext(lines) == ""

    async def test_the_service_notices_when_the_reader_leaves(self, gateway: Gateway) -> None:
        upstream = gateway.upstreams["campaign"]
        upstream.stream_ended.clear()
        async with gateway.http.stream("GET", f"{CAMPAIGN}/live") as answer, asyncio.timeout(10):
            upstream.events.put_nowait("one")
            assert await anext(answer.aiter_lines()) == "data: one"
        async with asyncio.timeout(10):
            await upstream.stream_ended.wait()


class TestHeaders:
    @pytest.mark.parametrize("path", ["/campaigns", "/nothing"])
    async def test_every_answer_has_the_security_headers_once(self, gateway: Gateway, path: str) -> None:
        answer = await gateway.http.get(path)

        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers.get_list("x-frame-options") == ["DENY"]
        assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


class TestLog:
    async def test_a_request_is_logged_without_its_token(self, gateway: Gateway) -> None:
        path = f"/campaigns/{uuid.uuid4()}"
        await gateway.http.get(path, headers={"Authorization": "Bearer secret-4711", "Cookie": "secret-4711"})
        await logged(gateway, path)

        assert "secret-4711" not in gateway.log.read_text()

    async def test_the_token_of_a_link_is_not_logged(self, gateway: Gateway) -> None:
        await gateway.http.get("/links/secret-4712?next=secret-4712")
        await gateway.http.get("/unsubscribe?token=secret-4712")
        await logged(gateway, "/links/...")
        await logged(gateway, "/unsubscribe/...")

        assert "secret-4712" not in gateway.log.read_text()


async def logged(gateway: Gateway, path: str) -> None:
    async with asyncio.timeout(10):
        while not gateway.log_lines(path):  # noqa: ASYNC110 - the log is another process's file
            await asyncio.sleep(0.02)


def test_no_admin_endpoint_is_configured() -> None:
    assert re.search(r"^\tadmin off$", CADDYFILE.read_text(), re.MULTILINE)
