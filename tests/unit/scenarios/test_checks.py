"""Evidence that adds up breaks no claim, and whoever says something else is named with the difference."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from scenarios.checks import claims
from scenarios.evidence import Evidence, alarms
from scenarios.model import Tally
from scenarios.play import Play
from tests.unit.scenarios.evidence import evidence, play


def broken(found: Evidence, played: Play | None = None, *, faults: bool = False) -> list[str]:
    return [str(claim) for claim in claims(played or play(), found, faults=faults) if not claim.holds]


def with_lines(**lines: Tally) -> Evidence:
    right = evidence()
    return replace(right, books=replace(right.books, lines=right.books.lines | lines))


def with_mails(**kinds: int) -> Evidence:
    right = evidence()
    return replace(right, mails=replace(right.mails, kinds=right.mails.kinds | kinds))


def test_evidence_that_adds_up_breaks_no_claim() -> None:
    assert broken(evidence()) == []


def test_alarms_about_pledges_of_others_do_not_count_and_those_about_nobody_named_do() -> None:
    own, another = play().pledges[0].id, "another"
    assert alarms(play(), {"count": 2, "pledge_ids": [own, another]}) == 1
    assert alarms(play(), {"count": 5, "pledge_ids": [another]}) == 4


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda: replace(evidence(), page=evidence().page | {"status": "failed"}), ["page: status should be funded"]),
        (lambda: replace(evidence(), page=evidence().page | {"backers": 9}), ["page: pledged at the end should be 10"]),
        (
            lambda: replace(evidence(), page=evidence().page | {"milestones": []}),
            ["page: milestones should be (25, 50"],
        ),
        (
            lambda: replace(evidence(), settlement=evidence().settlement | {"outcome": "partially_funded"}),
            ["settlement: outcome should be funded and is partially_funded"],
        ),
        (
            lambda: replace(evidence(), analytics=evidence().analytics | {"countries": []}),
            ["analytics: backers by country should be {'DE': 6, 'FR': 4} and is {}"],
        ),
        (
            lambda: replace(evidence(), ledger=evidence().ledger | {"holds": 1_000, "hold_promises": -1_000}),
            ["ledger: holds should be 0 and is 1000", "ledger: hold_promises should be 0 and is -1000"],
        ),
        (
            lambda: with_lines(held=Tally(count=1, amount=1_000)),
            ["sandbox: held should be 0 with 0 minor units and is 1 with 1000 minor units"],
        ),
        (
            lambda: with_lines(transferred=Tally(count=2, amount=18_200)),
            ["sandbox: transferred should be 1 with 9100 minor units and is 2 with 18200 minor units"],
        ),
        (
            lambda: replace(evidence(), books=replace(evidence().books, anomalies={"charged_twice": 1})),
            ["sandbox: pledges with charged_twice should be 0 and is 1"],
        ),
        (lambda: with_mails(pledge_confirmed=11), ["mailbox: pledge_confirmed should be 12 and is 11"]),
        (lambda: with_mails(surprise=1), ["mailbox: surprise should be 0 and is 1"]),
        (lambda: with_mails(milestone=49), ["mailbox: a plausible number of milestone mails should be True"]),
    ],
)
def test_who_says_something_else_is_named(found: Callable[[], Evidence], expected: list[str]) -> None:
    told = broken(found())
    assert [line[: len(start)] for line, start in zip(told, expected, strict=True)] == expected


def test_what_clients_were_told_counts_too() -> None:
    played = play()
    played.refused["sold-out"] = 1
    assert broken(evidence(), played) == ["clients: refused should be {} and is {'sold-out': 1}"]


def test_a_mail_may_come_twice_only_where_programs_were_killed() -> None:
    found = evidence()
    found = replace(found, mails=replace(found.mails, repeated=1))
    assert broken(found) == ["mailbox: mails that came more than once should be 0 and is 1"]
    assert broken(found, faults=True) == []
