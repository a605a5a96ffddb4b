"""Each kind of break is found and named by its field; what is allowed passes."""

from typing import Any

import pytest

from contracts.compatibility import breaking_changes

AMOUNT = {"type": "integer", "minimum": 0, "maximum": 100}
MODEL = {"type": "string", "enum": ["hold", "immediate"]}
COUNTRY = {"type": "string", "pattern": "^[A-Z]{2}$"}
TIER = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
    "required": ["title"],
}


def pledge(required: tuple[str, ...] = ("amount", "model", "country"), **changed: Any) -> dict[str, Any]:
    """The schema of a small event; `changed` replaces fields, and None takes one away."""
    fields: dict[str, Any] = {
        "amount": AMOUNT,
        "model": MODEL,
        "country": COUNTRY,
        "note": {"type": "string", "default": ""},
        "tiers": {"type": "array", "items": {"$ref": "#/$defs/Tier"}, "default": []},
    } | changed
    properties = {name: field for name, field in fields.items() if field is not None}
    return {"type": "object", "properties": properties, "required": [*required], "$defs": {"Tier": TIER}}


def with_tier(**changed: Any) -> dict[str, Any]:
    return {**pledge(), "$defs": {"Tier": {**TIER, **changed}}}


BREAKS = {
    "a removed required field": (
        pledge(required=("amount", "model"), country=None),
        "country: removed",
    ),
    "a removed optional field": (pledge(note=None), "note: removed"),
    "a new required field": (
        pledge(required=("amount", "model", "country", "city"), city={"type": "string"}),
        "city: new and required, but old events do not carry it",
    ),
    "a required field that a new writer may drop": (
        pledge(required=("amount", "model"), country={**COUNTRY, "default": "DE"}),
        "country: no longer required, but old readers require it",
    ),
    "a default removed": (
        pledge(required=("amount", "model", "country", "note"), note={"type": "string"}),
        "note: default removed, and old events need not carry the field",
    ),
    "a default changed": (
        pledge(note={"type": "string", "default": "none"}),
        "note: default changed, so old events without the field would mean something else",
    ),
    "another type": (
        pledge(amount={"type": "number", "minimum": 0, "maximum": 100}),
        "amount: type changed from integer to number",
    ),
    "another format": (
        pledge(country={"type": "string", "format": "uuid", "pattern": "^[A-Z]{2}$"}),
        "country: type changed from string to string (uuid)",
    ),
    "null allowed where it was not": (
        pledge(amount={"anyOf": [AMOUNT, {"type": "null"}]}),
        "amount: type changed from integer to integer | null",
    ),
    "a raised lower bound": (
        pledge(amount={**AMOUNT, "minimum": 1}),
        "amount: minimum changed from 0 to 1: old events may not fit",
    ),
    "a lowered lower bound": (
        pledge(amount={**AMOUNT, "minimum": -1}),
        "amount: minimum changed from 0 to -1: old readers refuse what new writers may send",
    ),
    "a lowered upper bound": (
        pledge(amount={**AMOUNT, "maximum": 99}),
        "amount: maximum changed from 100 to 99: old events may not fit",
    ),
    "a new upper bound": (
        pledge(country={**COUNTRY, "maxLength": 2}),
        "country: maxLength changed from None to 2: old events may not fit",
    ),
    "a bound taken away": (
        pledge(amount={"type": "integer", "minimum": 0}),
        "amount: maximum changed from 100 to None: old readers refuse what new writers may send",
    ),
    "an enum value lost": (
        pledge(model={"type": "string", "enum": ["hold"]}),
        'model: enum lost "immediate": old events may not fit',
    ),
    "an enum value narrowed to a constant": (
        pledge(model={"type": "string", "const": "hold"}),
        'model: enum lost "immediate": old events may not fit',
    ),
    "an enum value gained": (
        pledge(model={"type": "string", "enum": ["hold", "immediate", "saved_card"]}),
        'model: enum gained "saved_card": old readers refuse what new writers may send',
    ),
    "another pattern": (
        pledge(country={"type": "string", "pattern": "^D[A-Z]$"}),
        "country: pattern changed from ^[A-Z]{2}$ to ^D[A-Z]$: old events or old readers may not fit",
    ),
    "a field removed inside a list's items": (
        with_tier(properties={"title": {"type": "string"}}),
        "tiers[].limit: removed",
    ),
    "a bound inside an optional field": (
        with_tier(
            properties={
                **TIER["properties"],  # type: ignore[dict-item]  # the literal's values are mixed
                "limit": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
            }
        ),
        "tiers[].limit: minimum changed from None to 1: old events may not fit",
    ),
    "a field required inside a list's items": (
        with_tier(required=["title", "limit"]),
        "tiers[].limit: default removed, and old events need not carry the field",
    ),
}

ALLOWED = {
    "nothing": pledge(),
    "a new field with a default": pledge(city={"type": "string", "default": ""}),
    "a new field with a default inside a list's items": with_tier(
        properties={
            **TIER["properties"],  # type: ignore[dict-item]  # the literal's values are mixed
            "sold_out": {"type": "boolean", "default": False},
        }
    ),
    "another description, title and example": pledge(
        amount={**AMOUNT, "description": "Cents", "title": "Amount", "examples": [5]}
    ),
    "a definition written out in place": pledge(tiers={"type": "array", "items": TIER, "default": []}),
    "enum values in another order": pledge(model={"type": "string", "enum": ["immediate", "hold"]}),
}


@pytest.mark.parametrize(("changed", "expected"), BREAKS.values(), ids=BREAKS.keys())
def test_a_break_is_found_and_named(changed: dict[str, Any], expected: str) -> None:
    assert breaking_changes(pledge(), changed) == [expected]


@pytest.mark.parametrize("changed", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_breaks_nobody_passes(changed: dict[str, Any]) -> None:
    assert breaking_changes(pledge(), changed) == []


def test_all_breaks_of_one_change_are_told_at_once() -> None:
    changed = pledge(note=None, amount={**AMOUNT, "minimum": 1})
    assert breaking_changes(pledge(), changed) == [
        "amount: minimum changed from 0 to 1: old events may not fit",
        "note: removed",
    ]


def test_a_schema_that_refers_to_itself_is_refused() -> None:
    endless = {"$ref": "#/$defs/Node", "$defs": {"Node": {"properties": {"next": {"$ref": "#/$defs/Node"}}}}}
    with pytest.raises(ValueError, match="nests deeper than 20"):
        breaking_changes(endless, endless)
