"""The sandbox's own routes under `/sandbox`: books, faults, clock, reset; the bank and the dashboard beside them."""

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from stripe_sandbox.answers import answer, body_of
from stripe_sandbox.bank import Bank
from stripe_sandbox.dashboard import Dashboard
from stripe_sandbox.errors import Document
from stripe_sandbox.faults import Fault, Randomly, WebhookFault
from stripe_sandbox.limits import Limiter, Limits
from stripe_sandbox.page import page
from stripe_sandbox.sandbox import Sandbox

ADVANCE_MAX_SECONDS = 366 * 86_400  # A year: longer than any campaign, so more is a mistake.


class _Advance(BaseModel):
    """One of the two: move by so many seconds, or move to a Unix second."""

    model_config = ConfigDict(extra="forbid")

    advance_seconds: int | None = Field(default=None, ge=0, le=ADVANCE_MAX_SECONDS)
    now: int | None = Field(default=None, ge=0)


class Admin:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox", self._page),
            Route("/sandbox/books", self._books),
            Route("/sandbox/faults", self._faults, methods=["GET", "POST", "DELETE"]),
            Route("/sandbox/faults/webhooks", self._webhook_faults, methods=["POST"]),
            Route("/sandbox/faults/random", self._random_faults, methods=["POST"]),
            Route("/sandbox/limits", self._limits, methods=["GET", "POST"]),
            Route("/sandbox/clock", self._clock, methods=["GET", "POST"]),
            Route("/sandbox/reset", self._reset, methods=["POST"]),
            *Bank(self._sandbox).routes(),
            *Dashboard(self._sandbox).routes(),
        ]

    async def _books(self, _: Request) -> Response:
        return answer(self._document())

    def _document(self) -> Document:
        sandbox = self._sandbox
        return {
            **sandbox.state.books.document(),
            "balance": dict(sandbox.state.balance),
            "events": len(sandbox.state.events),
            "webhooks_outstanding": sandbox.webhooks_outstanding,
            "webhooks_held_back": len(sandbox.crossing),
            "now": sandbox.state.clock.now(),
        }

    async def _faults(self, request: Request) -> Response:
        faults = self._sandbox.faults
        if request.method == "DELETE":
            faults.clear()
        elif request.method == "POST":
            faults.add(await body_of(request, Fault))
        return answer(faults.document())

    async def _webhook_faults(self, request: Request) -> Response:
        self._sandbox.faults.add(await body_of(request, WebhookFault))
        return answer(self._sandbox.faults.document())

    async def _random_faults(self, request: Request) -> Response:
        self._sandbox.faults.at_random(await body_of(request, Randomly))
        return answer(self._sandbox.faults.document())

    async def _limits(self, request: Request) -> Response:
        if request.method == "POST":
            self._sandbox.limiter = Limiter(await body_of(request, Limits))
        return answer(self._sandbox.limiter.limits.model_dump(by_alias=True))

    async def _clock(self, request: Request) -> Response:
        clock = self._sandbox.state.clock
        expired = 0
        if request.method == "POST":
            wanted = await body_of(request, _Advance)
            clock.advance((wanted.advance_seconds or 0) if wanted.now is None else wanted.now - clock.now())
            expired = self._sandbox.tick()
        return answer({"now": clock.now(), "expired_holds": expired})

    async def _reset(self, _: Request) -> Response:
        self._sandbox.reset()
        return answer({"reset": True})

    async def _page(self, _: Request) -> Response:
        return HTMLResponse(page(self._sandbox))
