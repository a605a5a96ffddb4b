"""Sends events to webhook endpoints: signed, at least once, retried with backoff, beside the requests.

The signature: https://docs.stripe.com/webhooks#verify-manually
"""

import asyncio
import hashlib
import hmac
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import orjson

from stripe_sandbox.events import Delivery, Event
from stripe_sandbox.rendering import render_event
from stripe_sandbox.resources import Endpoint

TIMEOUT_SECONDS = 10  # Stripe gives up on an answer about then.
BACKOFF_MAX_SECONDS = 60.0  # Stripe waits hours; a person at the demo waits a minute.
ATTEMPTS_MAX = 4_000  # About three days at the longest pause, as Stripe.
STOP_SECONDS = 2.0  # Deliveries under way may end; what waits is lost with the rest of the memory.

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Task:
    event: Event
    endpoint: Endpoint
    attempt: int = 0


def signature(secret: str, body: bytes, at: int) -> str:
    """The `Stripe-Signature` header for a body sent at that Unix second."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


def backoff_seconds(attempt: int, first_seconds: float) -> float:
    """The pause after the attempt with that number (from 0): doubled each time, capped, spread by a half."""
    longest = min(BACKOFF_MAX_SECONDS, first_seconds * 2.0 ** min(attempt, 20))
    return longest * random.uniform(0.5, 1)


class Sender:
    """A bounded number of workers over one queue; a failed delivery comes back after its pause.

    `wanted` tells whether a delivery still makes sense: a reset or a removed endpoint ends it. `ended` is told of each
    that is over.
    """

    def __init__(
        self,
        wanted: Callable[[Event, Endpoint], bool],
        ended: Callable[[Event, Endpoint], None],
        *,
        concurrency: int,
        retry_seconds: float,
    ) -> None:
        self._wanted = wanted
        self._ended = ended
        self._concurrency = concurrency
        self._retry_seconds = retry_seconds
        self._queue: asyncio.Queue[_Task | None] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self.outstanding = 0

    def send(self, event: Event, endpoint: Endpoint) -> None:
        self.outstanding += 1
        self._queue.put_nowait(_Task(event, endpoint))

    def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._concurrency, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "Stripe/1.0 (sandbox)"},
        )
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]

    async def stop(self) -> None:
        """Let deliveries under way end within `STOP_SECONDS`; what waits goes with the rest of the memory."""
        while not self._queue.empty():
            self._queue.get_nowait()
        for _ in self._workers:
            self._queue.put_nowait(None)
        _, late = await asyncio.wait(self._workers, timeout=STOP_SECONDS)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._session.close()

    async def _work(self) -> None:
        while (task := await self._queue.get()) is not None:
            await self._deliver(task)

    async def _deliver(self, task: _Task) -> None:
        if not self._wanted(task.event, task.endpoint):
            self._end(task, Delivery.GIVEN_UP)
            return
        failure = await self._post(task)
        if failure is None:
            self._end(task, Delivery.DELIVERED)
            return
        task.attempt += 1
        if task.attempt >= ATTEMPTS_MAX:
            _log.warning("gave up on %s to %s: %s", task.event.id, task.endpoint.url, failure)
            self._end(task, Delivery.GIVEN_UP)
            return
        pause = backoff_seconds(task.attempt - 1, self._retry_seconds)
        asyncio.get_running_loop().call_later(pause, self._queue.put_nowait, task)

    def _end(self, task: _Task, state: Delivery) -> None:
        self.outstanding -= 1
        task.event.deliveries[task.endpoint.id] = state
        self._ended(task.event, task.endpoint)

    async def _post(self, task: _Task) -> str | None:
        """Why the delivery failed, or None. Signed with the machine's time, which is the receiver's too."""
        body = orjson.dumps(render_event(task.event))
        headers = {"Stripe-Signature": signature(task.endpoint.secret, body, int(time.time()))}
        try:
            async with self._session.post(
                task.endpoint.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                await answer.read()
                return None if answer.status // 100 == 2 else f"HTTP {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return repr(error)
