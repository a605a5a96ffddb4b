"""Documents and code agree: decision records are complete, and every rule id that somebody names exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOMS, ROOT, Source, sources

RECORDS = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
HEADINGS = ["## Context", "## Decision", "## Consequences", "## Check"]
PATH = re.compile(r"`((?:tests|libs|services|deploy|docs|stripe_sandbox|bench)/[\w./-]+|\.importlinter)`")
LINK = re.compile(r"\]\(([^)#:]+)\)")
RULE_SOURCE = ("docs/domain.md", re.compile(r"^- ([A-Z]\d+) ", re.MULTILINE))
NAMED = re.compile(r"DOMAIN ((?:[A-Z]\d+)(?:(?:, | and | to )[A-Z]\d+)*)")
NOTIFY = re.compile(r"\bpg_notify\b|\b(?:NOTIFY|LISTEN) \w+")


def rules() -> set[str]:
    path, pattern = RULE_SOURCE
    return set(pattern.findall((ROOT / path).read_text(encoding="utf-8")))


def unknown_rules(source: Source, known: set[str]) -> Iterator[str]:
    """Rule ids that a file names as `DOMAIN …` and that the rule book does not have."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        for group in NAMED.findall(line):
            for rule in re.findall(r"[A-Z]\d+", group):
                if rule not in known:
                    yield f"{source.at(number)}: there is no rule {rule}"


def dead_paths(text: str, folder: Path) -> list[str]:
    """Paths in backquotes (from the repository's root) and relative links that lead nowhere."""
    named = [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    return named + [link for link in LINK.findall(text) if not (folder / link).exists()]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
class TestDecisionRecord:
    def test_has_context_decision_consequences_and_check(self, record: Path) -> None:
        lines = record.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if line.startswith("## ")] == HEADINGS
        assert lines[0].startswith(f"# {int(record.name[:4])}. ")

    def test_names_only_paths_that_exist(self, record: Path) -> None:
        assert dead_paths(record.read_text(encoding="utf-8"), record.parent) == []

    def test_is_in_the_index(self, record: Path) -> None:
        index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
        title = record.read_text(encoding="utf-8").splitlines()[0].split(". ", 1)[1]
        assert f"| [{record.name[:4]}]({record.name}) | {title} |" in index


def test_numbers_of_records_are_not_used_twice() -> None:
    numbers = [record.name[:4] for record in RECORDS]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CHANGELOG.md", "README.md", "docs/domain.md"])
def test_a_document_names_only_paths_that_exist(document: str) -> None:
    path = ROOT / document
    assert dead_paths(path.read_text(encoding="utf-8"), path.parent) == []


def test_the_map_places_every_rule_once() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    placed = re.findall(r"^\| ([A-Z]\d+) \|", text, re.MULTILINE)
    assert sorted(placed) == sorted(rules())


def test_code_names_only_rules_that_exist() -> None:
    known = rules()
    assert [line for source in sources(*ROOMS, "tests") for line in unknown_rules(source, known)] == []


def test_nobody_notifies() -> None:
    """NOTIFY takes a lock over the whole cluster at commit (docs/adr/0011-no-notify.md)."""
    found = [
        source.at(number)
        for suffix in (".py", ".sql")
        for source in sources("libs", "services", suffix=suffix)
        for number, line in enumerate(source.text.splitlines(), start=1)
        if NOTIFY.search(line)
    ]
    assert found == []


class TestTheseChecksCanFail:
    def test_an_unknown_rule_is_found(self) -> None:
        book = "DOMAIN"  # Apart from its ids, so that this file itself passes.
        text = f'"""Locks ({book} P7, Q1 and P99)."""\n# {book} Y1 to Y77'
        source = Source(Path("services/pledge/domain.py"), text)
        assert list(unknown_rules(source, rules())) == [
            "services/pledge/domain.py:1: there is no rule Q1",
            "services/pledge/domain.py:1: there is no rule P99",
            "services/pledge/domain.py:2: there is no rule Y77",
        ]

    def test_a_dead_path_and_a_dead_link_are_found(self) -> None:
        text = "See `tests/nowhere.py`, `tests/contract` and [this](nowhere.md), not [that](https://example.org)."
        assert dead_paths(text, ROOT) == ["tests/nowhere.py", "nowhere.md"]

    @pytest.mark.parametrize("line", ["NOTIFY relay", "LISTEN relay", "SELECT pg_notify('relay', '')"])
    def test_a_notification_is_found(self, line: str) -> None:
        assert NOTIFY.search(line)
