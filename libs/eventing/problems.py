"""Errors as RFC 9457 problem documents (DOMAIN H1, H4): a stable `type`, words for a person, no input."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

from eventing.refusal import Refusal, Unavailable

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/problems/"
RETRY_AFTER_SECONDS = 1
FIELDS_MAX = 20  # A client mends a few at a time; more would make a large answer of a small request.

# SQLSTATE classes of a database that is away, full or stopping: come back later.
_DATABASE_AWAY = ("08", "53", "57")

# These errors of pydantic quote what came in; all others only say what is expected.
_QUOTING = {
    "uuid_parsing": "Input should be a valid UUID",
    "union_tag_invalid": "Input is of an unknown kind",
    "extra_forbidden": "A field is not known here",
}

# Statuses that the framework answers by itself: (code, title, what to do about it).
_BY_STATUS: dict[int, tuple[str, str, str]] = {
    400: ("malformed-request", "The request cannot be read", "Check the request against the API page."),
    404: ("not-found", "There is nothing here", "Check the address against the API page."),
    405: ("method-not-allowed", "The method does not go with this address", "`Allow` lists those that do."),
}

logger = structlog.get_logger()


class Problem(BaseModel):
    """An RFC 9457 problem document. Some types carry more members than these."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Stable name of the kind of problem", examples=["/problems/cutoff-passed"])
    title: str = Field(description="The kind of problem in a few words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What is wrong here, and which rule says so")

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        return Response(to_json(self.model_dump()), self.status, headers, MEDIA_TYPE)


def problem(code: str, title: str, status: int, detail: str, /, **extensions: object) -> Problem:
    """A problem of the type `/problems/<code>`; `extensions` are JSON values shown beside these members."""
    extra: dict[str, Any] = {k: v for k, v in extensions.items() if k not in Problem.model_fields}
    return Problem(type=f"{TYPE_PREFIX}{code}", title=title, status=status, detail=detail, **extra)


def unavailable(detail: str, retry_after_seconds: int = RETRY_AFTER_SECONDS) -> Response:
    """503 with `Retry-After`: a backing server is away or the service is full (H4)."""
    return problem("unavailable", "Try again in a moment", 503, detail).response(
        {"Retry-After": str(retry_after_seconds)}
    )


def internal_error() -> Response:
    """500, which is a bug. It says nothing of what happened inside; the log does."""
    detail = "The service made a mistake. It has been logged under the X-Request-Id of this answer."
    return problem("internal-error", "Something went wrong on our side", 500, detail).response()


def fields(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Which inputs are wrong and why, not what they were: `{"in": "body", "field": "goal.amount", "message"}`."""
    listed = []
    for error in errors[:FIELDS_MAX]:
        place, *path = error["loc"]
        if error["type"] == "extra_forbidden":
            path = path[:-1]  # the unknown name is the client's own text
        message = _QUOTING.get(error["type"]) or error["msg"].removeprefix("Value error, ")
        listed.append({"in": str(place), "field": ".".join(map(str, path)), "message": message})
    return listed


def install(app: FastAPI) -> None:
    """Answer every refusal and error of an app with a problem document."""
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    # What a query raises when the database is away: refused, reset, too slow, stopping.
    app.add_exception_handler(asyncpg.PostgresError, _database)
    app.add_exception_handler(OSError, _database)


async def _refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
    return problem(error.code, error.title, error.status, error.detail, **error.facts).response(headers)


async def _unavailable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)
    return unavailable(str(error), error.retry_after_seconds)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    places = {tuple(item["loc"]) for item in errors}
    if ("body",) in places and not is_json(request.headers.get("content-type", "")):
        detail = "Send the body as application/json."
        return problem("unsupported-media-type", "The body is of the wrong kind", 415, detail).response()
    if ("header", "Idempotency-Key") in places:
        detail = "A command needs an Idempotency-Key header of 1 to 255 visible ASCII characters."
        return problem("idempotency-key", "Idempotency-Key is missing or malformed", 400, detail).response()
    detail = "Some fields are missing or wrong; `errors` lists them."
    return problem("invalid-request", "The request is not valid", 422, detail, errors=fields(errors)).response()


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    slug = phrase.lower().replace(" ", "-")
    code, title, detail = _BY_STATUS.get(error.status_code, (slug, phrase, str(error.detail)))
    return problem(code, title, error.status_code, detail).response(error.headers)


async def _database(_request: Request, error: Exception) -> Response:
    if isinstance(error, asyncpg.PostgresError) and not (error.sqlstate or "").startswith(_DATABASE_AWAY):
        raise error  # a bug of ours: 500
    logger.warning("backing_server_away", error=type(error).__name__)
    return unavailable("A server that this service needs is away for the moment.")


def is_json(content_type: str) -> bool:
    """Whether a Content-Type header says JSON, as FastAPI reads it."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
