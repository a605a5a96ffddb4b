"""What a scenario's phases add up to, reckoned without the platform.

It is compared twice: with what the author expects, when the file is read, and with the mails that were sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from contracts.campaign import FundingModel
from contracts.settlement import Outcome
from scenarios.model import (
    CancelAnswer,
    CancelGroup,
    Expected,
    Phase,
    PledgeAnswer,
    PledgeGroup,
    Scenario,
    Tally,
)

MILESTONE_PERCENTS = (25, 50, 75, 100)  # DOMAIN C6.
CAPTURE_FAILS = "pm_card_captureFails"


@dataclass
class _Book:
    """The live pledges of each group while the phases go by."""

    live: Counter[str] = field(default_factory=Counter)
    amount: dict[str, int] = field(default_factory=dict)
    cards: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    cancelled: Tally = field(default_factory=Tally)
    highest_minor: int = 0

    def total(self, groups: Iterator[str] | None = None) -> Tally:
        names = list(self.live) if groups is None else list(groups)
        return sum((Tally(count=self.live[n], amount=self.live[n] * self.amount[n]) for n in names), Tally())


def problems(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Path and mistake of everything that refers to nothing or does not add up."""
    yield from _references(scenario)
    if any(True for _ in _references(scenario)):
        return
    reckoned = reckon(scenario)
    for name in Expected.model_fields:
        declared, ours = getattr(scenario.expect, name), getattr(reckoned, name)
        if declared != ours:
            yield f"expect.{name}", f"is {_shown(declared)}, but the phases come to {_shown(ours)}"


def _shown(value: object) -> str:
    if isinstance(value, Tally):
        return f"{value.count} with {value.amount} minor units"
    return repr(value.value if isinstance(value, Outcome) else value)


def _references(scenario: Scenario) -> Iterator[tuple[str, str]]:
    tiers = {tier.key for tier in scenario.campaign.tiers}
    standing: Counter[str] = Counter()
    known: set[str] = set()
    for at, phase in enumerate(scenario.phases):
        for number, group in enumerate(phase.pledge):
            path = f"phases[{at}].pledge[{number}]"
            if group.tier is not None and group.tier not in tiers:
                yield f"{path}.tier", f"there is no tier {group.tier!r}; allowed are {', '.join(sorted(tiers))}"
            if group.group in known:
                yield f"{path}.group", f"two groups are called {group.group!r}"
            known.add(group.group)
            standing[group.group] = group.expected(PledgeAnswer.ACCEPTED)
        for number, cancel in enumerate(phase.cancel):
            path = f"phases[{at}].cancel[{number}]"
            if cancel.group not in known:
                names = ", ".join(sorted(known))
                yield f"{path}.group", f"no earlier phase has the group {cancel.group!r}; allowed are {names}"
            elif cancel.count > standing[cancel.group]:
                yield f"{path}.count", f"is {cancel.count}, but {standing[cancel.group]} pledges of the group stand"
            standing[cancel.group] -= cancel.expected(CancelAnswer.CANCELLED)


def reckon(scenario: Scenario) -> Expected:
    """The expectation that follows from the phases and the rules (DOMAIN C6, P7, S2, S5, S6)."""
    book = _Book()
    for phase in scenario.phases:
        _play(book, phase)
    campaign, pledged = scenario.campaign, book.total()
    keeps = campaign.model is FundingModel.KEEP_IT_ALL
    collects = keeps or pledged.amount >= campaign.goal
    failing = Tally() if keeps else book.total(name for name in book.live if book.cards[name] == CAPTURE_FAILS)
    dropped = failing if collects else Tally()
    kept = pledged - dropped if collects else Tally()
    voided = Tally() if keeps else book.cancelled + (Tally() if collects else pledged)
    return Expected(
        outcome=_outcome(collects=collects, collected_minor=kept.amount, goal_minor=campaign.goal),
        pledged=pledged,
        captured=kept + (book.cancelled if keeps else Tally()),
        voided=voided,
        refunded=book.cancelled if keeps else Tally(),
        dropped=dropped,
        declined=book.answers[PledgeAnswer.DECLINED],
        cancelled=book.cancelled.count,
        refused={answer: count for answer, count in book.answers.items() if answer not in {*_NO_REFUSALS} and count},
        milestones=milestones(scenario, book.highest_minor),
    )


_NO_REFUSALS = (PledgeAnswer.ACCEPTED, PledgeAnswer.DECLINED, CancelAnswer.CANCELLED)


def _play(book: _Book, phase: Phase) -> None:
    for group in phase.pledge:
        _place(book, group)
    for cancel in phase.cancel:
        _cancel(book, cancel)
    book.highest_minor = max(book.highest_minor, book.total().amount)


def _place(book: _Book, group: PledgeGroup) -> None:
    book.amount[group.group], book.cards[group.group] = group.amount, group.card
    book.live[group.group] = group.expected(PledgeAnswer.ACCEPTED)
    book.answers.update({answer.value: group.expected(answer) for answer in PledgeAnswer})


def _cancel(book: _Book, cancel: CancelGroup) -> None:
    count = cancel.expected(CancelAnswer.CANCELLED)
    book.live[cancel.group] -= count
    book.cancelled += Tally(count=count, amount=count * book.amount[cancel.group])
    book.answers.update({answer.value: cancel.expected(answer) for answer in CancelAnswer})


def _outcome(*, collects: bool, collected_minor: int, goal_minor: int) -> Outcome:
    if not collects:
        return Outcome.FAILED
    return Outcome.FUNDED if collected_minor >= goal_minor else Outcome.PARTIALLY_FUNDED


def milestones(scenario: Scenario, highest_minor: int) -> tuple[int | str, ...]:
    """Those that the highest total between phases has crossed, in ascending order of amount."""
    goal = scenario.campaign.goal
    steps: list[tuple[int, int | str]] = [(-(-goal * percent // 100), percent) for percent in MILESTONE_PERCENTS]
    steps += [(stretch.amount, stretch.title) for stretch in scenario.campaign.stretch_goals]
    return tuple(name for amount, name in sorted(steps, key=lambda step: step[0]) if amount <= highest_minor)
