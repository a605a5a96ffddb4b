"""A service as a process: its command line, its logs, and how it stops."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from deploy.local.plain_http import NO_TLS
from tests.integration.collector import collecting

ROOT = Path(__file__).parents[3]
WAIT_SECONDS = 20
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENVIRONMENT = {
    "GROUNDSWELL_DATABASE_URL": "postgresql://pledge:zq-database@127.0.0.1:1/none",
    "GROUNDSWELL_BROKER_URL": "amqp://pledge:zq-broker@127.0.0.1:1/none",
    "GROUNDSWELL_JWKS_URL": "http://127.0.0.1:1/jwks.json",
    "GROUNDSWELL_JWT_ISSUER": "issuer",
    "GROUNDSWELL_JWT_AUDIENCE": "audience",
}


@dataclass
class Running:
    """A process and what it has logged so far."""

    process: asyncio.subprocess.Process
    lines: list[dict[str, object]] = field(default_factory=list)

    async def logged(self, event: str) -> dict[str, object]:
        """Read on until it has logged this."""
        assert self.process.stdout
        async with asyncio.timeout(WAIT_SECONDS):
            while line := await self.process.stdout.readline():
                print(line.decode(), end="")  # noqa: T201 - the test's log holds it, too
                self.lines.append(json.loads(line))
                if self.lines[-1]["event"] == event:
                    return self.lines[-1]
        raise AssertionError(f"ended without logging {event}: {self.lines}")

    async def rest(self) -> None:
        """What it logged after that, for the test's own log."""
        assert self.process.stdout
        print((await self.process.stdout.read()).decode(), end="")  # noqa: T201 - the same

    async def ended(self) -> int:
        async with asyncio.timeout(WAIT_SECONDS):
            return await self.process.wait()


async def start(*arguments: str, environment: Mapping[str, str] = ENVIRONMENT) -> asyncio.subprocess.Process:
    plain = {k: v for k, v in os.environ.items() if not k.startswith("GROUNDSWELL_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.eventing.tiny_service",
        *arguments,
        cwd=ROOT,
        env=plain | dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(*arguments: str, environment: Mapping[str, str] = ENVIRONMENT) -> tuple[int, str, str]:
    process = await start(*arguments, environment=environment)
    async with asyncio.timeout(WAIT_SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def serving(**changed: str) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await start("serve", environment=ENVIRONMENT | {"GROUNDSWELL_HTTP_PORT": str(port)} | changed)
    running = Running(process)
    try:
        await running.logged("Application startup complete.")
        transport = httpx.AsyncHTTPTransport(retries=5, verify=NO_TLS)  # the port opens right after that line
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=WAIT_SECONDS
        ) as http:
            assert (await http.get("/health/live")).status_code == 200
            yield running, http
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await running.rest()


class TestStop:
    async def test_finishes_what_is_under_way_then_closes(self) -> None:
        async with serving() as (running, http):
            answer = asyncio.create_task(http.get("/slow"))
            await running.logged("slow_began")
            running.process.send_signal(signal.SIGTERM)
            assert (await answer).json() == "done"
            await running.logged("closed")
            assert await running.ended() == 0
            async with httpx.AsyncClient(verify=NO_TLS, base_url=http.base_url) as impatient:  # it does not try again
                with pytest.raises(httpx.ConnectError):
                    await impatient.get("/health/live")

    async def test_ctrl_c_is_as_good(self) -> None:
        async with serving() as (running, _):
            running.process.send_signal(signal.SIGINT)
            await running.logged("closed")
            assert await running.ended() == 0

    async def test_a_second_signal_ends_it_at_once(self) -> None:
        async with serving() as (running, http):
            await http.get("/linger")
            running.process.send_signal(signal.SIGTERM)
            await running.logged("closing")
            running.process.send_signal(signal.SIGTERM)
            assert await running.ended() == 130


class TestConnections:
    async def test_one_that_is_idle_for_longer_than_clients_keep_theirs_is_still_there(self) -> None:
        async with serving() as (_, http):
            reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
            for pause in (0, 6):  # httpx gives an idle one up after 5 s, a moment before or after the server would
                await asyncio.sleep(pause)
                writer.write(b"GET /health/live HTTP/1.1\r\nHost: tiny\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            writer.close()


@pytest.mark.provokes_5xx
class TestLog:
    async def test_a_bug_is_logged_once_as_json_under_its_request_id_and_without_secrets(self) -> None:
        async with serving() as (running, http):
            response = await http.get("/bug", headers={"X-Request-Id": "order-66"})
            line = await running.logged("request_failed")
            running.process.send_signal(signal.SIGTERM)
            await running.logged("stopped")
        assert response.status_code == 500
        assert (line["service"], line["level"], line["correlation_id"]) == ("pledge", "error", "order-66")
        assert line["route"] == "/bug"
        assert line["time"]
        assert len(str(line["trace_id"])) == 32
        assert "RuntimeError" in str(line["exception"])
        assert [one["event"] for one in running.lines].count("request_failed") == 1
        assert {one["service"] for one in running.lines} == {"pledge"}
        everything = json.dumps(running.lines)
        assert "dsn postgresql://pledge:***@127.0.0.1:1/none" in everything
        assert "zq-" not in everything
        assert "eyJ" not in everything


@pytest.mark.provokes_5xx
class TestTraces:
    async def test_a_request_is_a_span_in_the_callers_trace_at_the_collector(self) -> None:
        _, trace_id, caller_id, _ = TRACE.split("-")
        async with collecting() as collector, serving(GROUNDSWELL_OTLP_ENDPOINT=collector.address) as (running, http):
            await http.get("/bug", headers={"traceparent": TRACE})
            line = await running.logged("request_failed")
            running.process.send_signal(signal.SIGTERM)
            await running.logged("closed")
            await running.ended()
        ((name, (_, _, parent_id)),) = collector.of_trace(trace_id).items()
        assert (name, parent_id) == ("GET /bug", caller_id)
        assert len(collector.spans) == 1
        assert line["trace_id"] == trace_id


class TestSettings:
    async def test_what_is_missing_or_wrong_is_told_line_by_line_without_values(self) -> None:
        wrong = ENVIRONMENT | {"GROUNDSWELL_DATABASE_URL": "mysql://a:zq@b/c", "GROUNDSWELL_HTTP_PORT": "zq"}
        del wrong["GROUNDSWELL_JWT_ISSUER"]
        code, out, err = await run("serve", environment=wrong)
        assert code == 2
        assert err.splitlines()[1:] == [
            "GROUNDSWELL_DATABASE_URL: expected postgresql:// or postgres:// with a host",
            "GROUNDSWELL_HTTP_PORT: Input should be a valid integer, unable to parse string as an integer",
            "GROUNDSWELL_JWT_ISSUER: is missing",
        ]
        assert out == ""


class TestMemory:
    async def test_serving_does_not_load_what_only_migrating_or_tracing_needs(self) -> None:
        code = (
            "import sys, eventing.http, eventing.service; print(sorted({'sqlalchemy', 'requests'} & set(sys.modules)))"
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert out == b"[]\n"


class TestCommands:
    async def test_a_taken_port_ends_it_with_a_reason_and_closes(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            code, out, _ = await run("serve", environment=ENVIRONMENT | {"GROUNDSWELL_HTTP_PORT": port})
        assert code != 0
        assert "address already in use" in out
        assert '"closed"' in out

    async def test_migrate_without_a_database_is_told_in_a_sentence(self) -> None:
        code, _, err = await run("migrate")
        assert (code, "Traceback" in err) == (1, False)
        assert err

    async def test_rebuild_takes_one_projection_or_all(self) -> None:
        assert '"projection": "totals"' in (await run("rebuild", "--projection", "totals"))[1]
        assert '"projection": null' in (await run("rebuild"))[1]
        assert await run("rebuild", "--projection", "unknown") == (1, "", "There is no projection unknown.\n")

    async def test_republish_takes_types_a_queue_and_a_time_in_utc(self) -> None:
        arguments = ("--types", "a.B.v1, a.C.v1", "--to", "analytics", "--since", "2026-01-01T12:00:00")
        _, out, _ = await run("republish", *arguments)
        assert "types=('a.B.v1', 'a.C.v1')" in out
        assert "since=datetime.datetime(2026, 1, 1, 12, 0, tzinfo=datetime.timezone.utc)" in out
        assert "to='analytics'" in out
        assert "2 events published" in out

    async def test_restored_says_from_where_streams_go_on(self) -> None:
        _, out, _ = await run("restored")
        assert "above version 1000" in out

    @pytest.mark.parametrize(
        ("arguments", "answer"),
        [
            (("list",), "row 1\nrow 2\n"),
            (("show", "7"), "whole 7\n"),
            (("retry",), "2 taken in\n"),
            (("retry", "7"), "1 taken in\n"),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
    )
    async def test_parked(self, arguments: tuple[str, ...], answer: str) -> None:
        assert await run("parked", *arguments) == (0, answer, "")

    async def test_parked_discard(self) -> None:
        assert '"parked_id": 7' in (await run("parked", "discard", "7"))[1]
