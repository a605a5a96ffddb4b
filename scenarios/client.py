"""The gateway's HTTP API, as a careful client uses it.

A command carries an Idempotency-Key, and a 503 is followed by the same command under the same key, after the
time that `Retry-After` names. Nothing else is tried again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

import httpx

T = TypeVar("T")

IN_FLIGHT_MAX: Final = 32  # Requests at once over all campaigns; two cores are busy with fewer.
REQUEST_SECONDS: Final = 25.0  # More than the gateway waits for a service (20 s).
RETRY_SECONDS_MAX: Final = 60.0  # A killed service is back in a few seconds.
RETRY_AFTER_SECONDS_MAX: Final = 5.0


class UnexpectedAnswerError(Exception):
    """The platform answered what the scenario does not provide for. The message names request and answer."""


@dataclass(frozen=True)
class Answer:
    """`sent_at` is when the first try was sent, by `time.monotonic`, so that a retry counts as waiting."""

    request: str
    status: int
    body: Any
    sent_at: float

    @property
    def refusal(self) -> str | None:
        """The code of a problem document, such as `sold-out`."""
        kind = self.body.get("type") if isinstance(self.body, dict) and self.status >= httpx.codes.BAD_REQUEST else None
        return str(kind).rpartition("/")[2] if kind else None

    def expect(self, *statuses: int) -> Self:
        """Raises UnexpectedAnswerError for every other status."""
        if self.status not in statuses:
            raise UnexpectedAnswerError(f"{self.request} answered {self.status}: {self.body}")
        return self


class Client:
    """One pool of connections with a limit on what is under way."""

    def __init__(self, base_url: str) -> None:
        limits = httpx.Limits(max_connections=IN_FLIGHT_MAX, max_keepalive_connections=IN_FLIGHT_MAX)
        self._http = httpx.AsyncClient(base_url=base_url, timeout=REQUEST_SECONDS, limits=limits, trust_env=False)
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, token: str | None = None) -> Answer:
        return await self._send("GET", path, token, None, {})

    async def put(self, path: str, token: str, body: object) -> Answer:
        return await self._send("PUT", path, token, body, {"Idempotency-Key": str(uuid.uuid4())})

    async def post(self, path: str, token: str, body: object = None) -> Answer:
        return await self._send("POST", path, token, body, {"Idempotency-Key": str(uuid.uuid4())})

    async def _send(
        self, method: str, path: str, token: str | None, body: object, headers: Mapping[str, str]
    ) -> Answer:
        if token is not None:
            headers = {**headers, "Authorization": f"Bearer {token}"}
        sent_at: float | None = None
        while True:
            async with self._slots:
                sent_at = sent_at or time.monotonic()  # Waiting for a slot is this client's own doing.
                answer = await self._http.request(method, path, json=body, headers=headers)
            wait = answer.headers.get("Retry-After", "")
            late = time.monotonic() - sent_at > RETRY_SECONDS_MAX
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or not wait.isdigit() or late:
                return Answer(f"{method} {path}", answer.status_code, _json(answer), sent_at)
            await asyncio.sleep(min(float(wait), RETRY_AFTER_SECONDS_MAX))


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text


async def all_of(work: Iterable[Awaitable[T]]) -> list[T]:
    """Everything at the same time; the client bounds what is under way. The first error ends the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_run(one)) for one in work]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def _run(one: Awaitable[T]) -> T:
    return await one
