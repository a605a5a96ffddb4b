"""Time is read once per group, by the eventing core; SQL asks the clock only for `recorded_at` and leases.

A statement that reads the clock on its own would decide by another time than the group it belongs to.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import Source, sources

CLOCK = re.compile(
    r"""(?<![.\w])(?:now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)
        |\b(?:current_timestamp|localtimestamp|current_date|current_time)\b""",
    re.IGNORECASE | re.VERBOSE,
)
ALLOWED = re.compile(r"recorded_at|lease", re.IGNORECASE)


def clock_readings(source: Source) -> list[str]:
    """Each line of SQL that reads the clock for anything but `recorded_at` or a lease, with its place."""
    lines = _sql_lines(source) if source.path.suffix == ".sql" else _python_sql_lines(source)
    return [
        f"{source.at(number)}: {line.strip()}"
        for number, line in lines
        if CLOCK.search(line) and not ALLOWED.search(line)
    ]


def _sql_lines(source: Source) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        yield number, line.split("--")[0]


def _python_sql_lines(source: Source) -> Iterator[tuple[int, str]]:
    """The lines of all string literals but docstrings: an approximation of the SQL in a module."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            for offset, line in enumerate(node.value.splitlines()):
                yield node.lineno + offset, line.split("--")[0]


def test_no_service_reads_the_clock_in_sql() -> None:
    found = [
        reading
        for suffix in (".sql", ".py")
        for source in sources("services", suffix=suffix)
        for reading in clock_readings(source)
    ]
    assert found == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM campaign WHERE deadline < now()",
        "UPDATE pool SET claimed_at = clock_timestamp ( )",
        "INSERT INTO book (closed_at) VALUES (CURRENT_TIMESTAMP)",
        "created_at timestamptz NOT NULL DEFAULT Now()",
    ],
)
class TestClockInSql:
    def test_is_found_in_a_sql_file(self, statement: str) -> None:
        source = Source(Path("services/pledge/migrations/0001_tables.sql"), f"-- a table\n{statement};")
        assert clock_readings(source) == [f"{source.path}:2: {statement};"]

    def test_is_found_in_a_python_literal(self, statement: str) -> None:
        source = Source(Path("services/pledge/queries.py"), f'QUERY = """\n{statement}\n"""')
        assert clock_readings(source) == [f"{source.path}:2: {statement}"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("services/a/migrations/0001_a.sql", "recorded_at timestamptz NOT NULL DEFAULT now()"),
        ("services/a/migrations/0001_a.sql", "-- now() is the transaction's start"),
        ("services/a/queries.py", 'Q = "UPDATE operation SET lease_until = now() + $2"'),
        ("services/a/queries.py", 'def f() -> None:\n    """Never now() in SQL."""'),
        ("services/a/handlers.py", "now = work.now()"),
    ],
)
def test_what_is_allowed(path: str, text: str) -> None:
    assert clock_readings(Source(Path(path), text)) == []
