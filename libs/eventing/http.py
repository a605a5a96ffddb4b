"""The HTTP shell of every service: the door that each request passes through, and the app behind it."""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count
from time import perf_counter
from typing import Annotated, Any, Protocol

import structlog
from fastapi import APIRouter, FastAPI, Header
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.ids import new_id
from eventing import api_page, health, log, problems, telemetry, tokens, try_page
from eventing.settings import ServiceSettings

NESTING_MAX = 32  # Ten times what our bodies need; well below what any parser or database stumbles over.
NUMBER_MAX = 10**12  # H4: sums of a million such amounts still fit a bigint.
REQUEST_ID_PATTERN = re.compile(rb"[\w.:-]{1,128}")  # It goes into logs, events and headers as it is.
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

# Given by the client for each command and kept per person for 7 days (DOMAIN P10).
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Names this command. Sent again with the same body it gives the first answer again.",
    ),
]

logger = structlog.get_logger()


def command_fingerprint(method: str, path: str, body: BaseModel | None = None) -> str:
    """What a command asks for, as 64 hex characters: the same key with another fingerprint is refused (P10).

    `path` is the concrete one, with its ids. Fields left at their default do not count, so that a field added
    later does not make a repeated command look like another one.
    """
    canonical = b"" if body is None else body.model_dump_json(exclude_defaults=True).encode()
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), canonical))).hexdigest()


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """A request that does not get past the door."""

    def __init__(self, problem: problems.Problem) -> None:
        super().__init__(problem.type)
        self.problem = problem


def _refuse(code: str, status: int, detail: str) -> Refused:
    return Refused(problems.problem(code, "The request stops at the door", status, detail))


def check_json(body: bytes) -> None:
    """Refuse a body that could hurt further in (H4).

    That is: broken, NUL, half a surrogate pair, nested too deep, numbers too large.

    Raises:
        Refused: with a 400 document that says which.
    """
    try:
        level = [from_json(body, allow_inf_nan=False)]
    except ValueError as error:
        raise _unreadable(str(error)) from None
    for depth in count():
        if depth == NESTING_MAX and any(isinstance(value, dict | list) for value in level):
            raise _too_deep()
        level = [inner for value in level for inner in _checked(value)]
        if not level:
            return


def _too_deep() -> Refused:
    return _refuse("too-deep", 400, f"JSON may be nested {NESTING_MAX} deep.")


def _too_large() -> Refused:
    return _refuse("number-too-large", 400, f"Numbers may not be beyond {NUMBER_MAX}.")


def _unreadable(reason: str) -> Refused:
    """What the parser could not read, or would not because it is too much."""
    if "recursion" in reason:
        return _too_deep()
    if "out of range" in reason:
        return _too_large()
    return _refuse("broken-json", 400, "The body is not valid JSON in UTF-8.")


def _checked(value: Any) -> Sequence[Any]:
    """The values inside a value, itself found harmless."""
    match value:
        case str():
            if "\0" in value:
                raise _refuse("nul", 400, "Text may not contain NUL.")
        case int() | float():
            if not -NUMBER_MAX <= value <= NUMBER_MAX:
                raise _too_large()
        case dict():
            return [*value.keys(), *value.values()]
        case list():
            return value
        case _:
            pass
    return ()


class Door:
    """Request id, trace, limits of size, depth and time, metrics, and the last resort for bugs.

    Pure ASGI and a single layer, because every layer costs each request some microseconds (ADR 0023).
    """

    def __init__(
        self, app: ASGIApp, *, body_bytes_max: int, timeout_seconds: float, metrics: telemetry.HttpMetrics
    ) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._timeout_seconds = timeout_seconds
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        answer = _Answer(send, request_id)
        correlation = log.correlation_id.set(request_id)
        trace = log.traceparent.set(_trace(headers))
        try:
            await self._pass(scope, headers, receive, answer)
        except Exception:
            logger.exception("request_failed", method=_method(scope), route=_route(scope))
            if not answer.started:
                await problems.internal_error()(scope, receive, answer)
        finally:
            seconds = perf_counter() - started
            self._metrics.answered(_method(scope), _route(scope), answer.status, seconds)
            log.traceparent.reset(trace)
            log.correlation_id.reset(correlation)

    async def _pass(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, answer: "_Answer") -> None:
        read = False
        try:
            async with asyncio.timeout(self._timeout_seconds) as deadline:
                answer.deadline = deadline
                try:
                    _check_address(scope)
                    incoming = await self._incoming(headers, receive)
                    read = True
                    await self._app(scope, incoming, answer)
                finally:
                    answer.deadline = None
        except Refused as refused:
            self._metrics.refused(refused.problem.type.removeprefix(problems.TYPE_PREFIX))
            await refused.problem.response()(scope, receive, answer)
        except TimeoutError:
            if not deadline.expired() or answer.started:
                raise
            await self._too_late(read=read)(scope, receive, answer)
        except _GoneError:
            pass  # nobody is there to answer

    def _too_late(self, *, read: bool) -> Response:
        if read:
            return problems.unavailable(
                "This takes too long just now. It may still be done: the same Idempotency-Key finds out."
            )
        detail = f"The body did not come within {self._timeout_seconds:g} s."
        slow = problems.problem("request-timeout", "The request came too slowly", 408, detail)
        return slow.response({"Connection": "close"})

    async def _incoming(self, headers: Mapping[bytes, bytes], receive: Receive) -> Receive:
        """A `receive` with the whole body, which is within its limits and harmless."""
        length = int(headers.get(b"content-length", b"0"))  # the server has checked that it is a number
        if length == 0 and b"transfer-encoding" not in headers:
            return receive
        body = await self._body(length, receive)
        if problems.is_json(headers.get(b"content-type", b"").decode("latin-1")):
            check_json(body)
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return messages.pop() if messages else await receive()

        return again

    async def _body(self, length: int, receive: Receive) -> bytes:
        body, more = b"", length <= self._body_bytes_max
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            body += message.get("body", b"")
            length = len(body)
            more = message.get("more_body", False) and length <= self._body_bytes_max
        if length > self._body_bytes_max:
            raise _refuse("body-too-large", 413, f"A body may have {self._body_bytes_max} bytes.")
        return body


class _GoneError(Exception):
    """The client hung up before it had said what it wants."""


class _Answer:
    """A `send` that adds the request id and notes the status. An answer that has started may take its time."""

    deadline: asyncio.Timeout | None = None

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._header = (b"x-request-id", request_id.encode())
        self.started = False
        self.status = 499  # what a client that hung up is counted as

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            if self.deadline and not self.deadline.expired():
                self.deadline.reschedule(None)
            message = {**message, "headers": [*message.get("headers", ()), self._header]}
        await self._send(message)


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"")
    return given.decode() if REQUEST_ID_PATTERN.fullmatch(given) else str(new_id())


def _trace(headers: Mapping[bytes, bytes]) -> str:
    """The span's traceparent, else the caller's, else the start of a new trace.

    Never the context's: on a connection kept alive that may still be the one of the request before.
    """
    if span := telemetry.span_traceparent():
        return span
    given = headers.get(b"traceparent", b"").decode("latin-1")
    return given if telemetry.valid_traceparent(given) else telemetry.new_traceparent()


def _check_address(scope: Scope) -> None:
    if b"%00" in scope.get("raw_path", b"") or b"%00" in scope["query_string"] or "\0" in scope["path"]:
        raise _refuse("nul", 400, "An address may not contain NUL.")


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "other"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


_PROBLEM = {"schema": {"$ref": "#/components/schemas/Problem"}}


class _App(FastAPI):
    """FastAPI with our error documents in its OpenAPI page."""

    examples: Mapping[str, list[Any]]  # of answers, by schema

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = problems.Problem.model_json_schema()
            api_page.list_all(document)
            for name, examples in self.examples.items():
                schemas[name]["examples"] = examples
        return super().openapi()


def build_app(
    settings: ServiceSettings,
    *,
    title: str,
    version: str,
    routers: Sequence[APIRouter],
    checks: Mapping[str, health.Check] | None = None,
    registry: CollectorRegistry | None = None,
    verifier: tokens.TokenVerifier | None = None,
    lifespan: "Lifespan | None" = None,
) -> FastAPI:
    """A service's app: its routers behind the door, with docs, health and metrics.

    `checks` are what `/health/ready` asks, by name. `/docs/<service>` and `/openapi/<service>.json` are the same
    under the gateway and directly.

    Raises:
        tokens.UndeclaredRouteError: A route says neither `require(...)` nor `public()` (H2).
    """
    for router in routers:
        tokens.check_declared(router)
    app = _App(
        title=title,
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        telemetry=telemetry.of_requests(settings.otlp_endpoint),
        responses={"4XX": {"description": "Refused", "content": {problems.MEDIA_TYPE: _PROBLEM}}},
    )
    app.examples = api_page.answer_examples(routers)
    registry = registry or telemetry.new_registry()
    app.add_middleware(
        Door,
        body_bytes_max=settings.http_body_bytes_max,
        timeout_seconds=settings.http_timeout_seconds,
        metrics=telemetry.HttpMetrics(registry),
    )
    problems.install(app)
    app.state.verifier = verifier or tokens.TokenVerifier(
        jwks_url=settings.jwks_url, issuer=settings.jwt_issuer, audience=settings.jwt_audience
    )
    for router in (*routers, health.router(checks or {}, registry)):
        app.include_router(router)
    try_page.add(app, settings.service, settings.api_page_tokens)
    return app


class Lifespan(Protocol):
    def __call__(self, app: FastAPI, /) -> AbstractAsyncContextManager[None]: ...
