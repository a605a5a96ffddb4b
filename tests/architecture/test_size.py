"""Files and functions can be read at one sitting."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source_tree import ROOMS, Source, sources

DOMAIN_LINES_MAX = 300  # A service's rules, read in one go.
FUNCTION_LINES_MAX = 40  # One screen; its docstring does not count, so that nobody saves on it.


def too_long(source: Source) -> Iterator[str]:
    """Domain files and functions over their limit."""
    lines = len(source.text.splitlines())
    if source.is_domain and source.path.parts[0] == "services" and lines > DOMAIN_LINES_MAX:
        yield f"{source.path}: {lines} lines, at most {DOMAIN_LINES_MAX}: split it by meaning"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = function_lines(node)
            if lines > FUNCTION_LINES_MAX:
                yield f"{source.at(node.lineno)}: {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    first = node.body[0]
    end = node.end_lineno or node.lineno
    lines = end - node.lineno + 1
    if ast.get_docstring(node) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_nothing_is_too_long() -> None:
    assert [line for source in sources(*ROOMS) for line in too_long(source)] == []


def function(lines: int) -> str:
    return "def f() -> None:\n" + '    """Says\n    why.\n    """\n' + "    x = 1\n" * (lines - 1)


class TestLimits:
    def test_a_function_at_the_limit_passes_and_one_line_more_is_found(self) -> None:
        path = Path("services/pledge/handlers.py")
        assert list(too_long(Source(path, function(40)))) == []
        assert list(too_long(Source(path, function(41)))) == [f"{path}:1: f has 41 lines, at most 40"]

    def test_a_domain_at_the_limit_passes_and_one_line_more_is_found(self) -> None:
        path = Path("services/pledge/domain.py")
        assert list(too_long(Source(path, "x = 1\n" * 300))) == []
        assert list(too_long(Source(path, "x = 1\n" * 301))) == [f"{path}: 301 lines, at most 300: split it by meaning"]

    def test_another_file_may_be_longer(self) -> None:
        assert list(too_long(Source(Path("services/pledge/queries.py"), "x = 1\n" * 301))) == []
