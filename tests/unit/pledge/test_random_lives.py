"""Random lives of many pledges in one book: only legal moves, never oversold, and the book always adds up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.campaign import FundingModel
from contracts.ids import PersonId, PledgeId
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentDeclined,
    PaymentFact,
    PaymentRefunded,
    PaymentVoided,
)
from contracts.pledge import PledgeFact
from eventing.refusal import Refusal
from pledge.domain import LIVE, UNDECIDED, Pledge, Status, counted, evolve
from pledge.domain_book import BookState, Pool, Tier, announce, cancel_all, close
from pledge.domain_decisions import cancel, cancel_with_campaign, drop, expire, follow_payment
from tests.unit.pledge.stories import CAMPAIGN, DEADLINE, NOON, POOL, TIER, book, decided, euros, wish

S: Final = Status
# Where a pledge may go from each status (DOMAIN P5); from anything else it stays where it is.
LEGAL: Final = {
    S.PENDING: {
        S.AUTHORIZED,
        S.CAPTURED,
        S.CAPTURE_FAILED,
        S.DECLINED,
        S.CANCELLED,
        S.VOIDED,
        S.REFUNDED,
    },
    S.AUTHORIZED: {S.CAPTURED, S.CAPTURE_FAILED, S.CANCELLED, S.VOIDED, S.REFUNDED},
    S.CAPTURED: {S.REFUNDED, S.CANCELLED},
    S.CAPTURE_FAILED: {S.CAPTURED, S.DROPPED, S.CANCELLED, S.REFUNDED},
    S.CANCELLED: {S.REFUNDED},
}
SLOTS: Final = 3
BACKERS: Final = 6
FACTS: Final = (
    PaymentAuthorized,
    PaymentDeclined,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentVoided,
    PaymentRefunded,
)


class Lives(RuleBasedStateMachine):
    """What the handlers do around the domain, without a database."""

    def __init__(self) -> None:
        super().__init__()
        self.book = book(FundingModel.ALL_OR_NOTHING)
        self.tier = Tier(TIER, CAMPAIGN, 1000, POOL)
        self.pool = Pool(POOL, CAMPAIGN, SLOTS)
        self.pledges: dict[UUID, Pledge] = {}
        self.first: dict[UUID, UUID] = {}
        self.now = NOON
        self.announced = 0

    @rule(backer=st.integers(1, BACKERS), minor=st.integers(900, 5000))
    def place(self, backer: int, minor: int) -> None:
        pledge_id, backer_id = UUID(int=1000 + len(self.pledges)), UUID(int=backer)
        command = wish(minor, pledge_id=PledgeId(pledge_id), backer_id=PersonId(backer_id), tier_id=TIER)
        with suppress(Refusal):
            events = decided(
                command, self.now, book=self.book, tier=self.tier, pool=self.pool, first=self.first.get(backer_id)
            )
            assert self.now < DEADLINE
            self.pool = replace(self.pool, claimed=self.pool.claimed + 1)
            self.first[backer_id] = pledge_id
            self._apply(pledge_id, events)

    @precondition(lambda self: self.pledges)
    @rule(data=st.data(), kind=st.sampled_from(FACTS))
    def hear(self, data: st.DataObject, kind: type[PaymentFact]) -> None:
        pledge = self._some(data)
        known = {"hold_id": "pi_1", "reason": "do_not_honor", "provider_fee": euros(1)}
        needed = {name: known[name] for name in kind.model_fields if name in known}
        fact = kind(pledge_id=pledge.pledge_id, campaign_id=CAMPAIGN, amount=pledge.amount, **needed)
        self._apply(pledge.pledge_id, follow_payment(pledge, fact))
        again = self.pledges[pledge.pledge_id]
        assert follow_payment(again, fact) == (), "a repeated fact says nothing more"

    @precondition(lambda self: self.pledges)
    @rule(data=st.data(), how=st.sampled_from(("backer", "campaign", "lease", "drop")))
    def end(self, data: st.DataObject, how: str) -> None:
        pledge = self._some(data)
        with suppress(Refusal):
            self._apply(pledge.pledge_id, self._ended(pledge, how))

    @rule(hours=st.integers(1, 24 * 40))
    def pass_time(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def close(self) -> None:
        self.book = close(self.book, self.now)
        events = announce(self.book, "digest")
        if events:
            self.announced += 1
            self.book = replace(self.book, state=BookState.ANNOUNCED)
            assert events[0].count == sum(p.status in LIVE for p in self.pledges.values())

    @rule()
    def cancel_campaign(self) -> None:
        self.book = cancel_all(self.book)

    def _some(self, data: st.DataObject) -> Pledge:
        return self.pledges[data.draw(st.sampled_from(sorted(self.pledges)))]

    def _ended(self, pledge: Pledge, how: str) -> Sequence[PledgeFact]:
        match how:
            case "backer":
                return cancel(pledge, self.book, self.now)
            case "campaign":
                return cancel_with_campaign(pledge, self.now) if self.book.state is BookState.CANCELLED else ()
            case "lease":
                return expire(pledge, self.now)
            case _:
                return drop(pledge)

    def _apply(self, pledge_id: UUID, events: Sequence[PledgeFact]) -> None:
        for event in events:
            before = self.pledges.get(pledge_id)
            after = evolve(before, event)
            assert before is None or after.status in LEGAL.get(before.status, set())
            self.book = counted(self.book, before, after)
            self.pledges[pledge_id] = after
            if before is not None and before.status in LIVE and after.status not in LIVE:
                self.pool = replace(self.pool, claimed=self.pool.claimed - 1)
                del self.first[after.backer_id]

    @invariant()
    def nothing_is_oversold(self) -> None:
        assert 0 <= self.pool.claimed <= SLOTS
        assert self.pool.claimed == sum(pledge.status in LIVE for pledge in self.pledges.values())

    @invariant()
    def a_backer_has_one_live_pledge(self) -> None:
        live = [pledge.backer_id for pledge in self.pledges.values() if pledge.status in LIVE]
        assert len(live) == len(set(live))

    @invariant()
    def the_book_adds_up(self) -> None:
        live = [pledge for pledge in self.pledges.values() if pledge.status in LIVE]
        assert self.book.undecided == sum(pledge.status in UNDECIDED for pledge in live)
        assert (self.book.live, self.book.live_minor) == (len(live), sum(pledge.amount.amount for pledge in live))

    @invariant()
    def it_is_announced_once(self) -> None:
        assert self.announced <= 1


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
