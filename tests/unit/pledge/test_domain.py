"""The rules about pledges and books (DOMAIN P1, P2, P4, P5, P7, P8, P9, M2)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from contracts.campaign import FundingModel, PaymentStrategy, RewardTier
from contracts.ids import PoolId
from contracts.money import Money
from contracts.payment import (
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentDeclined,
    PaymentFact,
    PaymentRefunded,
    PaymentVoided,
)
from contracts.pledge import (
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeDeclined,
    PledgeDropped,
    PledgeFact,
    PledgeHoldRenewed,
    PledgePlaced,
    PledgeRefunded,
    PledgeVoided,
)
from eventing.refusal import Refusal
from pledge.domain import LIVE, STATUS_AFTER, UNDECIDED, Pledge, Status, counted, evolve
from pledge.domain_book import Book, BookState, Pool, Tier, announce, cancel_all, close, tier_of, widen
from pledge.domain_decisions import cancel, cancel_with_campaign, drop, expire, owned
from pledge.domain_payment import follow_payment
from pledge.domain_refusals import (
    AlreadyPledged,
    BelowMinimum,
    CampaignNotOpen,
    CampaignUnknown,
    CutoffPassed,
    DeadlinePassed,
    PledgeEnded,
    PledgeUnknown,
    RefundWindowOver,
    SoldOut,
    UnknownTier,
    WrongCurrency,
)
from tests.unit.pledge.stories import (
    BACKER,
    CAMPAIGN,
    CUTOFF,
    DEADLINE,
    LEASE_SECONDS,
    NOON,
    OTHER_CAMPAIGN,
    PLEDGE,
    POOL,
    STRANGER,
    TICK,
    TIER,
    book,
    decided,
    euros,
    fact,
    launched,
    placed,
    pledge,
    wish,
)

KEEP = FundingModel.KEEP_IT_ALL
GOLD = Tier(TIER, CAMPAIGN, 2500, POOL)


class TestPlace:
    def test_records_the_wish_with_the_books_strategy_and_a_lease(self) -> None:
        [event] = decided(wish(tier_id=TIER), book=book(), tier=GOLD, pool=Pool(POOL, CAMPAIGN, 1))
        assert (event.amount, event.tier_id, event.strategy) == (euros(2500), TIER, PaymentStrategy.HOLD)
        assert (event.placed_at, event.lease_until) == (NOON, NOON + timedelta(seconds=LEASE_SECONDS))

    def test_keep_it_all_is_charged_at_once_whatever_the_policy_says(self) -> None:
        [event] = decided(wish(), book=book(KEEP, payment_strategy=PaymentStrategy.HOLD))
        assert event.strategy is PaymentStrategy.IMMEDIATE

    @pytest.mark.parametrize(
        ("command", "given", "refusal"),
        [
            (wish(), {"book": None}, CampaignUnknown),
            (wish(), {"book": cancel_all(book())}, CampaignNotOpen),
            (wish(), {"now": DEADLINE}, DeadlinePassed),
            (wish(), {"book": replace(book(), state=BookState.CLOSED)}, DeadlinePassed),
            (wish(), {"book": replace(book(), state=BookState.ANNOUNCED)}, DeadlinePassed),
            (wish(amount=Money(amount=2500, currency="USD")), {}, WrongCurrency),
            (wish(tier_id=TIER), {}, UnknownTier),
            (wish(tier_id=TIER), {"tier": replace(GOLD, campaign_id=OTHER_CAMPAIGN)}, UnknownTier),
            (wish(2499, tier_id=TIER), {"tier": GOLD}, BelowMinimum),
            (wish(), {"first": PLEDGE}, AlreadyPledged),
            (wish(tier_id=TIER), {"tier": GOLD, "pool": Pool(POOL, CAMPAIGN, 3, 3)}, SoldOut),
            (wish(tier_id=TIER), {"tier": GOLD, "pool": Pool(POOL, CAMPAIGN, 0)}, SoldOut),
        ],
    )
    def test_is_refused_in_words_that_help(self, command: Any, given: dict[str, Any], refusal: type[Refusal]) -> None:
        with pytest.raises(refusal) as refused:
            decided(command, **{"book": book(), **given})
        assert len(refused.value.detail) > 20

    def test_is_in_until_the_last_tick(self) -> None:
        assert decided(wish(), DEADLINE - TICK, book=book())

    def test_the_refusals_name_what_to_do_instead(self) -> None:
        def facts(**given: Any) -> dict[str, object]:
            with pytest.raises(Refusal) as refused:
                decided(given.pop("command", wish()), **{"book": book(), **given})
            return refused.value.facts

        assert facts(now=DEADLINE) == {"deadline": "2027-03-31T12:00:00Z"}
        assert facts(command=wish(amount=Money(amount=1, currency="USD"))) == {"currency": "EUR"}
        minimum = {"amount": 2500, "currency": "EUR"}
        assert facts(command=wish(1, tier_id=TIER), tier=GOLD) == {"minimum": minimum}
        assert facts(first=PLEDGE) == {"pledge_id": str(PLEDGE), "links": {"pledge": f"/pledges/{PLEDGE}"}}

    def test_without_a_tier_any_amount_will_do(self) -> None:
        assert decided(wish(1), book=book())


class TestOwned:
    def test_only_its_backer_finds_it(self) -> None:
        mine = pledge()
        assert owned(mine, BACKER) is mine
        for found, person in ((mine, STRANGER), (None, BACKER)):
            with pytest.raises(PledgeUnknown):
                owned(found, person)


class TestCancel:
    @pytest.mark.parametrize("state", [pledge(), pledge(PledgeAuthorized)])
    def test_before_the_cutoff(self, state: Pledge) -> None:
        [event] = cancel(state, book(), CUTOFF - TICK)
        assert event == PledgeCancelled(**state.about, reason="backer", cancelled_at=CUTOFF - TICK)

    @pytest.mark.parametrize("now", [CUTOFF, DEADLINE, DEADLINE + TICK])
    def test_from_the_cutoff_on_is_refused_and_names_the_time(self, now: Any) -> None:
        with pytest.raises(CutoffPassed) as refused:
            cancel(pledge(PledgeAuthorized), book(), now)
        assert refused.value.facts["cutoff"] == "2027-03-29T12:00:00Z"
        assert "2027-03-29T12:00:00Z" in refused.value.detail

    def test_without_a_cutoff_it_is_possible_until_the_deadline(self) -> None:
        free = book(cancellation_cutoff_seconds=0)
        assert cancel(pledge(), free, DEADLINE - TICK)
        with pytest.raises(CutoffPassed):
            cancel(pledge(), free, DEADLINE)

    def test_a_closed_book_lets_nobody_out_even_if_the_clock_steps_back(self) -> None:
        closed = replace(book(cancellation_cutoff_seconds=0), state=BookState.CLOSED)
        with pytest.raises(CutoffPassed):
            cancel(pledge(), closed, DEADLINE - TICK)

    def test_a_cutoff_of_centuries_is_no_error(self) -> None:
        with pytest.raises(CutoffPassed):
            cancel(pledge(), book(cancellation_cutoff_seconds=10**12), NOON)

    @pytest.mark.parametrize("state", [pledge(), pledge(PledgeCaptured)])
    def test_keep_it_all_has_a_refund_window_in_place_of_a_cutoff(self, state: Pledge) -> None:
        kept = book(KEEP, refund_window_seconds=60)
        assert cancel(state, kept, NOON + timedelta(seconds=60) - TICK)
        with pytest.raises(RefundWindowOver) as refused:
            cancel(state, kept, NOON + timedelta(seconds=60))
        assert refused.value.facts["refund_until"] == "2027-03-01T12:01:00Z"

    @pytest.mark.parametrize("state", [pledge(PledgeCancelled), pledge(PledgeCancelled, PledgeRefunded)])
    def test_again_is_fine_at_any_time(self, state: Pledge) -> None:
        assert cancel(state, book(), DEADLINE + TICK) == ()

    @pytest.mark.parametrize("end", [PledgeDeclined, PledgeVoided, PledgeDropped, PledgeRefunded])
    def test_of_what_has_ended_is_refused(self, end: type[PledgeFact]) -> None:
        with pytest.raises(PledgeEnded):
            cancel(pledge(end), book(), NOON)

    def test_of_a_cancelled_campaign_knows_no_cutoff(self) -> None:
        assert cancel(pledge(PledgeAuthorized), cancel_all(book()), DEADLINE)


class TestCancelWithCampaign:
    def test_ends_what_is_live_and_nothing_else(self) -> None:
        for kind, status in STATUS_AFTER.items():
            state = pledge() if kind is PledgePlaced else pledge(kind)
            ended = cancel_with_campaign(state, NOON)
            told = [e.reason for e in ended if isinstance(e, PledgeCancelled)]
            assert told == (["campaign_cancelled"] if status in LIVE else [])


class TestExpire:
    def test_at_the_end_of_the_lease(self) -> None:
        end = NOON + timedelta(seconds=LEASE_SECONDS)
        assert expire(pledge(), end - TICK) == ()
        assert expire(pledge(), end) == (PledgeDeclined(**pledge().about, reason="lease_expired"),)

    def test_only_of_what_is_undecided(self) -> None:
        for kind in STATUS_AFTER.keys() - {PledgePlaced}:
            assert expire(pledge(kind), DEADLINE) == ()


class TestDrop:
    def test_ends_only_what_could_not_be_captured(self) -> None:
        assert [type(e) for e in drop(pledge(PledgeCaptureFailed))] == [PledgeDropped]
        for kind in STATUS_AFTER.keys() - {PledgePlaced, PledgeCaptureFailed}:
            assert drop(pledge(kind)) == ()


def payment(kind: type[PaymentFact], minor: int = 2500, hold_id: str = "pi_1") -> PaymentFact:
    known: dict[str, Any] = {"hold_id": hold_id, "reason": "do_not_honor", "provider_fee": euros(30)}
    needed = {name: known[name] for name in kind.model_fields if name in known}
    return kind(pledge_id=PLEDGE, campaign_id=CAMPAIGN, amount=euros(minor), **needed)


HOLDS = (PledgeAuthorized, PledgeHoldRenewed, PledgeAtRisk)
# For each fact about the payment: the facts after which it still says something, and what.
MOVES: dict[type[PaymentFact], tuple[set[type[PledgeFact]], type[PledgeFact]]] = {
    PaymentAuthorized: ({PledgePlaced}, PledgeAuthorized),
    PaymentDeclined: ({PledgePlaced}, PledgeDeclined),
    PaymentCaptured: ({PledgePlaced, *HOLDS, PledgeCaptureFailed}, PledgeCaptured),
    PaymentCaptureFailed: ({PledgePlaced, *HOLDS}, PledgeCaptureFailed),
    PaymentVoided: ({PledgePlaced, *HOLDS}, PledgeVoided),
    PaymentRefunded: (
        {PledgePlaced, *HOLDS, PledgeCaptured, PledgeCaptureFailed, PledgeCancelled},
        PledgeRefunded,
    ),
}


class TestFollowPayment:
    @pytest.mark.parametrize("before", STATUS_AFTER)
    @pytest.mark.parametrize("kind", MOVES)
    def test_a_fact_counts_where_it_leads_on(self, kind: type[PaymentFact], before: type[PledgeFact]) -> None:
        lives = {PledgePlaced: (), PledgeAtRisk: (PledgeAuthorized, PledgeAtRisk)}
        state = pledge(*lives.get(before, (before,)))
        starts, outcome = MOVES[kind]
        said = [type(event) for event in follow_payment(state, payment(kind))]
        assert said == ([outcome] if before in starts else [])

    def test_every_fact_carries_the_whole_pledge(self) -> None:
        for kind in MOVES:
            for event in follow_payment(pledge(), payment(kind)):
                assert {name: getattr(event, name) for name in pledge().about} == pledge().about

    def test_only_the_end_of_the_current_hold_ends_the_pledge(self) -> None:
        held = pledge(PledgeAuthorized, hold_id="pi_2")
        assert follow_payment(held, payment(PaymentVoided, hold_id="pi_1")) == ()
        assert follow_payment(held, payment(PaymentVoided, hold_id="pi_2"))

    def test_after_a_cancellation_nothing_but_the_refund_is_heard(self) -> None:
        cancelled = pledge(PledgeCancelled)
        assert [kind for kind in MOVES if follow_payment(cancelled, payment(kind))] == [PaymentRefunded]

    @pytest.mark.parametrize(
        ("facts", "end"),
        [
            ((PaymentAuthorized, PaymentCaptured), Status.CAPTURED),
            ((PaymentAuthorized, PaymentCaptureFailed), Status.CAPTURE_FAILED),
            ((PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured), Status.CAPTURED),
            ((PaymentAuthorized, PaymentVoided), Status.VOIDED),
            ((PaymentCaptured, PaymentRefunded), Status.REFUNDED),
        ],
    )
    def test_any_order_and_any_repetition_ends_the_same(
        self, facts: tuple[type[PaymentFact], ...], end: Status
    ) -> None:
        for order in permutations(facts * 2):
            state = pledge()
            for kind in order:
                for event in follow_payment(state, payment(kind)):
                    state = evolve(state, event)
            assert state.status is end


class TestEvolve:
    def test_each_fact_has_its_status(self) -> None:
        for kind, status in STATUS_AFTER.items():
            assert (pledge() if kind is PledgePlaced else pledge(kind)).status is status

    def test_a_doubled_fact_changes_nothing_more(self) -> None:
        for kind in STATUS_AFTER.keys() - {PledgePlaced}:
            once = pledge(kind)
            assert evolve(once, fact(kind, once)) == once

    def test_knows_the_hold_that_is_current(self) -> None:
        assert pledge(PledgeAuthorized, PledgeCaptureFailed, hold_id="pi_9").hold_id == "pi_9"


class TestBook:
    def test_counts_what_is_undecided_and_live(self) -> None:
        first = evolve(None, placed(700))
        one = counted(book(), None, first)
        assert (one.undecided, one.live, one.live_minor) == (1, 1, 700)
        held = evolve(first, fact(PledgeAuthorized, first))
        two = counted(one, first, held)
        assert (two.undecided, two.live, two.live_minor) == (0, 1, 700)
        gone = evolve(held, fact(PledgeCancelled, held))
        assert counted(two, held, gone) == book()

    def test_closes_at_the_deadline_and_once(self) -> None:
        assert close(book(), DEADLINE - TICK) == book()
        closed = close(book(), DEADLINE)
        assert (closed.state, closed.closed_at) == (BookState.CLOSED, DEADLINE)
        assert close(closed, DEADLINE + TICK) == closed

    def test_a_cancelled_one_does_not_close(self) -> None:
        cancelled = cancel_all(book())
        assert close(cancelled, DEADLINE) == cancelled
        assert announce(cancelled, "d") == ()

    def test_is_announced_when_nothing_is_undecided(self) -> None:
        closed = replace(close(book(), DEADLINE), live=2, live_minor=3200)
        assert announce(replace(closed, undecided=1), "d") == ()
        [event] = announce(closed, "d")
        assert (event.count, event.total, event.digest, event.closed_at) == (2, euros(3200), "d", DEADLINE)
        for state in set(BookState) - {BookState.CLOSED}:
            assert announce(replace(closed, state=state), "d") == ()

    def test_takes_its_terms_from_the_launch(self) -> None:
        opened = book(cancellation_cutoff_seconds=60)
        assert (opened.currency, opened.deadline, opened.state) == ("EUR", DEADLINE, BookState.OPEN)
        assert opened.cutoff_at == DEADLINE - timedelta(seconds=60)


class TestPool:
    def test_limits_heard_of_shuffled_and_doubled_end_at_the_highest(self) -> None:
        limits = [5, 9, 7, 9, 5, 7]
        for seed in range(10):
            random.Random(seed).shuffle(limits)
            pool: Pool | None = None
            for limit in limits:
                pool = widen(pool, POOL, CAMPAIGN, limit)
            assert pool == Pool(POOL, CAMPAIGN, 9)

    def test_a_higher_limit_keeps_what_is_claimed(self) -> None:
        assert widen(Pool(POOL, CAMPAIGN, 5, 5), POOL, CAMPAIGN, 6) == Pool(POOL, CAMPAIGN, 6, 5)

    def test_a_tier_names_its_pool_or_none(self) -> None:
        reward = RewardTier(tier_id=TIER, title="A", minimum=euros(2500), estimated_delivery="2027-09")
        gold = replace(GOLD, title="A", estimated_delivery="2027-09")
        assert tier_of(CAMPAIGN, reward) == replace(gold, pool_id=None)
        assert tier_of(CAMPAIGN, reward.model_copy(update={"pool_id": PoolId(POOL), "limit": 1})) == gold


def test_every_status_is_decided_live_or_ended() -> None:
    ended = {Status.DECLINED, Status.CANCELLED, Status.VOIDED, Status.DROPPED, Status.REFUNDED}
    assert UNDECIDED < LIVE
    assert set(Status) == LIVE | ended
    assert not LIVE & ended


def test_a_launch_of_either_model_opens_a_book() -> None:
    for model in FundingModel:
        assert isinstance(book(model), Book)
        assert launched(model).model is model
