"""What is shown while scenarios are played: a table that moves in a terminal, a line for each step elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from contracts.money import Money
from scenarios.play import Play

Teller = Callable[[str], None]

FRAMES_PER_SECOND: Final = 4
BAR_WIDTH: Final = 24


@contextlib.contextmanager
def shown(console: Console, plays: Sequence[Play]) -> Iterator[None]:
    """Keep a table of the campaigns up to date while the context lasts; only in a terminal."""
    if not console.is_terminal:
        yield
        return
    with Live(get_renderable=lambda: table(plays), console=console, refresh_per_second=FRAMES_PER_SECOND):
        yield


def table(plays: Sequence[Play]) -> Table:
    shown_table = Table(box=None, pad_edge=False)
    for heading in ("campaign", "what happens", "backers", "pledged", "of the goal", "time left"):
        shown_table.add_column(heading, justify="right" if heading in {"backers", "pledged", "time left"} else "left")
    for play in plays:
        shown_table.add_row(*_row(play))
    return shown_table


def _row(play: Play) -> tuple[str | ProgressBar, ...]:
    goal, left = play.scenario.campaign.goal, play.deadline - time.time()
    pledged = play.page["pledged"]["amount"] if play.page else 0
    return (
        play.scenario.name,
        play.stage,
        str(play.page.get("backers", 0)),
        str(Money(amount=pledged, currency=play.scenario.campaign.currency)),
        ProgressBar(total=goal, completed=min(goal, pledged), width=BAR_WIDTH),
        f"{left:.0f} s" if left > 0 else "",
    )
