"""Whatever is sent to a service, its answer is one that its OpenAPI page describes (DOMAIN H4).

Requests are made from the page itself by schemathesis, right ones and wrong ones, with good, bad and no tokens; and
bodies that could hurt further in are sent to every command. hypothesis draws the same examples in every run.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import hypothesis
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from contracts.ids import new_id
from deploy.local.plain_http import NO_TLS

EXAMPLES: Final = 12  # For each operation and kind of input: half a minute for a service with twenty operations.
TIMEOUT_SECONDS: Final = 10.0
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

# What must not get past the door, and the problem that says so.
HOSTILE: Final[Mapping[str, tuple[bytes, str]]] = {
    "NUL in a text": (b'{"title": "a\\u0000b"}', "nul"),
    "NUL in a name": (b'{"a\\u0000b": 1}', "nul"),
    "half a surrogate pair": (b'{"title": "\\ud800"}', "broken-json"),
    "the other half": (b'{"title": "\\udfff\\ud800"}', "broken-json"),
    "not UTF-8": (b'{"title": "\xff"}', "broken-json"),
    "10^18": (b'{"goal": {"amount": 1000000000000000000, "currency": "EUR"}}', "number-too-large"),
    "-10^18": (b'{"amount": -1000000000000000000}', "number-too-large"),
    "a number of 5000 digits": (b'{"limit": ' + b"9" * 5_000 + b"}", "number-too-large"),
    "infinity": (b'{"limit": Infinity}', "broken-json"),
    "1 MB": (b'{"title": "' + b"x" * 1_000_000 + b'"}', "body-too-large"),
    "deep nesting": (b'{"policy": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "too-deep"),
    "half a document": (b'{"title": "', "broken-json"),
}


@dataclass(frozen=True)
class Target:
    """A running service: its address, its page, tokens good and bad, and ids that it knows by their parameter.

    `endless`: paths whose answer does not end by itself; they are asked about unknown ids only.
    """

    address: str
    document: dict[str, Any]
    tokens: Sequence[str]
    bad_tokens: Sequence[str]
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)
    endless: frozenset[str] = frozenset()
    examples: int = EXAMPLES


class UndescribedError(AssertionError):
    """An answer is not one that the page describes. The message has the request as a command to repeat it."""


async def fuzz(target: Target) -> int:
    """Ask every operation of the page many things. Returns how many answers were checked.

    hypothesis is synchronous: it works in a thread, and the service in the event loop as ever.

    Raises:
        UndescribedError: About the smallest such request that was found.
    """
    return await asyncio.to_thread(_fuzz_all, target)


def _fuzz_all(target: Target) -> int:
    checked = 0
    schema = schemathesis.openapi.from_dict(target.document)
    with requests.Session() as session:
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            for mode in GenerationMode:
                checked += _fuzz_one(target, found.ok(), mode, session)
    return checked


def _fuzz_one(target: Target, operation: Any, mode: GenerationMode, session: requests.Session) -> int:
    checked = 0
    known = {} if operation.path in target.endless else target.known
    ids = st.fixed_dictionaries({name: st.sampled_from(given) for name, given in known.items()})
    good, bad = st.sampled_from(target.tokens), st.sampled_from(["", *target.bad_tokens])

    @hypothesis.settings(
        max_examples=target.examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        report_multiple_bugs=False,
    )
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=mode),
        token=st.one_of(good, good, good, bad),
        ids=st.one_of(ids, ids, ids, st.just({})),
    )
    def ask(case: Case[Any], token: str, ids: dict[str, str]) -> None:
        nonlocal checked
        case.path_parameters |= {name: value for name, value in ids.items() if name in case.path_parameters}
        hypothesis.assume(_stays(case))
        if mode is GenerationMode.POSITIVE and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = str(new_id())  # what was drawn would mostly be the one before
        if token:
            case.headers["Authorization"] = f"Bearer {token}"
        response = case.call(base_url=target.address, session=session, timeout=TIMEOUT_SECONDS)
        case.validate_response(response, checks=CHECKS)
        _check_problem(operation.definition.raw, response.status_code, response.headers, response.json)
        checked += 1

    try:
        ask()
    except hypothesis.errors.Unsatisfiable:
        return 0  # an operation without any input has no wrong one
    except FailureGroup as failures:
        raise UndescribedError("\n".join(map(str, (failures, *failures.exceptions)))) from None
    return checked


def _stays(case: Case[Any]) -> bool:
    """A parameter with a slash, or none at all, is the address of something else."""
    return all(str(value) not in {"", ".", ".."} and "/" not in str(value) for value in case.path_parameters.values())


def _check_problem(
    operation: Mapping[str, Any], status: int, headers: Mapping[str, Any], body: Callable[[], Any]
) -> None:
    if "application/problem+json" not in str(headers.get("content-type")):
        return
    code = str(body()["type"]).rpartition("/")[2]
    content = operation["responses"][str(status)]["content"]["application/problem+json"]
    if "examples" in content and code not in content["examples"]:
        raise UndescribedError(f"{operation['operationId']} answers {status} {code}, its page does not say so")


def commands(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Method and path of every operation that takes a body."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                yield method.upper(), path


async def send_hostile(target: Target, token: str) -> dict[str, tuple[int, str]]:
    """Send every hostile body to every command, as somebody who may. What was answered otherwise than it should."""
    wrong = {}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(verify=NO_TLS, base_url=target.address, timeout=TIMEOUT_SECONDS) as http:
        for method, template in commands(target.document):
            path = template.format(**{name: given[0] for name, given in target.known.items()})
            for name, (body, code) in HOSTILE.items():
                answer = await http.request(
                    method, path, content=body, headers=headers | {"Idempotency-Key": str(new_id())}
                )
                status = 413 if code == "body-too-large" else 400
                found = answer.status_code, str(answer.json()["type"]).rpartition("/")[2]
                if found != (status, code):
                    wrong[f"{method} {template}: {name}"] = found
    return wrong
