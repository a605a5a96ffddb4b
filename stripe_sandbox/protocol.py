"""Stripe's HTTP manners around the routes: keys, versions, request ids, idempotency, rate limit and faults.

The order is Stripe's: 401, then 429, then the idempotency key, then the request itself.
"""

import asyncio
import base64
import binascii
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

import orjson
from starlette.types import Receive, Scope, Send

from stripe_sandbox.errors import Document, StripeError
from stripe_sandbox.events import Origin
from stripe_sandbox.faults import Fault, Kind
from stripe_sandbox.forms import Params, parse_form
from stripe_sandbox.idempotency import Answer
from stripe_sandbox.reading import Call
from stripe_sandbox.sandbox import Sandbox
from stripe_sandbox.state import API_VERSION

BODY_MAX = 256 * 1024  # Stripe's largest form is a fraction of this.
ABORT = "stripe_sandbox.abort"
"""The ASGI extension that closes the connection; `server.py` provides it."""

_VERSION = re.compile(r"20\d\d-\d\d-\d\d(\.[a-z]+)?(;.*)?")
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_TEXT = b'{"error": "upstream connect error or disconnect/reset before headers"}'

_log = logging.getLogger(__name__)


class DroppedError(Exception):
    """The connection is to go away without an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    id: str
    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    key: str | None = None
    """The idempotency key; it means something for POST alone."""

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return value.decode("latin-1") if value else None

    @property
    def fingerprint(self) -> str:
        """What must be the same again under the same key: the route and the parameters in any order."""
        return f"{self.path}?{sorted(self.body.split(b'&'))!r}"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"


class StripeHttp:
    """The ASGI application below `/v1/`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._key = sandbox.settings.api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, headers = self._sandbox.state.ids.new("req"), dict(scope["headers"])
        try:
            body = await _read_body(receive)
            request = _request(request_id, scope, headers, body)
            reply = await self._reply(request)
        except StripeError as refused:
            reply = _refusal(refused)
        except DroppedError:
            await _drop(scope, receive)
            return
        await _send(send, reply, request_id, headers.get(b"stripe-version", API_VERSION.encode()))

    async def _reply(self, request: Request) -> Reply:
        self._let_in(request)
        fault = self._sandbox.faults.take(request.method, request.path, request.key)
        if fault is not None and (early := _before_key(fault)) is not None:
            return early
        kept = self._begin(request)
        if kept is not None:
            return kept
        reply = await self._carry_out(request, fault)
        if request.key is not None:
            self._sandbox.keys.finish(request.key, Answer(reply.status, reply.body, request.id))
        if fault is not None and fault.when == "after":
            return _edge(fault) or reply
        return reply

    def _let_in(self, request: Request) -> None:
        """401 and 429, neither of which looks at the idempotency key."""
        key = _secret_key(request.header(b"authorization"))
        if key is None:
            raise StripeError(
                "You did not provide an API key. Use Bearer auth (Authorization: Bearer YOUR_SECRET_KEY).",
                status=401,
            )
        if key != self._key:
            raise StripeError(f"Invalid API Key provided: {key[:8]}{'*' * 8}", status=401)
        reason = self._sandbox.limiter.refuse(request.method, request.path)
        if reason is not None:
            raise _throttled("rate_limit", reason)

    def _begin(self, request: Request) -> Reply | None:
        key = request.key
        if key is None:
            return None
        kept = self._sandbox.keys.begin(key, request.fingerprint, self._sandbox.state.clock.now())
        if kept is None:
            return None
        headers = (
            (b"idempotent-replayed", b"true"),
            (b"idempotency-key", key.encode("latin-1")),
            (b"original-request", kept.request_id.encode()),
        )
        return Reply(kept.status, kept.body, headers)

    async def _carry_out(self, request: Request, fault: Fault | None) -> Reply:
        """What is kept under the key: the real answer, or Stripe's own error."""
        if fault is None:
            return self._run(request)
        if fault.kind is Kind.DELAY and fault.when == "before":
            await asyncio.sleep(fault.seconds)
        failed = _refusal(_api_error(fault.status))
        if fault.kind is Kind.ERROR and fault.when == "before":
            return failed
        reply = self._run(request)
        if fault.kind is Kind.DELAY and fault.when == "after":
            await asyncio.sleep(fault.seconds)
        return failed if fault.kind is Kind.ERROR else reply

    def _run(self, request: Request) -> Reply:
        headers = () if request.key is None else ((b"idempotency-key", request.key.encode("latin-1")),)
        try:
            self._sandbox.tick()
            document = self._document(request)
        except StripeError as refused:
            return _refusal(refused, headers)
        except Exception:  # noqa: BLE001 - a bug in the sandbox is a 500 to its caller, as at Stripe
            _log.exception("bug in the sandbox: %s %s", request.method, request.path)
            return _refusal(_api_error(500), headers)
        return Reply(200, orjson.dumps(document), headers)

    def _document(self, request: Request) -> Document:
        _check_headers(request)
        form = parse_form(request.query if request.method == "GET" else request.body)
        origin = Origin(request.id, request.key)
        path = request.path.removeprefix("/v1/")
        return self._sandbox.api.run(request.method, path, lambda *ids: Call(Params(form), origin, *ids))


def _check_headers(request: Request) -> None:
    version = request.header(b"stripe-version")
    if version is not None and not _VERSION.fullmatch(version):
        raise StripeError("Invalid Stripe API version.")
    content_type = request.header(b"content-type") or ""
    if request.body and not content_type.startswith("application/x-www-form-urlencoded"):
        raise StripeError("Invalid request (check that your POST content type is application/x-www-form-urlencoded).")


def _secret_key(authorization: str | None) -> str | None:
    """The key in `Bearer <key>` or in `Basic <base64 of key:>`."""
    scheme, _, value = (authorization or "").partition(" ")
    match scheme.lower():
        case "bearer":
            return value
        case "basic":
            try:
                return base64.b64decode(value, validate=True).decode("latin-1").partition(":")[0]
            except binascii.Error:
                return ""
        case _:
            return None


def _before_key(fault: Fault) -> Reply | None:
    """What goes wrong before the key is looked at, and so leaves no trace."""
    match fault.kind:
        case Kind.THROTTLE:
            raise _throttled("rate_limit", "global-rate")
        case Kind.LOCK_TIMEOUT:
            raise _throttled("lock_timeout", "resource-specific")
        case Kind.HTML | Kind.TEXT | Kind.DROP:
            return _edge(fault) if fault.when == "before" else None
        case Kind.ERROR | Kind.DELAY:
            return None


def _edge(fault: Fault) -> Reply | None:
    """What something between the caller and Stripe does to an answer."""
    match fault.kind:
        case Kind.HTML:
            return Reply(fault.status, _HTML, content_type=b"text/html")
        case Kind.TEXT:
            return Reply(fault.status, _TEXT)
        case Kind.DROP:
            raise DroppedError
        case _:
            return None


def _throttled(code: str, reason: str) -> StripeError:
    texts = {
        "rate_limit": "Request rate limit exceeded.",
        "lock_timeout": "This object cannot be accessed right now because another API request is using it.",
    }
    error = StripeError(texts[code], status=429, code=code)
    error.headers = ((b"stripe-rate-limited-reason", reason.encode()),)
    return error


def _api_error(status: int) -> StripeError:
    return StripeError("An unknown error occurred", status=status, kind="api_error")


def _refusal(error: StripeError, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    return Reply(error.status, orjson.dumps(error.body()), headers + error.headers)


def _request(request_id: str, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Request:
    method = scope["method"]
    key = headers.get(b"idempotency-key", b"").decode("latin-1") if method == "POST" else None
    return Request(request_id, method, scope["path"], scope["query_string"], headers, body, key or None)


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_MAX:
            raise StripeError(f"The request is larger than {BODY_MAX} bytes.", status=413)
    return body


async def _send(send: Send, reply: Reply, request_id: str, version: bytes) -> None:
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", str(len(reply.body)).encode()),
        (b"request-id", request_id.encode()),
        (b"stripe-version", version),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _drop(scope: Scope, receive: Receive) -> None:
    abort: Callable[[], None] | None = scope.get("extensions", {}).get(ABORT, {}).get("abort")
    if abort is None:
        raise ConnectionResetError("dropped by a fault")  # In-process: the nearest thing to a lost connection.
    abort()
    while (await receive())["type"] != "http.disconnect":
        pass
