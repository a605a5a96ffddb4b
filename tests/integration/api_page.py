"""What every service's OpenAPI page is to have (DOMAIN H1): its problems by name, and examples that are right."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from tests.integration.who_may import operations

PROBLEM = "application/problem+json"
OF_EVERY_ROUTE = {"400", "408", "413", "503"}  # the door's own, and a backing server that is away


def operation_of(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    method, _, path = name.partition(" ")
    found: dict[str, Any] = document["paths"][path][method.lower()]
    return found


def without_problems(document: Mapping[str, Any], prefix: str) -> list[str]:
    """Operations that leave open which problems they answer, or have a status of a problem without its types."""
    return [
        name
        for name in operations(document, prefix)
        if not _lists_all({s: r for s, r in operation_of(document, name)["responses"].items() if s >= "4"})
    ]


def _lists_all(refusals: Mapping[str, Any]) -> bool:
    listed = (response["content"].get(PROBLEM, {}).get("examples") for response in refusals.values())
    return "4XX" not in refusals and refusals.keys() >= OF_EVERY_ROUTE and all(listed)


def without_example(document: Mapping[str, Any], prefix: str) -> list[str]:
    """Bodies and answers whose schema has no example, or one that does not fit."""
    return [
        f"{place}: {fault}"
        for name in operations(document, prefix)
        for place, schema in _schemas(operation_of(document, name), name)
        if (fault := _fault(document, schema))
    ]


def _schemas(operation: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    for place, holder in {"body": operation.get("requestBody", {}), **operation["responses"]}.items():
        if "application/json" in holder.get("content", {}):
            yield f"{name} {place}", holder["content"]["application/json"]["schema"]


def _fault(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """An optional body is `anyOf` a schema and null. A bare list has examples of what is in it."""
    schema = schema.get("items", schema)
    [reference] = [one["$ref"] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one]
    written = document["components"]["schemas"][reference.rpartition("/")[2]]
    if not written.get("examples"):
        return f"{reference} has no example"
    try:
        for example in written["examples"]:
            Draft202012Validator({**document, "$ref": reference}).validate(example)
    except ValidationError as error:
        return f"an example of {reference} does not fit: {error.message}"
    return ""
