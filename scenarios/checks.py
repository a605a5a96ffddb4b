"""What must hold when a scenario is over: each claim names who says it, what should be and what is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from contracts.campaign import FundingModel
from contracts.settlement import Outcome
from scenarios.evidence import Evidence
from scenarios.model import PledgeAnswer, Tally
from scenarios.play import PlacedPledge, Play, tally_on
from scenarios.reckoning import CAPTURE_FAILS

BASIS_POINTS: Final = 10_000
OUTCOME_MAIL: Final = {
    Outcome.FUNDED: "campaign_funded",
    Outcome.PARTIALLY_FUNDED: "campaign_partially_funded",
    Outcome.FAILED: "campaign_failed",
}


@dataclass(frozen=True)
class Claim:
    """One thing that somebody says about a campaign."""

    who: str
    what: str
    expected: object
    found: object

    @property
    def holds(self) -> bool:
        return self.expected == self.found

    def __str__(self) -> str:
        return f"{self.who}: {self.what} should be {_words(self.expected)} and is {_words(self.found)}"


def _words(value: object) -> str:
    return f"{value.count} with {value.amount} minor units" if isinstance(value, Tally) else str(value)


def claims(play: Play, evidence: Evidence, *, faults: bool) -> Iterator[Claim]:
    """Everything to be checked about one campaign.

    Args:
        play: what the clients were told while it was played.
        evidence: what everybody says now.
        faults: programs were killed on purpose: a mail in doubt may have gone out again (DOMAIN N2).
    """
    yield from _answers(play)
    yield from _page(play, evidence.page)
    yield from _settlement(play, evidence.settlement)
    yield from _analytics(play, evidence.analytics)
    yield from _books(play, evidence)
    yield from _ledger(evidence)
    yield from _mails(play, evidence, faults=faults)


def _answers(play: Play) -> Iterator[Claim]:
    expect = play.scenario.expect
    yield Claim("clients", "declined", expect.declined, play.declined)
    yield Claim("clients", "cancelled", expect.cancelled, play.cancelled)
    yield Claim("clients", "refused", dict(expect.refused), dict(play.refused))


def _page(play: Play, page: dict[str, Any]) -> Iterator[Claim]:
    expect = play.scenario.expect
    yield Claim("page", "status", expect.outcome, page["status"])
    yield Claim("page", "pledged before the deadline", expect.pledged, tally_on(play.page_at_rest))
    yield Claim("page", "pledged at the end", _left(play), tally_on(page))
    crossed = [one for one in page["milestones"] if one["crossed_at"] is not None]
    names = tuple(one["percent"] or one["stretch_goal"] for one in crossed)
    yield Claim("page", "milestones", expect.milestones, names)


def _settlement(play: Play, settlement: dict[str, Any]) -> Iterator[Claim]:
    expect = play.scenario.expect
    voided = expect.pledged if expect.outcome is Outcome.FAILED else Tally()
    yield Claim("settlement", "outcome", expect.outcome, settlement["outcome"])
    for name, tally in (("captured", _left(play)), ("dropped", expect.dropped), ("voided", voided)):
        said = settlement[name]
        yield Claim("settlement", name, tally, Tally(count=said["count"], amount=said["total"]["amount"]))


def _analytics(play: Play, report: dict[str, Any]) -> Iterator[Claim]:
    left, totals, funnel = list(_standing_at_the_end(play)), report["totals"], report["funnel"]
    shown = Tally(count=totals["backers"], amount=totals["pledged"]["amount"])
    yield Claim("analytics", "pledged at the end", _left(play), shown)
    countries = {one["country"]: one["backers"] for one in report["countries"] if one["backers"]}
    yield Claim("analytics", "backers by country", dict(Counter(one.country for one in left)), countries)
    tiers = {str(one["tier_id"]): one["backers"] for one in report["tiers"] if one["backers"]}
    ids = (play.tier_ids[one.group.tier] if one.group.tier else "None" for one in left)
    yield Claim("analytics", "backers by tier", dict(Counter(ids)), tiers)
    for name, expected in (
        ("placed", len(play.pledges)),
        ("declined", play.scenario.expect.declined),
        ("dropped", play.scenario.expect.dropped.count),
    ):
        yield Claim("analytics", name, expected, funnel[name])
    crossed = tuple(one["percent"] or one["stretch_goal"] for one in report["milestones"])
    yield Claim("analytics", "milestones", play.scenario.expect.milestones, crossed)


def _books(play: Play, evidence: Evidence) -> Iterator[Claim]:
    """The provider's own books against the expectation, and the payout against those books."""
    expect, books = play.scenario.expect, evidence.books
    for kind, tally in (
        ("authorized", expect.captured + expect.voided + expect.dropped),
        ("held", Tally()),
        ("captured", expect.captured),
        ("voided", expect.voided),
        ("expired", Tally()),
        ("refunded", expect.refunded),
        ("capture_failed", expect.dropped),
        ("transferred", _payout(evidence)),
    ):
        yield Claim("sandbox", kind, tally, books[kind])
    yield Claim("sandbox", "declined", expect.declined, books["declined"].count)
    for name, count in books.anomalies.items():
        yield Claim("sandbox", f"pledges with {name}", 0, count)


def _platform_fee(evidence: Evidence) -> int:
    """Rounded down, of what was captured and not given back (DOMAIN Y10)."""
    net = evidence.books["captured"].amount - evidence.books["refunded"].amount
    return int(net * evidence.page["policy"]["platform_fee_bps"] // BASIS_POINTS)


def _payout(evidence: Evidence) -> Tally:
    books = evidence.books
    if not books["captured"].count:
        return Tally()
    net = books["captured"].amount - books["refunded"].amount
    return Tally(count=1, amount=net - books["fees"].amount - _platform_fee(evidence))


def _ledger(evidence: Evidence) -> Iterator[Claim]:
    """Our books against the provider's (DOMAIN M3). Accounts that were never used have no line."""
    fee, sent, refunded = _platform_fee(evidence), _payout(evidence).amount, evidence.books["refunded"].amount
    expected = {
        "holds": 0,
        "hold_promises": 0,
        "refunds": refunded,
        "payouts": sent,
        "platform_fees": -fee,
        "provider_fees": 0,
        "provider_receivable": fee,
        "campaign_payable": -refunded - sent,
    }
    for account, minor in expected.items():
        yield Claim("ledger", account, minor, evidence.ledger.get(account, 0))
    yield Claim("ledger", "the sum of all accounts", 0, sum(evidence.ledger.values()))


def _mails(play: Play, evidence: Evidence, *, faults: bool) -> Iterator[Claim]:
    expect, kinds = play.scenario.expect, dict(evidence.mails.kinds)
    stood = sum(group.expected(PledgeAnswer.ACCEPTED) for phase in play.scenario.phases for group in phase.pledge)
    told = expect.pledged.count if expect.outcome is Outcome.FAILED else _left(play).count
    # Who is a backer at the moment of a milestone is left to chance: some are told, at most all of each.
    milestones = kinds.pop("milestone", 0)
    possible = bool(milestones) == bool(expect.milestones) and milestones <= stood * len(expect.milestones)
    yield Claim("mailbox", "a plausible number of milestone mails", True, possible)
    expected = {
        "pledge_confirmed": stood,
        "pledge_declined": expect.declined,
        "pledge_cancelled": expect.cancelled,
        "pledge_refunded": expect.refunded.count,
        OUTCOME_MAIL[expect.outcome]: told,
        "creator_settled": 1,
        "creator_payout": int(expect.captured.count > 0),
    }
    for kind in sorted(expected.keys() | kinds.keys()):
        yield Claim("mailbox", kind, expected.get(kind, 0), kinds.get(kind, 0))
    if not faults:
        yield Claim("mailbox", "mails that came more than once", 0, evidence.mails.repeated)


def _left(play: Play) -> Tally:
    """What counts when all is over: captured and not given back."""
    expect = play.scenario.expect
    return Tally() if expect.outcome is Outcome.FAILED else expect.captured - expect.refunded


def _standing_at_the_end(play: Play) -> Iterator[PlacedPledge]:
    """The pledges behind `_left`, one by one."""
    if play.scenario.expect.outcome is Outcome.FAILED:
        return
    keeps = play.scenario.campaign.model is FundingModel.KEEP_IT_ALL
    yield from (one for one in play.standing() if keeps or one.group.card != CAPTURE_FAILS)
