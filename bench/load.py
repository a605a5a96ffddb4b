"""A lean HTTP/1.1 load generator: keep-alive connections, requests written from prepared bytes.

Lean because it shares the cores with what it measures; a client library would take more than the service.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from contracts.ids import new_id

ANSWER_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Call:
    """One request of one person."""

    method: str
    path: str
    token: str
    body: str

    def encoded(self, host: str) -> bytes:
        return (
            f"{self.method} {self.path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {self.token}\r\n"
            f"Idempotency-Key: {new_id()}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self.body)}\r\n\r\n{self.body}"
        ).encode()


@dataclass
class Answers:
    statuses: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


async def run(bases: Sequence[str], calls: Sequence[Call], *, connections: int) -> Answers:
    """Send all calls over so many connections, one at a time on each; every answer is read to its end.

    The connections are dealt out to the replicas' addresses in turn.
    """
    addresses = [urlsplit(base) for base in bases]
    waiting = iter([call.encoded(addresses[0].netloc) for call in calls])
    answers = Answers()
    clients = []
    for number in range(min(connections, len(calls))):
        address = addresses[number % len(addresses)]
        clients.append(_client(address.hostname or "127.0.0.1", address.port or 80, waiting, answers))
    await asyncio.gather(*clients)
    return answers


async def _client(host: str, port: int, waiting: Iterator[bytes], answers: Answers) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for request in waiting:
            started = time.perf_counter()
            writer.write(request)
            async with asyncio.timeout(ANSWER_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
            answers.statuses[int(head[9:12])] += 1
            answers.milliseconds.append((time.perf_counter() - started) * 1000)
    finally:
        writer.close()
