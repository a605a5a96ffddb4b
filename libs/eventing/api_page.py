"""Which problems a route answers, on its OpenAPI page: exactly those that can come (DOMAIN H1, H4).

A router says that its routes list everything, by `responses=ALL_LISTED`, and each route its own refusals, by
`responses=refusals(...)`. What the house itself may answer follows from the route: every route can meet the limits of
the door, a command can lack its Idempotency-Key, a guarded route its token.
"""

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel

from eventing import problems
from eventing.idempotency import IdempotencyMismatch
from eventing.refusal import Refusal
from eventing.tokens import Unauthenticated

_MARK: Final = "x-all-listed"
_ANY: Final = "4XX"  # what a route that lists nothing says of its problems
ALL_LISTED: Final[Mapping[int | str, dict[str, Any]]] = {_ANY: {_MARK: True}}

Kind = tuple[str, int, str]  # code, status, title

_AT_THE_DOOR: Final[tuple[Kind, ...]] = (
    ("broken-json", 400, "The body is not valid JSON in UTF-8"),
    ("nul", 400, "There is a NUL in a text or in the address"),
    ("number-too-large", 400, "A number is beyond 10^12"),
    ("too-deep", 400, "The JSON is nested too deep"),
    ("request-timeout", 408, "The request came too slowly"),
    ("body-too-large", 413, "The body is too large"),
    ("unavailable", 503, "Try again in a moment: `Retry-After` says when"),
)
_OF_A_COMMAND: Final[tuple[Kind, ...]] = (
    ("idempotency-key", 400, "Idempotency-Key is missing or malformed"),
    (IdempotencyMismatch.code, IdempotencyMismatch.status, IdempotencyMismatch.title),
)
_OF_A_BODY: Final[Kind] = ("unsupported-media-type", 415, "The body is of the wrong kind")
_OF_INPUT: Final[Kind] = ("invalid-request", 422, "The request is not valid; `errors` lists why")
_OF_A_TOKEN: Final[Kind] = (Unauthenticated.code, Unauthenticated.status, Unauthenticated.title)


def refusals(*kinds: type[Refusal]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can be refused for these reasons, beside what every route may answer."""
    return _responses((kind.code, kind.status, kind.title) for kind in kinds)


def list_all(document: dict[str, Any]) -> None:
    """Complete the operations of routers that said `ALL_LISTED`; others keep their `4XX`."""
    for methods in document.get("paths", {}).values():
        for operation in methods.values():
            responses = operation["responses"]
            if not responses.get(_ANY, {}).get(_MARK):
                continue
            del responses[_ANY]
            for status, response in _responses(_of_the_house(operation)).items():
                known = responses.setdefault(str(status), response)
                known["content"][problems.MEDIA_TYPE]["examples"] |= response["content"][problems.MEDIA_TYPE][
                    "examples"
                ]
            operation["responses"] = dict(sorted(responses.items()))


def answer_examples(routers: Iterable[APIRouter]) -> dict[str, list[Any]]:
    """The examples of all answers' models as they are written, by the model's name: FastAPI's page drops every null."""
    found = {}
    for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
        model = route.response_model
        if isinstance(model, type) and issubclass(model, BaseModel):
            extra = model.model_config.get("json_schema_extra")
            if isinstance(extra, dict) and isinstance(examples := extra.get("examples"), list):
                found[model.__name__] = examples
    return found


def _of_the_house(operation: Mapping[str, Any]) -> Iterator[Kind]:
    yield from _AT_THE_DOOR
    parameters = {one["name"] for one in operation.get("parameters", ())}
    if "Idempotency-Key" in parameters:
        yield from _OF_A_COMMAND
    if "requestBody" in operation:
        yield _OF_A_BODY
    if "requestBody" in operation or parameters - {"Idempotency-Key"}:
        yield _OF_INPUT
    if any("Token" in scheme for scheme in operation.get("security", ())):
        yield _OF_A_TOKEN


def _responses(kinds: Iterable[Kind]) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {}
    for code, status, title in kinds:
        example = problems.Problem(type=f"{problems.TYPE_PREFIX}{code}", title=title, status=status, detail=title)
        response = found.setdefault(status, {"description": HTTPStatus(status).phrase, "content": {}})
        content = response["content"].setdefault(
            problems.MEDIA_TYPE, {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
        )
        content["examples"][code] = {"summary": title, "value": example.model_dump()}
    return found
