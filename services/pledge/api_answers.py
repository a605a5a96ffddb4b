"""What the routes of the pledge service share: who asks, and how answers look."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Response
from pydantic_core import to_json

from eventing.definition import Answer
from eventing.tokens import Principal, Role, require

Backer = Annotated[Principal, require(Role.BACKER)]
Creator = Annotated[Principal, require(Role.CREATOR)]


def json_answer(answer: Answer, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as it was stored for its Idempotency-Key: it needs no second validation."""
    return Response(to_json(answer), status, headers, "application/json")


def etag(version: int) -> str:
    """A pledge as it is after so many of its events (RFC 9110)."""
    return f'"{version}"'
