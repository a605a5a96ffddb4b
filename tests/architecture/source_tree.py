"""The source files that the architecture's rules are about, and how to name a place in them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("libs", "services", "stripe_sandbox", "deploy")


@dataclass(frozen=True)
class Source:
    """One file; `path` is relative to the repository."""

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @property
    def is_domain(self) -> bool:
        """`services/<name>/domain.py`, `domain_<part>.py` or a module of a `domain` package."""
        return any(part.removesuffix(".py").split("_")[0] == "domain" for part in self.path.parts[2:])

    def at(self, line: int) -> str:
        return f"{self.path}:{line}"


def sources(*rooms: str, suffix: str = ".py", root: Path = ROOT) -> Iterator[Source]:
    """Every file with that suffix under the rooms, in a stable order."""
    for room in rooms:
        for path in sorted((root / room).rglob(f"*{suffix}")):
            yield Source(path.relative_to(root), path.read_text(encoding="utf-8"))


def domains(root: Path = ROOT) -> Iterator[Source]:
    return (source for source in sources("services", root=root) if source.is_domain)
