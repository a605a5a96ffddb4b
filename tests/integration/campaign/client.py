"""People who use the campaign service over HTTP, and facts about their pledges."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx

from campaign.app import HOUSE, Settings
from contracts.ids import new_id
from deploy.local.issuer import Issuer, Role
from eventing.clock import DatabaseClock
from eventing.runtime import Runtime

T = TypeVar("T")
WAIT_SECONDS = 15.0


async def until(found: Callable[[], Awaitable[T]], wanted: Callable[[T], bool], seconds: float = WAIT_SECONDS) -> T:
    """Look until it is as wanted; the deadline says that it never came."""
    deadline = time.monotonic() + seconds
    while not wanted(last := await found()):
        assert time.monotonic() < deadline, f"still {last}"
        await asyncio.sleep(0.01)
    return last


def draft_body(**changed: Any) -> dict[str, Any]:
    given = {
        "title": "A lamp",
        "story": "It glows.",
        "goal": {"amount": 10_000, "currency": "EUR"},
        "model": "all_or_nothing",
        "deadline": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
    }
    return given | changed


def tier_body(**changed: Any) -> dict[str, Any]:
    given = {
        "title": "One lamp",
        "minimum": {"amount": 2_500, "currency": "EUR"},
        "estimated_delivery": "2027-12",
    }
    return given | changed


def price(amount: Any, currency: Any = "EUR") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def check_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem = answer.json()
    assert (problem["type"], problem["status"]) == (f"/problems/{code}", status), problem
    assert problem["detail"]


@dataclass
class Person:
    """Somebody with a token; every command gets a key of its own unless one is given."""

    http: httpx.AsyncClient
    token: str
    person_id: UUID

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer {self.token}"} | headers)

    async def send(
        self, path: str, body: Any = None, *, method: str = "POST", key: str = "", if_match: str = "", **more: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key or str(new_id())}
        headers |= {"If-Match": if_match} if if_match else {}
        content = {} if body is None else {"json": body}
        return await self.http.request(method, path, headers=headers, **content, **more)

    async def drafts(self, *tiers: dict[str, Any], **changed: Any) -> str:
        """The path of a new draft."""
        path = (await self._done("/campaigns", draft_body(**changed)))["links"]["self"]
        for tier in tiers:
            await self._done(f"{path}/tiers", tier)
        return str(path)

    async def launches(self, *tiers: dict[str, Any], policy: dict[str, Any] | None = None, **changed: Any) -> str:
        """The path of a new active campaign."""
        path = await self.drafts(*tiers, **changed)
        await self._done(f"{path}/launch", {"policy": policy or {}})
        return path

    async def page(self, path: str) -> dict[str, Any]:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def _done(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.send(path, body)
        assert answer.is_success, answer.text
        return dict(answer.json())


@dataclass
class Running:
    """The service, as one process would run it."""

    http: httpx.AsyncClient
    runtime: Runtime
    issuer: Issuer

    def person(self, *roles: Role, seconds: int = 600) -> Person:
        person_id = new_id()
        return Person(self.http, self.issuer.mint(person_id, list(roles), seconds), person_id)

    def creator(self) -> Person:
        return self.person("creator")

    async def events(self) -> int:
        """How many events the service has said so far."""
        count: int = await self.runtime.pool.fetchval("SELECT count(*) FROM event WHERE source = 'campaign'")
        return count


@dataclass
class Site:
    """Where the service finds its servers; `running` starts a process's worth of it."""

    settings: Settings
    issuer: Issuer

    @asynccontextmanager
    async def running(self, clock: DatabaseClock | None = None, **settings: Any) -> AsyncIterator[Running]:
        changed = self.settings.model_copy(update=settings)
        async with HOUSE.build(changed, clock) as app:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://campaign") as http:
                yield Running(http, app.state.runtime, self.issuer)
