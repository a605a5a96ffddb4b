"""What an API page says of problems is true both ways (DOMAIN H1): each that it names can be had, and no other comes.

A `Notebook` notes whatever a client is refused. Here is what provokes the problems that all services have in common;
those of its own rules a service's own test provokes.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from contracts.ids import new_id
from eventing.database import Pool
from tests.integration.api_page import PROBLEM, operation_of
from tests.integration.who_may import Asked, Subject, Who, guarded, operations

IMPATIENT_SECONDS: Final = 0.3  # Shorter than the two seconds that a group waits for a lock.
UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BROKEN: Final[tuple[bytes, ...]] = (
    b"{",
    b"10000000000000",  # 10^13
    b"[" * 40 + b"]" * 40,
    b" " * 70_000,
)


def documented(document: Mapping[str, Any], prefix: str = "/") -> set[str]:
    """Every problem of the page as `METHOD /path: status code`."""
    return {
        f"{name}: {status} {code}"
        for name in operations(document, prefix)
        for status, response in operation_of(document, name)["responses"].items()
        for code in response.get("content", {}).get(PROBLEM, {}).get("examples", ())
    }


@dataclass
class Notebook:
    """Reads along in `http`."""

    document: Mapping[str, Any]
    http: httpx.AsyncClient
    had: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.http.event_hooks["response"].append(self._read)

    async def _read(self, response: httpx.Response) -> None:
        if response.headers.get("content-type") == PROBLEM:
            request = response.request
            self.note(request.method, request.url.path, response.status_code, await response.aread())

    def note(self, method: str, path: str, status: int, body: bytes) -> None:
        code = json.loads(body)["type"].rpartition("/")[2]
        self.had |= {f"{name}: {status} {code}" for name in operations(self.document) if _is_of(name, method, path)}


def _is_of(operation: str, method: str, path: str) -> bool:
    wanted, _, template = operation.partition(" ")
    return wanted == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None


async def ask_wrongly(notes: Notebook, names: Iterable[str], subject: Subject, used: tuple[str, str]) -> None:
    """All that the door and the framework refuse; `used` are the token and the key of a command that was accepted."""
    watched = set(guarded(notes.document))
    for name in names:
        asked, operation = await subject(name), operation_of(notes.document, name)
        method, address = name.partition(" ")[0], asked.path
        good = _headers(asked.tokens[Who.OWNER])
        for body in BROKEN:
            await notes.http.request(method, address, headers=good, content=body)
        await notes.http.request(method, f"{address}?x=%00", headers=good)
        await _invalid(notes.http, name, asked, good)
        if name in watched:
            await notes.http.request(method, address, headers=_headers("bad"), json=asked.body)
        if "requestBody" in operation:
            await notes.http.request(method, address, headers=good | {"Content-Type": "text/plain"}, content=b"x")
        if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", ())):
            await notes.http.request(method, address, headers=good | {"Idempotency-Key": ""}, json=asked.body)
            token, key = used
            elsewhere = UUID.sub(lambda _: str(new_id()), address)
            await notes.http.request(
                method, elsewhere, headers=_headers(token) | {"Idempotency-Key": key}, json=asked.body
            )


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": str(new_id()), "Content-Type": "application/json"}


async def _invalid(http: httpx.AsyncClient, name: str, asked: Asked, headers: Mapping[str, str]) -> None:
    """Ids that are none; without ids a body or a limit that is wrong."""
    method, _, path = name.partition(" ")
    names = [parameter for _, parameter, _, _ in Formatter().parse(path) if parameter]
    base = asked.path.removesuffix(urlsplit(asked.path).path)
    await http.request(
        method, base + path.format(**dict.fromkeys(names, "x")) + "?limit=0", headers=headers, json=asked.body and {}
    )


async def ask_too_slowly(notes: Notebook, names: Iterable[str], address: str) -> None:
    """A body that is announced and does not come, at a service that waits `IMPATIENT_SECONDS`."""
    await asyncio.gather(*(_announce(notes, name, address) for name in names))


async def _announce(notes: Notebook, name: str, address: str) -> None:
    method, _, template = name.partition(" ")
    path = re.sub(r"\{\w+\}", lambda _: str(new_id()), template)
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 9\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    notes.note(method, path, int(head.split()[1]), body)


async def ask_in_vain(notes: Notebook, names: Iterable[str], subject: Subject, address: str, pool: Pool) -> None:
    """Good requests about what nobody knows, while the database answers nobody, at a service that waits as shortly."""
    asked = {name: await subject(name) for name in names}

    async def ask(name: str, one: Asked) -> None:
        path = UUID.sub(lambda _: str(new_id()), urlsplit(one.path).path)
        headers = _headers(one.tokens[Who.OWNER])
        await notes.http.request(name.partition(" ")[0], f"{address}{path}", headers=headers, json=one.body)

    async with _locked(pool):
        await asyncio.gather(*(ask(name, one) for name, one in asked.items()))


@asynccontextmanager
async def _locked(pool: Pool) -> AsyncIterator[None]:
    """Nobody else reads or writes a table of the service."""
    async with pool.acquire() as connection, connection.transaction():
        named = await connection.fetchval(
            "SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables WHERE schemaname = current_schema()"
        )
        await connection.execute(f"LOCK TABLE {named} IN ACCESS EXCLUSIVE MODE")
        yield
