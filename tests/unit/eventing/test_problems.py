"""Problem documents, the check of bodies and the fingerprint of commands (DOMAIN H1, H4, P10)."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import from_json

from eventing.http import NESTING_MAX, NUMBER_MAX, Refused, check_json, command_fingerprint
from eventing.problems import is_json, problem

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
SCALARS = st.none() | st.booleans() | st.integers(-NUMBER_MAX, NUMBER_MAX) | TEXT
HARMLESS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner), max_leaves=20)


class TestCheckJson:
    @given(HARMLESS, st.booleans())
    def test_lets_every_harmless_value_pass(self, value: Any, ascii_only: bool) -> None:
        check_json(json.dumps(value, ensure_ascii=ascii_only).encode())

    @given(st.binary(max_size=200))
    def test_raises_nothing_but_a_refusal(self, body: bytes) -> None:
        with suppress(Refused):
            check_json(body)
            assert from_json(body) == json.loads(body)  # what passed is read alike further in

    @given(HARMLESS, st.sampled_from(["a\0b", "\ud800", NUMBER_MAX + 1, -NUMBER_MAX - 1, 1e13, float("nan")]))
    def test_finds_what_is_harmful_wherever_it_stands(self, value: Any, harmful: Any) -> None:
        for body in ([value, {"a": [harmful]}], {"a": value, "b": harmful}, [[value], harmful]):
            with pytest.raises(Refused):
                check_json(json.dumps(body).encode())

    @pytest.mark.parametrize("leaf", ["", "1", '{"a": 1}'])
    def test_counts_the_nesting(self, leaf: str) -> None:
        depth = NESTING_MAX - leaf.count("{")
        check_json(b"[" * depth + leaf.encode() + b"]" * depth)
        with pytest.raises(Refused, match="too-deep"):
            check_json(b"[" * (depth + 1) + leaf.encode() + b"]" * (depth + 1))


class Command(BaseModel):
    amount: int
    tier: str | None = None


class TestFingerprint:
    def test_is_the_same_for_the_same_command_however_it_was_written(self) -> None:
        one = command_fingerprint("POST", "/pledges", Command.model_validate_json('{"tier": "a", "amount": 5}'))
        two = command_fingerprint("POST", "/pledges", Command.model_validate_json('{"amount":5,"tier":"a"}'))
        assert one == two
        assert len(one) == 64

    def test_differs_by_method_path_and_body(self) -> None:
        body = Command(amount=5)
        commands = [
            command_fingerprint("POST", "/pledges/1", body),
            command_fingerprint("PUT", "/pledges/1", body),
            command_fingerprint("POST", "/pledges/2", body),
            command_fingerprint("POST", "/pledges/1", Command(amount=6)),
            command_fingerprint("POST", "/pledges/1"),
        ]
        assert len(set(commands)) == len(commands)

    def test_a_field_added_later_does_not_change_it(self) -> None:
        class Later(Command):
            note: str = ""

        assert command_fingerprint("POST", "/", Later(amount=5)) == command_fingerprint("POST", "/", Command(amount=5))


class TestProblem:
    def test_has_the_five_parts_and_extensions_that_replace_none_of_them(self) -> None:
        made = problem("cutoff-passed", "Locked", 409, "Too late.", cutoff="12:00", status=200, title="other")
        assert made.model_dump() == {
            "type": "/problems/cutoff-passed",
            "title": "Locked",
            "status": 409,
            "detail": "Too late.",
            "cutoff": "12:00",
        }
        assert made.response().media_type == "application/problem+json"

    @pytest.mark.parametrize(
        ("content_type", "expected"),
        [
            ("application/json", True),
            ("Application/JSON; charset=utf-8", True),
            ("application/cloudevents+json", True),
            ("text/json", False),
            ("application/jsonx", False),
            ("", False),
        ],
    )
    def test_knows_json_by_its_content_type(self, content_type: str, expected: bool) -> None:
        assert is_json(content_type) is expected
