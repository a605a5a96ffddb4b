"""Events are facts: frozen, without floats (DOMAIN M1), and silent about who a person is (N4)."""

import importlib
import re
import typing
from collections.abc import Iterator
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel, ConfigDict

from contracts.event import Event
from contracts.registry import PUBLIC_EVENTS
from tests.architecture.source_tree import domains

# Words that no field of an event may have in its name.
PERSONAL = {
    "address", "birthday", "bic", "card", "city", "cvc", "cvv", "email", "exp", "expiry", "firstname",
    "iban", "ip", "lastname", "mail", "mobile", "name", "pan", "phone", "postcode", "street", "surname", "user", "zip",
}  # fmt: skip
SECRET = {"auth", "bearer", "code", "jwt", "key", "link", "password", "pin", "secret", "token", "url"}
MUTABLE = (list, dict, set, bytearray)


def event_models() -> dict[str, type[Event]]:
    """Public events, and the private ones that the services' domains declare."""
    for source in domains():
        importlib.import_module(".".join(source.path.with_suffix("").parts[1:]))
    return {model.type: model for model in _below(Event) if "type" in vars(model)} | dict(PUBLIC_EVENTS)


def _below(model: type[Event]) -> Iterator[type[Event]]:
    for child in model.__subclasses__():
        if not child.__module__.startswith("tests."):
            yield child
            yield from _below(child)


def faults(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """What is wrong with a model's fields and those of the models inside it."""
    if not model.model_config.get("frozen"):
        yield f"{path or model.__name__}: not frozen"
    if model.model_config.get("extra") != "ignore":
        yield f"{path or model.__name__}: does not ignore fields of a newer writer"
    for name, field in model.model_fields.items():
        place = f"{path}.{name}".lstrip(".")
        words = {word.lower() for word in re.split(r"_|(?<=[a-z])(?=[A-Z])", name)}
        if found := words & (PERSONAL | SECRET):
            yield f"{place}: personal or secret ({', '.join(sorted(found))})"
        for kind in _kinds(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from faults(kind, place)
            elif kind is float:
                yield f"{place}: a float"
            elif kind in MUTABLE:
                yield f"{place}: can be changed ({kind.__name__}); use a tuple"


def _kinds(annotation: Any) -> Iterator[Any]:
    """All types that an annotation is made of."""
    if get_origin(annotation) is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif isinstance(annotation, UnionType) or get_origin(annotation) is not None:
        yield get_origin(annotation)
        for part in get_args(annotation):
            yield from _kinds(part)
    else:
        yield annotation


def test_no_event_has_a_fault() -> None:
    assert [f"{name}: {fault}" for name, model in event_models().items() for fault in faults(model)] == []


def test_the_public_events_are_among_those_looked_at() -> None:
    assert set(PUBLIC_EVENTS) <= set(event_models())


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    client_secret: str


class Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")

    at: datetime


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@pytest.mark.parametrize(
    ("annotation", "name", "expected"),
    [
        (str, "email", "email: personal or secret (email)"),
        (str, "creator_name", "creator_name: personal or secret (name)"),
        (str | None, "card_number", "card_number: personal or secret (card)"),
        (str, "linkToken", "linkToken: personal or secret (link, token)"),
        (Inner, "payment", "payment.client_secret: personal or secret (secret)"),
        (tuple[Inner, ...], "payments", "payments.client_secret: personal or secret (secret)"),
        (float, "share", "share: a float"),
        (Annotated[float | None, "of the goal"], "share", "share: a float"),
        (list[int], "parts", "parts: can be changed (list); use a tuple"),
        (typing.Optional[dict[str, int]], "parts", "parts: can be changed (dict); use a tuple"),  # noqa: UP045 - the old spelling must be found too
        (Loose, "inner", "inner: not frozen"),
        (Strict, "inner", "inner: does not ignore fields of a newer writer"),
    ],
)
def test_a_fault_is_found(annotation: Any, name: str, expected: str) -> None:
    model = type(
        "Sample",
        (BaseModel,),
        {"__annotations__": {name: annotation}, "model_config": ConfigDict(frozen=True, extra="ignore")},
    )
    assert list(faults(model)) == [expected]


def test_opaque_ids_and_sums_are_no_fault() -> None:
    assert NoneType in set(_kinds(int | None))
    assert list(faults(PUBLIC_EVENTS["pledge.PledgePlaced.v1"])) == []
