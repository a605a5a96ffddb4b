"""What all routes of the pledge service share: who asks, how answers look, which problems they document."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Response
from pydantic_core import to_json

from eventing.definition import Answer
from eventing.problems import MEDIA_TYPE, TYPE_PREFIX
from eventing.refusal import Refusal
from eventing.tokens import Forbidden, Principal, Role, Unauthenticated, require

Backer = Annotated[Principal, require(Role.BACKER)]
Creator = Annotated[Principal, require(Role.CREATOR)]
Responses = dict[int | str, dict[str, Any]]

# What the door and the house themselves answer: (status, code, title). See `eventing.http` and `eventing.problems`.
_DOOR: Final = (
    (400, "nul", "The request stops at the door"),
    (422, "invalid-request", "The request is not valid"),
    (503, "unavailable", "Try again in a moment"),
)
_COMMAND: Final = (
    (400, "broken-json", "The request stops at the door"),
    (400, "too-deep", "The request stops at the door"),
    (400, "number-too-large", "The request stops at the door"),
    (400, "idempotency-key", "Idempotency-Key is missing or malformed"),
    (408, "request-timeout", "The request came too slowly"),
    (413, "body-too-large", "The request stops at the door"),
    (415, "unsupported-media-type", "The body is of the wrong kind"),
    (422, "idempotency-key-reused", "This Idempotency-Key was used for another command"),
)


def problems(*refusals: type[Refusal], command: bool = False) -> Responses:
    """The `responses` of a route that may be refused like this: every problem type, by status, with an example."""
    kinds: tuple[type[Refusal], ...] = (Unauthenticated, Forbidden, *refusals)
    known = [(kind.status, kind.code, kind.title) for kind in kinds]
    documents: dict[int, dict[str, Any]] = {}
    for status, code, title in (*known, *_DOOR, *(_COMMAND if command else ())):
        value = {"type": f"{TYPE_PREFIX}{code}", "title": title, "status": status, "detail": "What to do about it."}
        documents.setdefault(status, {})[code] = {"summary": title, "value": value}
    return {
        status: {
            "description": "; ".join(dict.fromkeys(one["summary"] for one in examples.values())),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
        }
        for status, examples in sorted(documents.items())
    }


def json_answer(answer: Answer, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as it was stored for its Idempotency-Key: it needs no second validation."""
    return Response(to_json(answer), status, headers, "application/json")


def etag(version: int) -> str:
    """A pledge as it is after so many of its events (RFC 9110)."""
    return f'"{version}"'


def versions_of(if_match: str | None) -> frozenset[int] | None:
    """The versions that an If-Match header names; None: any. What is no strong ETag of ours matches nothing."""
    if if_match is None or if_match.strip() == "*":
        return None
    named = (part.strip() for part in if_match.split(","))
    return frozenset(
        int(tag[1:-1]) for tag in named if len(tag) <= 20 and tag[:1] == tag[-1:] == '"' and tag[1:-1].isdecimal()
    )
