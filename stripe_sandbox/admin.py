"""The sandbox's own routes under `/sandbox`: books, faults, clock, reset, and the bank's 3-D Secure page."""

from html import escape

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from stripe_sandbox.errors import Document, StripeError, not_found
from stripe_sandbox.faults import Fault
from stripe_sandbox.resources import Intent
from stripe_sandbox.sandbox import Sandbox

ADVANCE_MAX_SECONDS = 366 * 86_400  # A year: longer than any campaign, so more is a mistake.
_COLUMNS = ("authorized", "held", "captured", "voided", "refunded", "transferred", "declined", "capture_failed")
_STYLE = (
    "<style>body{font:16px system-ui;margin:2rem}td,th{padding:.3rem .8rem;text-align:right}"
    "td:first-child{text-align:left}</style>"
)


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
            Route("/sandbox/clock", self._clock, methods=["GET", "POST"]),
            Route("/sandbox/reset", self._reset, methods=["POST"]),
            Route("/sandbox/authenticate/{intent}", self._challenge, methods=["GET"]),
            Route("/sandbox/authenticate/{intent}", self._authenticate, methods=["POST"]),
        ]

    async def _books(self, _: Request) -> Response:
        return _json(self._document())

    def _document(self) -> Document:
        sandbox = self._sandbox
        return {
            **sandbox.state.books.document(),
            "balance": dict(sandbox.state.balance),
            "events": len(sandbox.state.events),
            "webhooks_outstanding": sandbox.sender.outstanding,
            "now": sandbox.state.clock.now(),
        }

    async def _faults(self, request: Request) -> Response:
        faults = self._sandbox.faults
        if request.method == "DELETE":
            faults.clear()
        elif request.method == "POST":
            try:
                faults.add(Fault.model_validate_json(await request.body()))
            except ValueError as refused:  # pydantic's ValidationError is one
                return _refused(str(refused))
        return _json({"faults": [fault.model_dump(mode="json") for fault in faults.plan()]})

    async def _clock(self, request: Request) -> Response:
        clock = self._sandbox.state.clock
        expired = 0
        if request.method == "POST":
            try:
                wanted = _Advance.model_validate_json(await request.body())
                seconds = wanted.advance_seconds or 0
                clock.advance(seconds if wanted.now is None else wanted.now - clock.now())
            except (ValidationError, ValueError) as refused:
                return _refused(str(refused))
            expired = self._sandbox.payments.expire_holds()
        return _json({"now": clock.now(), "expired_holds": expired})

    async def _reset(self, _: Request) -> Response:
        self._sandbox.reset()
        return _json({"reset": True})

    async def _challenge(self, request: Request) -> Response:
        intent = self._intent(request)
        return HTMLResponse(
            f"<!doctype html><title>3-D Secure</title>{_STYLE}<h1>Your bank asks</h1>"
            f"<p>Pay {intent.amount} {escape(intent.currency)} (minor units)?</p><form method=post>"
            "<button name=result value=passed>Yes, that is me</button> "
            "<button name=result value=failed>No</button></form>"
        )

    async def _authenticate(self, request: Request) -> Response:
        """Body `result=passed` or `result=failed`; goes back to the caller's return_url if there is one."""
        result = {b"result=passed": True, b"result=failed": False}.get(await request.body())
        if result is None:
            return _refused("The body must be result=passed or result=failed.")
        try:
            intent = self._sandbox.payments.authenticate(self._intent(request), passed=result)
        except StripeError as refused:
            return _json(refused.body(), refused.status)
        if intent.return_url is not None:
            return Response(status_code=303, headers={"location": intent.return_url})
        return _json({"id": intent.id, "status": intent.status})

    def _intent(self, request: Request) -> Intent:
        intent_id = request.path_params["intent"]
        intent = self._sandbox.state.intents.get(intent_id)
        if intent is None:
            raise not_found("payment_intent", intent_id)
        return intent

    async def _page(self, _: Request) -> Response:
        document = self._document()
        campaigns, anomalies = document["campaigns"], document["anomalies"]
        assert isinstance(campaigns, dict)
        assert isinstance(anomalies, dict)
        rows = "".join(
            f"<tr><td>{escape(campaign or '(none)')} {escape(currency)}</td>"
            + "".join(f"<td>{lines[name]['minor']} ({lines[name]['count']})</td>" for name in _COLUMNS)
            + "</tr>"
            for campaign, currencies in campaigns.items()
            for currency, lines in currencies.items()
        )
        alarms = "".join(f"<li>{escape(name)}: {entry['count']}</li>" for name, entry in anomalies.items())
        return HTMLResponse(
            f"<!doctype html><html lang=en><title>Stripe sandbox</title>{_STYLE}<h1>Stripe sandbox: books</h1>"
            "<p>Minor units, with the number of payments in brackets.</p><table><tr><th>campaign</th>"
            + "".join(f"<th>{name}</th>" for name in _COLUMNS)
            + f"</tr>{rows}</table><h2>Anomalies</h2><ul>{alarms}</ul>"
        )


def _json(document: Document, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


def _refused(reason: str) -> Response:
    return _json({"error": {"type": "invalid_request_error", "message": reason}}, 400)
