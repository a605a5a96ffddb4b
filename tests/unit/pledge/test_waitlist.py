"""The waitlist of a pool (DOMAIN P3): pure decisions, and random lives in which nothing is lost or given twice."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contracts.ids import OfferId, PersonId
from eventing.refusal import Refusal
from pledge import domain_waitlist as waitlist
from pledge.domain_book import BookState, Pool, Tier, cancel_all
from pledge.domain_refusals import (
    AlreadyPledged,
    CampaignNotOpen,
    CampaignUnknown,
    DeadlinePassed,
    NotSoldOut,
    SoldOut,
    UnknownTier,
    WaitlistFull,
)
from pledge.domain_waitlist import WAITING_MAX, JoinWaitlist, SlotOfferEnded, Waiting
from tests.unit.pledge.stories import (
    BACKER,
    CAMPAIGN,
    DEADLINE,
    NOON,
    OTHER_CAMPAIGN,
    POOL,
    TICK,
    TIER,
    book,
    decided,
    wish,
)

GOLD = Tier(TIER, CAMPAIGN, 1000, POOL)
FULL = Pool(POOL, CAMPAIGN, 2, claimed=2)
SECONDS = 3600


def joining(backer_id: UUID = BACKER) -> JoinWaitlist:
    return JoinWaitlist(OfferId(UUID(int=backer_id.int + 10**6)), CAMPAIGN, TIER, PersonId(backer_id))


def joined(pool: Pool = FULL, **changed: Any) -> Waiting:
    given: dict[str, Any] = {"book": book(), "tier": GOLD, "pool": pool, "has_slot": False}
    return waitlist.join(joining(), changed.pop("now", NOON), **(given | changed))


class TestJoin:
    def test_gives_the_next_number(self) -> None:
        entry = joined(replace(FULL, joined=7))
        assert (entry.number, entry.offered_until) == (8, None)
        pool = waitlist.joined(replace(FULL, waiting=1, joined=7))
        assert (pool.waiting, pool.joined) == (2, 8)

    @pytest.mark.parametrize(
        ("given", "refusal"),
        [
            ({"book": None}, CampaignUnknown),
            ({"book": cancel_all(book())}, CampaignNotOpen),
            ({"now": DEADLINE}, DeadlinePassed),
            ({"tier": None}, UnknownTier),
            ({"tier": replace(GOLD, campaign_id=OTHER_CAMPAIGN)}, UnknownTier),
            ({"pool": None}, NotSoldOut),
            ({"pool": replace(FULL, slots=3)}, NotSoldOut),
            ({"has_slot": True}, AlreadyPledged),
            ({"pool": replace(FULL, waiting=WAITING_MAX)}, WaitlistFull),
        ],
    )
    def test_is_refused_in_words_that_help(self, given: dict[str, Any], refusal: type[Refusal]) -> None:
        with pytest.raises(refusal) as told:
            joined(**given)
        assert len(told.value.detail) > 20


class TestOffer:
    def test_goes_to_the_first_as_far_as_slots_are_free(self) -> None:
        first = [joined(replace(FULL, joined=number)) for number in range(3)]
        pool = Pool(POOL, CAMPAIGN, 5, claimed=2, offered=1, waiting=3)
        offers = waitlist.offer(pool, first, book(), NOON, SECONDS)
        assert [entry.number for entry in offers] == [1, 2]
        assert {entry.offered_until for entry in offers} == {NOON + timedelta(seconds=SECONDS)}
        assert waitlist.offered(pool, 2).free == 0

    def test_ends_with_the_campaign_and_none_is_made_after_it(self) -> None:
        free = replace(FULL, slots=3, waiting=1)
        [entry] = waitlist.offer(free, [joined()], book(), DEADLINE - TICK, SECONDS)
        assert entry.offered_until == DEADLINE
        assert waitlist.offer(free, [joined()], book(), DEADLINE, SECONDS) == ()
        assert waitlist.offer(free, [joined()], replace(book(), state=BookState.CLOSED), NOON, SECONDS) == ()

    def test_lapses_at_its_time_and_only_an_offer_has_an_end_to_tell(self) -> None:
        entry = joined()
        assert not waitlist.has_lapsed(entry, DEADLINE)
        assert waitlist.end(entry, waitlist.LAPSED) == ()
        offered = replace(entry, offered_until=DEADLINE)
        assert [waitlist.has_lapsed(offered, now) for now in (DEADLINE - TICK, DEADLINE)] == [False, True]
        assert waitlist.end(offered, waitlist.LAPSED) == (
            SlotOfferEnded(offer_id=OfferId(entry.offer_id), reason="lapsed"),
        )


class TestPlacing:
    def test_a_free_slot_belongs_to_who_waits_and_an_offer_is_good_for_its_backer_alone(self) -> None:
        kept = Pool(POOL, CAMPAIGN, 2, claimed=1, offered=1)
        promised = Pool(POOL, CAMPAIGN, 2, claimed=1, waiting=1)
        mine = replace(joined(), offered_until=DEADLINE)
        for pool in (kept, promised):
            with pytest.raises(SoldOut) as told:
                decided(wish(tier_id=TIER), book=book(), tier=GOLD, pool=pool)
            assert told.value.facts == {"links": {"waitlist": f"/campaigns/{CAMPAIGN}/tiers/{TIER}/waitlist"}}
        assert waitlist.has_slot_for(kept, mine)
        assert waitlist.claimed(kept, mine) == Pool(POOL, CAMPAIGN, 2, claimed=2)

    def test_with_more_free_slots_than_people_who_wait_anybody_may(self) -> None:
        pool = Pool(POOL, CAMPAIGN, 3, claimed=1, waiting=1)
        assert decided(wish(tier_id=TIER), book=book(), tier=GOLD, pool=pool)
        assert waitlist.claimed(pool, joined()) == Pool(POOL, CAMPAIGN, 3, claimed=2)


class Lists(RuleBasedStateMachine):
    """One pool with people who come, wait, are offered, take, leave and give up, as the handlers let them."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(POOL, CAMPAIGN, 2)
        self.entries: dict[UUID, Waiting] = {}
        self.holders: list[UUID] = []
        self.offers: list[int] = []  # the numbers of those who were offered, in order
        self.now = NOON

    @rule(person=st.integers(1, 8))
    def take(self, person: int) -> None:
        backer_id = UUID(int=person)
        entry = self.entries.get(backer_id)
        if backer_id not in self.holders and waitlist.has_slot_for(self.pool, entry):
            self.pool = waitlist.claimed(self.pool, entry)
            self.entries.pop(backer_id, None)
            self.holders.append(backer_id)

    @rule(person=st.integers(1, 8))
    def join(self, person: int) -> None:
        backer_id = UUID(int=person)
        if backer_id in self.entries:
            return
        with suppress(Refusal):
            entry = waitlist.join(
                joining(backer_id), self.now, book=book(), tier=GOLD, pool=self.pool, has_slot=backer_id in self.holders
            )
            self.pool = waitlist.joined(self.pool)
            self.entries[backer_id] = entry

    @rule(person=st.integers(1, 8))
    def leave(self, person: int) -> None:
        entry = self.entries.pop(UUID(int=person), None)
        self.pool = waitlist.left(self.pool, entry)

    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        if self.holders:
            self.holders.remove(data.draw(st.sampled_from(self.holders)))
            self.pool = replace(self.pool, claimed=self.pool.claimed - 1)

    @rule()
    def raise_limit(self) -> None:
        self.pool = replace(self.pool, slots=self.pool.slots + 1)

    @rule()
    def offer(self) -> None:
        first = sorted((e for e in self.entries.values() if e.offered_until is None), key=lambda e: e.number)
        offers = waitlist.offer(self.pool, first, book(), self.now, SECONDS)
        self.pool = waitlist.offered(self.pool, len(offers))
        self.entries |= {entry.backer_id: entry for entry in offers}
        self.offers += [entry.number for entry in offers]

    @rule(minutes=st.integers(1, 120))
    def lapse(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        for entry in list(self.entries.values()):
            if waitlist.has_lapsed(entry, self.now):
                self.pool = waitlist.left(self.pool, self.entries.pop(entry.backer_id))

    @invariant()
    def every_slot_is_counted_where_it_is(self) -> None:
        offered = [entry for entry in self.entries.values() if entry.offered_until is not None]
        assert self.pool.claimed == len(self.holders)
        assert (self.pool.offered, self.pool.waiting) == (len(offered), len(self.entries) - len(offered))
        assert self.pool.claimed + self.pool.offered <= self.pool.slots

    @invariant()
    def nobody_is_offered_twice_and_all_in_the_order_in_which_they_came(self) -> None:
        assert self.offers == sorted(set(self.offers))


TestLists = Lists.TestCase
TestLists.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
