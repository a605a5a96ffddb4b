"""The guide knows every status and every refusal that there is, with its HTTP status, and no other."""

import re
from collections import defaultdict
from pathlib import Path

from eventing.refusal import Refusal
from pledge import domain_refusals
from pledge.domain import LIVE, Status

GUIDE = (Path(__file__).parents[3] / "docs/guides/pledging.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    table = GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_status_is_explained_and_no_other() -> None:
    assert [row[0] for row in rows("The life of a pledge")] == [f"`{status}`" for status in Status]


def test_the_picture_shows_every_status() -> None:
    picture = GUIDE.partition("## The life of a pledge\n")[2].partition("| status")[0]
    assert {status for status in Status if not re.search(rf"\b{status}\b", picture)} == set()


def test_what_is_live_is_said_in_one_sentence() -> None:
    sentence = GUIDE.partition(" are live:")[0].rpartition("\n\n")[2]
    assert set(re.findall(r"`(\w+)`", sentence)) == set(LIVE)


def test_every_refusal_is_explained_with_its_status_and_no_other() -> None:
    known: defaultdict[str, set[int]] = defaultdict(set)
    for kind in vars(domain_refusals).values():
        if isinstance(kind, type) and issubclass(kind, Refusal) and kind is not Refusal:
            known[kind.code].add(kind.status)
    assert {row[0].strip("`"): {int(status) for status in row[1].split(", ")} for row in rows("Every refusal")} == known
