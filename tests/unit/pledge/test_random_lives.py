"""Random lives of many pledges in one book: only legal moves, never oversold, and the book always adds up.

Holds are followed as the payment service does: what it has in the end is what the pledge's state says (DOMAIN P6, P8).
"""

from __future__ import annotations

from collections import defaultdict
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
from contracts.ids import ChangeId, PersonId, PledgeId
from contracts.payment import (
    PaymentActionRequired,
    PaymentAtRisk,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentChangeAuthorized,
    PaymentChangeDeclined,
    PaymentDeclined,
    PaymentDisputeClosed,
    PaymentDisputeOpened,
    PaymentFact,
    PaymentHoldRenewed,
    PaymentRefunded,
    PaymentVoided,
)
from contracts.pledge import (
    PledgeChanged,
    PledgeChangeRequested,
    PledgeDisputeClosed,
    PledgeDisputeOpened,
    PledgeFact,
    PledgeHoldRenewed,
)
from eventing.refusal import Refusal
from pledge.domain import HELD, LIVE, UNDECIDED, Change, Pledge, Status, counted, evolve
from pledge.domain_book import BookState, Pool, Tier, announce, cancel_all, close
from pledge.domain_change import change as decide_change
from pledge.domain_change import wanted
from pledge.domain_decisions import cancel, cancel_with_campaign, drop, expire
from pledge.domain_hold import follow_hold
from pledge.domain_payment import follow_disputes, follow_payment
from tests.unit.pledge.stories import CAMPAIGN, DEADLINE, NOON, POOL, TIER, book, change, decided, euros, wish

S: Final = Status
DECIDED: Final = {S.AUTHORIZED, S.CAPTURED, S.CAPTURE_FAILED, S.DECLINED, S.CANCELLED, S.VOIDED, S.REFUNDED}
# Where a pledge may go from each status (DOMAIN P5); from anything else it stays where it is.
LEGAL: Final = {
    S.PENDING: {S.ACTION_REQUIRED, *DECIDED},
    S.ACTION_REQUIRED: DECIDED,
    S.AUTHORIZED: {S.AUTHORIZED, S.AT_RISK, *DECIDED - {S.DECLINED}},
    S.AT_RISK: {S.AUTHORIZED, S.AT_RISK, *DECIDED - {S.DECLINED}},
    S.CAPTURED: {S.CAPTURED, S.REFUNDED, S.CANCELLED},
    S.CAPTURE_FAILED: {S.CAPTURED, S.DROPPED, S.CANCELLED, S.REFUNDED},
    S.CANCELLED: {S.REFUNDED},
}
DISPUTED: Final = PledgeDisputeOpened | PledgeDisputeClosed
SLOTS: Final = 3  # of one of two tiers; the other is unlimited
BACKERS: Final = 6
FACTS: Final = (
    PaymentActionRequired,
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
        self.changes: dict[UUID, Change] = {}  # every change ever asked for
        self.accepted: set[UUID] = set()
        self.pool = Pool(POOL, CAMPAIGN, SLOTS)
        self.pledges: dict[UUID, Pledge] = {}
        self.heard: defaultdict[UUID, list[PaymentFact]] = defaultdict(list)  # by pledge, in payment's order
        self.renewed: set[str] = set()  # holds that took another's place
        self.first: dict[UUID, UUID] = {}
        self.now = NOON
        self.creator = PersonId(self.book.creator_id)
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
    @rule(data=st.data(), minor=st.integers(1, 5000))
    def hear_of_a_refund(self, data: st.DataObject, minor: int) -> None:
        pledge = self._some(data)
        about = {"pledge_id": pledge.pledge_id, "campaign_id": CAMPAIGN, "amount": euros(minor)}
        fact = PaymentRefunded(**about, hold_id="pi_1", refunded=euros(minor))
        self._apply(pledge.pledge_id, follow_payment(pledge, fact))
        assert follow_payment(self.pledges[pledge.pledge_id], fact) == (), "a repeated refund gives nothing more back"

    @precondition(lambda self: self.pledges)
    @rule(data=st.data(), kind=st.sampled_from(("renewed", "at risk", "lost")), overtakes=st.booleans())
    def hear_of_the_hold(self, data: st.DataObject, kind: str, overtakes: bool) -> None:
        """Of a hold that is the current one, was, or is not known yet."""
        pledge = self._some(data)
        hold_id = data.draw(st.sampled_from(("pi_1", *sorted(self.renewed))))
        about = {"pledge_id": pledge.pledge_id, "campaign_id": CAMPAIGN, "amount": pledge.amount}
        if kind == "renewed":
            new = f"pi_r{len(self.renewed)}"
            self.renewed.add(new)
            self._hear(pledge, PaymentHoldRenewed(**about, previous_hold_id=hold_id, hold_id=new), overtakes=overtakes)
        else:
            risk = PaymentAtRisk(**about, hold_id=hold_id, reason="hold_lost", lost=kind == "lost")
            self._hear(pledge, risk, overtakes=overtakes)

    @precondition(lambda self: self.pledges)
    @rule(data=st.data(), number=st.integers(1, 2), closes=st.booleans(), overtakes=st.booleans())
    def hear_of_a_dispute(self, data: st.DataObject, number: int, closes: bool, overtakes: bool) -> None:
        pledge = self._some(data)
        about = {"pledge_id": pledge.pledge_id, "campaign_id": CAMPAIGN, "amount": pledge.amount}
        fact: PaymentFact = (
            PaymentDisputeClosed(**about, dispute_id=f"dp_{number}", won=False, fee_returned=euros(0))
            if closes
            else PaymentDisputeOpened(**about, dispute_id=f"dp_{number}", reason="fraudulent", fee=euros(15))
        )
        self._hear(pledge, fact, overtakes=overtakes)

    def _hear(self, pledge: Pledge, fact: PaymentFact, *, overtakes: bool) -> None:
        """`overtakes`: it is the first of payment's story, though all the others have come in before."""
        heard = self.heard[pledge.pledge_id]
        heard.insert(0 if overtakes else len(heard), fact)
        for turn in range(2):
            before = self.pledges[pledge.pledge_id]
            events = (*follow_hold(before, heard), *follow_disputes(before, heard, self.creator))
            if turn:
                assert events == (), "nothing is said twice"
            for event in events:
                self._apply(pledge.pledge_id, (event,))

    @precondition(lambda self: self.pledges)
    @rule(data=st.data(), how=st.sampled_from(("backer", "campaign", "lease", "drop")))
    def end(self, data: st.DataObject, how: str) -> None:
        pledge = self._some(data)
        with suppress(Refusal):
            self._apply(pledge.pledge_id, self._ended(pledge, how))

    @precondition(lambda self: self.pledges)
    @rule(data=st.data(), minor=st.integers(900, 5000), limited=st.booleans())
    def change(self, data: st.DataObject, minor: int, limited: bool) -> None:
        pledge = self._some(data)
        change_id = ChangeId(UUID(int=10**6 + len(self.changes)))
        command = change(change_id=change_id, amount=euros(minor), tier_id=TIER if limited else None)
        to = wanted(command, pledge, self.now)
        needed = self.pool if limited and pledge.tier_id is None else None
        with suppress(Refusal):
            events = decide_change(pledge, to, self.now, book=self.book, tier=self.tier, pool=needed)
            assert self.now < DEADLINE
            assert pledge.change is None
            if any(isinstance(event, PledgeChangeRequested) for event in events):
                self.changes[change_id] = to
            self._apply(pledge.pledge_id, events)

    @precondition(lambda self: self.changes)
    @rule(data=st.data(), taken=st.booleans())
    def hear_of_change(self, data: st.DataObject, taken: bool) -> None:
        """Payment's answer, also about a change that is long over."""
        change_id = data.draw(st.sampled_from(sorted(self.changes)))
        pledge = self._some(data)
        about = {"pledge_id": pledge.pledge_id, "campaign_id": CAMPAIGN, "amount": self.changes[change_id].amount}
        fact: PaymentFact = (
            PaymentChangeAuthorized(**about, change_id=change_id, hold_id=f"pi_{change_id}")
            if taken
            else PaymentChangeDeclined(**about, change_id=change_id, reason="do_not_honor")
        )
        self._apply(pledge.pledge_id, follow_payment(pledge, fact))
        assert follow_payment(self.pledges[pledge.pledge_id], fact) == (), "a repeated answer says nothing more"

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
            assert before is None or after.status in _legal(before, event)
            assert (before.refunded_minor if before else 0) <= after.refunded_minor <= after.amount.amount
            self.book = counted(self.book, before, after)
            self.pledges[pledge_id] = after
            self._move_slots(before, after)
            if isinstance(event, PledgeDisputeClosed):
                assert before is not None
                assert before.disputes[event.dispute_id], "it was told of when it opened"
            if isinstance(event, PledgeHoldRenewed):
                assert before is not None
                assert event.previous_hold_id == before.hold_id, "the holds of a pledge are a chain"
            if isinstance(event, PledgeChanged):
                self.accepted.add(event.change_id)
            if before is not None and before.status in LIVE and after.status not in LIVE:
                del self.first[after.backer_id]

    def _move_slots(self, before: Pledge | None, after: Pledge) -> None:
        """A change claims when it is asked for and frees when it is decided: at no time is a slot in two hands."""
        claims = _slots(after) - (_slots(before) if before else 1)  # a placing has claimed its own
        self.pool = replace(self.pool, claimed=self.pool.claimed + claims)

    @invariant()
    def nothing_is_oversold(self) -> None:
        assert 0 <= self.pool.claimed <= SLOTS
        assert self.pool.claimed == sum(map(_slots, self.pledges.values()))

    @invariant()
    def a_backer_has_one_live_pledge(self) -> None:
        live = [pledge.backer_id for pledge in self.pledges.values() if pledge.status in LIVE]
        assert len(live) == len(set(live))

    @invariant()
    def the_book_adds_up(self) -> None:
        live = [pledge for pledge in self.pledges.values() if pledge.status in LIVE]
        assert self.book.undecided == sum(p.status in UNDECIDED or p.change is not None for p in live)
        assert (self.book.live, self.book.live_minor) == (len(live), sum(pledge.amount.amount for pledge in live))

    @invariant()
    def a_change_is_undecided_only_of_what_is_held_and_was_accepted_by_one_fact(self) -> None:
        for pledge in self.pledges.values():
            if pledge.change is not None:
                assert pledge.status in HELD | {S.CAPTURED}
                assert pledge.change.change_id not in self.accepted

    @invariant()
    def the_current_hold_is_the_last_that_was_accepted(self) -> None:
        for pledge in self.pledges.values():
            if pledge.hold_id not in {None, "pi_1", *self.renewed}:
                assert UUID((pledge.hold_id or "").removeprefix("pi_")) in self.accepted

    @invariant()
    def it_is_announced_once(self) -> None:
        assert self.announced <= 1


def _legal(before: Pledge, event: PledgeFact) -> set[Status]:
    """A dispute, which may come long after everything, moves no status."""
    return {before.status} if isinstance(event, DISPUTED) else LEGAL.get(before.status, set())


def _slots(pledge: Pledge) -> int:
    """Slots of the one limited tier that a pledge and its undecided change have together: within one pool, one."""
    wishes = {pledge.tier_id, pledge.change.tier_id if pledge.change else None}
    return int(pledge.status in LIVE and TIER in wishes)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
