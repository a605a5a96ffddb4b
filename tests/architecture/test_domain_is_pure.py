"""A domain decides from its arguments alone: no I/O, no clock, no randomness, no ids of its own.

import-linter forbids whole modules; this looks at the calls of modules that a domain needs for their types.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import Source, domains

CLOCKS = {"now", "utcnow", "today"}  # of datetime and date
IDS = {"new_id", "uuid1", "uuid3", "uuid4", "uuid5", "uuid6", "uuid7", "uuid8", "getnode"}
DOORS = {"open", "print", "input", "breakpoint", "exec", "eval", "__import__"}
# What a domain may import beside its own service and the contracts: types, arithmetic, structure.
ALLOWED_MODULES = {
    "__future__", "abc", "bisect", "collections", "contracts", "copy", "dataclasses", "datetime", "decimal",
    "enum", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "pydantic",
    "re", "statistics", "string", "types", "typing", "uuid", "zoneinfo",
}  # fmt: skip
# Of the eventing core: how a rule says no, which is plain data.
ALLOWED_EVENTING = {"eventing.refusal"}


def impurities(source: Source) -> list[str]:
    """Each impure import, call or coroutine of a domain module, with its place."""
    own = source.path.parts[1]
    return [f"{source.at(line)}: {what}" for line, what in sorted(_found(source.tree, own))]


def _found(tree: ast.Module, own: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield from _import(node.lineno, alias.name, own)
            case ast.ImportFrom(level=0):
                yield from _import(node.lineno, node.module or "", own)
                drawn = IDS & {alias.name for alias in node.names}
                yield from ((node.lineno, f"imports {name}: ids come as arguments") for name in drawn)
            case ast.Attribute(attr=name) if name in CLOCKS | IDS:
                yield node.lineno, f"uses .{name}: times and ids come as arguments"
            case ast.Call(func=ast.Name(id=name)) if name in DOORS:
                yield node.lineno, f"calls {name}()"
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield node.lineno, "is asynchronous: a decision waits for nothing"
            case _:
                pass


def _import(line: int, module: str, own: str) -> Iterator[tuple[int, str]]:
    head = module.partition(".")[0]
    if head not in ALLOWED_MODULES | {own} and module not in ALLOWED_EVENTING:
        yield line, f"imports {module}, which is not on the list of pure modules"


def sample(text: str) -> Source:
    return Source(Path("services/pledge/domain.py"), text)


def test_every_domain_is_pure() -> None:
    assert [line for source in domains() for line in impurities(source)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio",
        "import os.path",
        "from random import random",
        "from eventing.work import Work",
        "import payment.domain",
        "from contracts.ids import new_id",
        "from uuid import UUID, uuid4",
        "import uuid\nmade = uuid.uuid4()",
        "from contracts import ids\nmade = ids.new_id()",
        "from datetime import UTC, datetime\nat = datetime.now(UTC)",
        "import datetime\nat = datetime.datetime.utcnow()",
        "from datetime import date\nday = date.today()",
        "from datetime import datetime\nclock = datetime.now",
        "print('decided')",
        "text = open('rules').read()",
        "async def decide() -> None: ...",
    ],
)
def test_an_impurity_is_found(text: str) -> None:
    [*_, found] = impurities(sample(text))
    assert found.startswith("services/pledge/domain.py:")


def test_types_and_arithmetic_are_pure() -> None:
    text = """
from datetime import datetime, timedelta
from uuid import UUID
from contracts.money import Money
from eventing.refusal import Refusal
from pledge.domain_book import Book

def decide(state: Book, now: datetime) -> tuple[Money, ...]:
    return () if now < state.deadline - timedelta(hours=48) else (state.total,)
"""
    assert impurities(sample(text)) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("services/pledge/domain.py", True),
        ("services/payment/domain_ledger.py", True),
        ("services/payment/domain/ledger.py", True),
        ("services/payment/handlers.py", False),
        ("services/payment/domains_of_mail.py", False),
    ],
)
def test_what_counts_as_a_domain(path: str, expected: bool) -> None:
    assert Source(Path(path), "").is_domain is expected
