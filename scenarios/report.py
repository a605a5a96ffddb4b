"""What happened, for a person: one column a campaign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from contracts.money import Money
from scenarios.evidence import Evidence
from scenarios.model import Tally
from scenarios.play import Play, tally_on
from scenarios.visibility import POLL_SECONDS

FOOTNOTE: Final = (
    "Pledge to page: from sending a pledge to the first public page whose number of backers includes it. The page is"
    f" looked at every {POLL_SECONDS:.1f} s; it does not name backers, so the n-th pledge sent in a phase is matched"
    " with the first page that shows n more backers. Declined and refused ones are left out."
)


def show(console: Console, found: Sequence[tuple[Play, Evidence]]) -> None:
    table = Table(title="\nWhat happened", title_justify="left", box=None, pad_edge=False, title_style="bold")
    table.add_column()
    for play, _ in found:
        table.add_column(play.scenario.name, justify="right")
    columns = [_column(play, evidence) for play, evidence in found]
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    console.print(table)
    console.print(f"\n{FOOTNOTE}", style="dim", highlight=False)


def _column(play: Play, evidence: Evidence) -> dict[str, str]:
    currency, books = play.scenario.campaign.currency, evidence.books

    def of(tally: Tally) -> str:
        return f"{Money(amount=tally.amount, currency=currency)} ({tally.count})" if tally.count else "-"

    crossed = [one["percent"] or one["stretch_goal"] for one in evidence.page["milestones"] if one["crossed_at"]]
    return {
        "outcome": str(evidence.page["status"]).replace("_", " "),
        "goal": str(Money(amount=play.scenario.campaign.goal, currency=currency)),
        "pledged (backers) at the deadline": of(tally_on(play.page_at_rest)),
        "milestones": ", ".join(f"{one} %" if isinstance(one, int) else one for one in crossed) or "-",
        "captured": of(books["captured"]),
        "voided": of(books["voided"]),
        "refunded": of(books["refunded"]),
        "dropped": of(books["capture_failed"]),
        "paid out to the creator": of(books["transferred"]),
        "declined": str(play.declined),
        "cancelled": str(play.cancelled),
        "refused": ", ".join(f"{count} {name}" for name, count in sorted(play.refused.items())) or "-",
        "mails sent": str(evidence.mails.messages),
        "pledge to page, p50": f"{play.visibility.percentile(0.5):.2f} s",
        "pledge to page, p99": f"{play.visibility.percentile(0.99):.2f} s",
    }
