"""Reads scenario files; every mistake becomes a line with the file, the place, what is wrong and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scenarios.model import Scenario
from scenarios.reckoning import problems

FOLDER = Path(__file__).parent
FILE_BYTES_MAX = 2**20  # Thousands of groups; more is not a scenario.
SHOWN_MAX = 60  # Characters of a wrong value.


class ScenarioError(Exception):
    """One line for each mistake, in the order of the file."""


def load(paths: Sequence[Path] = ()) -> list[Scenario]:
    """The scenarios of these files, or of all in this folder.

    Raises:
        ScenarioError: a file cannot be read or breaks the rules, or two scenarios have the same name.
    """
    paths = paths or sorted(FOLDER.glob("*.json"))
    scenarios = [read(path) for path in paths]
    names = [scenario.name for scenario in scenarios]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ScenarioError(f"two scenarios are called {twice[0]!r}: a name may be used once")
    return scenarios


def read(path: Path) -> Scenario:
    """One scenario. Raises ScenarioError."""
    try:
        document = json.loads(_text(path), object_pairs_hook=_without_repeats)
        scenario = Scenario.model_validate(document)
    except json.JSONDecodeError as error:
        raise ScenarioError(f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except ValidationError as error:
        raise ScenarioError("\n".join(_lines(path, error.errors()))) from None
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"{path}: not JSON: {error}") from None
    if found := list(problems(scenario)):
        raise ScenarioError("\n".join(f"{path}: {place}: {what}" for place, what in found))
    return scenario


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ScenarioError(f"{path}: larger than {FILE_BYTES_MAX} bytes")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror}") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a name come twice and the last one win, which hides a mistake."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} comes twice")
    return found


def _lines(path: Path, errors: Iterable[Any]) -> list[str]:
    return [f"{path}: {_place(error['loc']) or 'the whole file'}: {_message(error)}" for error in errors]


def _place(loc: Sequence[int | str]) -> str:
    """`phases[0].pledge[1].backers.DE`."""
    text = ""
    for step in loc:
        if step == "[key]":
            continue
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _message(error: Any) -> str:
    if error["type"] == "missing":
        return "is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in {"unknown_field", "value_error"}:
        return message
    shown = json.dumps(error["input"], default=str)
    return f"{message} (found {shown if len(shown) <= SHOWN_MAX else shown[:SHOWN_MAX] + '…'})"
