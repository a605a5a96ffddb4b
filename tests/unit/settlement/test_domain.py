"""When a settlement starts, which way it goes and how it ends (DOMAIN S1 to S8): pure decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.campaign import FundingModel
from contracts.ids import CampaignId, ChangeId, PersonId, PledgeId, new_id
from contracts.manifest import digest
from contracts.money import Money
from contracts.pledge import (
    PledgeActionRequired,
    PledgeAtRisk,
    PledgeAuthorized,
    PledgeCancelled,
    PledgeCaptured,
    PledgeCaptureFailed,
    PledgeChanged,
    PledgeDeclined,
    PledgeFact,
    PledgeHoldRenewed,
    PledgeRefunded,
)
from contracts.settlement import CampaignSettled, CaptureRequested, Outcome, PayoutRequested, VoidRequested
from contracts.subscriptions import SUBSCRIPTIONS
from settlement.domain import decide_drops, decide_end, decide_requests, decide_start
from settlement.domain_book import (
    SILENT,
    STATUS_AFTER,
    BookedPledge,
    Bucket,
    Status,
    bucket_of,
    follow,
    forget_facts,
)
from settlement.domain_campaign import Campaign, Direction, moved, started
from settlement.domain_progress import progress

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
CAMPAIGN = CampaignId(new_id())
CREATOR = PersonId(new_id())


def held(minor: int, **changed: Any) -> BookedPledge:
    pledge = BookedPledge(PledgeId(new_id()), CAMPAIGN, 2, Status.AUTHORIZED, minor, "EUR")
    return replace(pledge, **changed)


def closed(book: list[BookedPledge], **changed: Any) -> Campaign:
    """A campaign that has all it needs to start."""
    lines = ((pledge.pledge_id, pledge.minor, pledge.currency, pledge.tier_id) for pledge in book)
    campaign = Campaign(
        CAMPAIGN,
        creator_id=CREATOR,
        model=FundingModel.ALL_OR_NOTHING,
        goal_minor=1000,
        currency="EUR",
        platform_fee_bps=500,
        fix_payment_seconds=60,
        closed_at=NOW,
        manifest_at=NOW,
        manifest_count=len(book),
        manifest_minor=sum(pledge.minor for pledge in book),
        manifest_digest=digest(lines),
    )
    return replace(moved(campaign, *((None, pledge) for pledge in book)), **changed)


def settling(book: list[BookedPledge], direction: Direction = Direction.COLLECT, **changed: Any) -> Campaign:
    return replace(started(closed(book), direction, NOW), **changed)


class TestStart:
    def test_records_the_direction_and_the_sums_that_it_was_decided_by(self) -> None:
        book = [held(600), held(500)]
        [event] = decide_start(closed(book), book, NOW)
        assert (event.direction, event.count) == (Direction.COLLECT, 2)
        assert (event.total, event.goal) == (Money(amount=1100, currency="EUR"), Money(amount=1000, currency="EUR"))

    @pytest.mark.parametrize(
        "changed",
        [
            {"model": None},
            {"closed_at": None},
            {"manifest_at": None},
            {"manifest_digest": "0" * 64},
            {"manifest_count": 3},
            {"manifest_minor": 1101},
            {"direction": Direction.VOID},
            {"cancelled_at": NOW},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    def test_does_not_happen_while_anything_is_missing_or_twice(self, changed: dict[str, Any]) -> None:
        book = [held(600), held(500)]
        assert decide_start(closed(book, **changed), book, NOW) == ()


class TestDirection:
    @pytest.mark.parametrize(
        ("model", "amounts", "lapsed", "share", "expected"),
        [
            (FundingModel.ALL_OR_NOTHING, [600, 400], [], 10_000, Direction.COLLECT),
            (FundingModel.ALL_OR_NOTHING, [600, 399], [], 10_000, Direction.VOID),
            (FundingModel.ALL_OR_NOTHING, [600, 400], [1], 10_000, Direction.VOID),
            (FundingModel.ALL_OR_NOTHING, [600, 400], [1], 6_001, Direction.VOID),
            (FundingModel.ALL_OR_NOTHING, [600, 400], [1], 6_000, Direction.COLLECT),
            (FundingModel.ALL_OR_NOTHING, [900, 600], [1], 9_000, Direction.COLLECT),
            (FundingModel.ALL_OR_NOTHING, [999], [], 0, Direction.VOID),
            (FundingModel.KEEP_IT_ALL, [1], [], 10_000, Direction.COLLECT),
            (FundingModel.KEEP_IT_ALL, [], [], 10_000, Direction.COLLECT),
        ],
    )
    def test_is_collect_when_the_goal_is_met_and_enough_of_it_is_really_held(
        self, model: FundingModel, amounts: list[int], lapsed: list[int], share: int, expected: Direction
    ) -> None:
        book = [
            held(minor, capture_before=NOW if index in lapsed else NOW + timedelta(days=1))
            for index, minor in enumerate(amounts)
        ]
        [event] = decide_start(closed(book, model=model, lowest_collectable_bps=share), book, NOW)
        assert event.direction is expected

    @pytest.mark.parametrize(("lost", "expected"), [(False, Direction.COLLECT), (True, Direction.VOID)])
    def test_what_is_at_risk_counts_until_its_hold_is_lost(self, lost: bool, expected: Direction) -> None:
        threatened = told(PledgeAtRisk, 3, held(400), minor=400, reason="do_not_honor", lost=lost)
        book = [held(600), threatened]
        [event] = decide_start(closed(book), book, NOW)
        assert (event.direction, event.total.amount) == (expected, 1000)
        assert event.collectable.amount == (600 if lost else 1000)


class TestRequests:
    def test_ask_for_captures_or_voids_by_direction(self) -> None:
        book = [held(600), held(500)]
        captures = decide_requests(settling(book), book, 10)
        assert [(type(e), e.pledge_id) for e in captures] == [(CaptureRequested, p.pledge_id) for p in book]
        voids = decide_requests(settling(book, Direction.VOID), book, 10)
        assert {type(e) for e in voids} == {VoidRequested}

    def test_stop_at_the_bound(self) -> None:
        book = [held(100) for _ in range(5)]
        assert len(decide_requests(settling(book, outstanding_count=2), book, 4)) == 2
        assert decide_requests(settling(book, outstanding_count=5), book, 4) == ()

    @pytest.mark.parametrize(
        "pledge", [held(100, requested=True), held(100, status=Status.CAPTURED), held(100, status=Status.CANCELLED)]
    )
    def test_leave_out_what_was_asked_for_or_is_not_held(self, pledge: BookedPledge) -> None:
        assert decide_requests(settling([held(100)]), [pledge], 10) == ()

    def test_wait_for_the_start(self) -> None:
        book = [held(600)]
        assert decide_requests(closed(book), book, 10) == ()


class TestDrop:
    @pytest.mark.parametrize(("seconds", "expected"), [(59, 0), (60, 1)])
    def test_comes_when_the_window_is_over(self, seconds: int, expected: int) -> None:
        failed = held(100, status=Status.CAPTURE_FAILED, failed_at=NOW, requested=True)
        assert len(decide_drops(settling([failed]), [failed], NOW + timedelta(seconds=seconds))) == expected

    def test_comes_once_and_not_for_a_mended_payment(self) -> None:
        asked = held(100, status=Status.CAPTURE_FAILED, failed_at=NOW, drop_requested=True)
        mended = held(100, status=Status.CAPTURED, requested=True)
        assert decide_drops(settling([asked, mended]), [asked, mended], NOW + timedelta(days=1)) == ()


class TestEnd:
    def test_comes_when_nothing_is_left_with_the_payout(self) -> None:
        campaign = settling([held(700, status=Status.CAPTURED), held(300, status=Status.CAPTURED)])
        settled, payout = decide_end(campaign)
        assert isinstance(settled, CampaignSettled)
        assert (settled.outcome, settled.captured.count) == (Outcome.FUNDED, 2)
        assert payout == PayoutRequested(
            campaign_id=CAMPAIGN,
            creator_id=CREATOR,
            captured=Money(amount=1000, currency="EUR"),
            platform_fee_bps=500,
        )

    @pytest.mark.parametrize(
        "unfinished",
        [
            held(1),
            held(1, requested=True),
            held(1, status=Status.CAPTURE_FAILED),
            held(1, status=Status.CAPTURE_FAILED, drop_requested=True),
        ],
        ids=["open", "outstanding", "failed", "dropping"],
    )
    def test_waits_for_every_pledge(self, unfinished: BookedPledge) -> None:
        assert decide_end(settling([held(1000, status=Status.CAPTURED), unfinished])) == ()

    def test_comes_once_and_not_before_the_start(self) -> None:
        assert decide_end(settling([], outcome=Outcome.FUNDED)) == ()
        assert decide_end(closed([])) == ()

    @pytest.mark.parametrize(
        ("direction", "book", "expected"),
        [
            (Direction.COLLECT, [held(1000, status=Status.CAPTURED)], Outcome.FUNDED),
            (Direction.COLLECT, [held(999, status=Status.CAPTURED)], Outcome.PARTIALLY_FUNDED),
            (Direction.COLLECT, [held(1000, status=Status.DROPPED)], Outcome.PARTIALLY_FUNDED),
            (Direction.COLLECT, [], Outcome.PARTIALLY_FUNDED),
            (Direction.VOID, [held(1000, status=Status.VOIDED)], Outcome.FAILED),
        ],
    )
    def test_outcome_follows_direction_and_sum(
        self, direction: Direction, book: list[BookedPledge], expected: Outcome
    ) -> None:
        settled, *payout = decide_end(settling(book, direction))
        assert isinstance(settled, CampaignSettled)
        assert settled.outcome is expected
        assert bool(payout) is any(pledge.status is Status.CAPTURED for pledge in book)


def told(
    kind: type[PledgeFact], version: int, before: BookedPledge | None, minor: int = 100, **more: Any
) -> BookedPledge:
    fact = kind(
        pledge_id=before.pledge_id if before else PledgeId(new_id()),
        campaign_id=CAMPAIGN,
        backer_id=PersonId(new_id()),
        amount=Money(amount=minor, currency="EUR"),
        country="DE",
        **more,
    )
    return follow(before, fact, version, NOW)


class TestBook:
    def test_a_pledge_that_leaves_notes_when(self) -> None:
        live = told(PledgeAuthorized, 2, None, hold_id="pi_1")
        cancelled = told(PledgeCancelled, 3, live, cancelled_at=NOW, reason="backer")
        refunded = told(PledgeRefunded, 4, cancelled)
        assert [bucket_of(p) for p in (live, cancelled, refunded)] == [Bucket.OPEN, Bucket.LEFT, Bucket.LEFT]
        assert refunded.left_at == NOW

    def test_a_pledge_that_never_was_live_is_in_no_bucket(self) -> None:
        assert bucket_of(told(PledgeDeclined, 2, None, reason="card_declined")) is None
        assert bucket_of(None) is None

    def test_a_changed_pledge_has_its_new_amount_and_hold_and_is_collected_like_any_other(self) -> None:
        live = told(PledgeAuthorized, 2, None, hold_id="pi_1", capture_before=NOW)
        later = NOW + timedelta(days=5)
        change: dict[str, Any] = {"change_id": ChangeId(new_id()), "previous_amount": Money(amount=70, currency="EUR")}
        changed = told(PledgeChanged, 4, live, hold_id="pi_2", capture_before=later, **change)
        assert (changed.minor, changed.capture_before, bucket_of(changed)) == (100, later, Bucket.OPEN)
        charged = told(PledgeChanged, 4, told(PledgeCaptured, 2, None), **change)
        assert bucket_of(charged) is Bucket.CAPTURED

    def test_a_renewal_brings_the_time_of_the_new_hold_and_ends_the_risk(self) -> None:
        live = told(PledgeAuthorized, 2, None, hold_id="pi_1", capture_before=NOW)
        lost = told(PledgeAtRisk, 3, live, reason="hold_lost", lost=True)
        assert (lost.capture_before, lost.hold_lost, bucket_of(lost)) == (None, True, Bucket.OPEN)
        later = NOW + timedelta(days=5)
        again = told(PledgeHoldRenewed, 4, lost, previous_hold_id="pi_1", hold_id="pi_2", capture_before=later)
        assert (again.capture_before, again.hold_lost, bucket_of(again)) == (later, False, Bucket.OPEN)

    @pytest.mark.parametrize("status", [Status.CAPTURED, Status.CAPTURE_FAILED, Status.CANCELLED])
    @pytest.mark.parametrize("kind", SILENT)
    def test_refunds_in_part_and_disputes_leave_it_where_it_is(self, kind: type[PledgeFact], status: Status) -> None:
        more: dict[str, Any] = {
            "refunded": Money(amount=40, currency="EUR"),
            "creator_id": CREATOR,
            "dispute_id": "dp_1",
            "disputed": Money(amount=100, currency="EUR"),
            "reason": "fraudulent",
            "won": False,
        }
        before = held(100, status=status, failed_at=NOW if status is Status.CAPTURE_FAILED else None, left_at=NOW)
        needed = {name: value for name, value in more.items() if name in kind.model_fields}
        assert told(kind, 3, before, **needed) == replace(before, version=3)

    def test_a_pledge_whose_bank_wants_its_backer_is_as_undecided_as_before(self) -> None:
        placed = BookedPledge(PledgeId(new_id()), CAMPAIGN, 1, Status.PENDING, 100, "EUR")
        assert bucket_of(told(PledgeActionRequired, 2, placed)) is None

    def test_every_fact_about_a_pledge_that_comes_in_is_known(self) -> None:
        facts = {event for event in SUBSCRIPTIONS["settlement"] if issubclass(event, PledgeFact)}
        assert {*STATUS_AFTER, *SILENT} == facts

    def test_folding_again_keeps_what_was_asked_for(self) -> None:
        asked = held(100, requested=True, drop_requested=True, failed_at=NOW)
        again = told(PledgeCaptured, 3, forget_facts(asked))
        assert (again.requested, again.drop_requested, again.failed_at) == (True, True, None)

    def test_sums_move_between_buckets_and_with_the_amount(self) -> None:
        before = held(100)
        campaign = closed([before])
        raised = replace(before, minor=250)
        campaign = moved(campaign, (before, raised))
        assert (campaign.open_count, campaign.open_minor) == (1, 250)
        campaign = moved(campaign, (raised, replace(raised, requested=True)))
        assert (campaign.open_count, campaign.open_minor) == (0, 0)
        assert (campaign.outstanding_count, campaign.outstanding_minor) == (1, 250)


class TestProgress:
    def test_rate_and_end_come_from_the_answers_so_far(self) -> None:
        book = [held(100) for _ in range(10)]
        campaign = settling(book, answered_at=NOW + timedelta(seconds=2))
        campaign = moved(campaign, *((p, replace(p, status=Status.CAPTURED)) for p in book[:4]))
        far = progress(campaign, None, NOW + timedelta(seconds=2))
        assert (far.done, far.left, far.failed, far.per_second) == (4, 6, 0, 2.0)
        assert far.estimated_end == NOW + timedelta(seconds=5)

    def test_only_failed_captures_left_end_with_their_window(self) -> None:
        failed = held(100, status=Status.CAPTURE_FAILED, failed_at=NOW)
        assert progress(settling([failed]), NOW, NOW).estimated_end == NOW + timedelta(seconds=60)

    def test_nothing_is_estimated_without_an_answer(self) -> None:
        assert progress(settling([held(100)]), None, NOW).estimated_end is None

    def test_a_failed_capture_is_told_as_left(self) -> None:
        before = held(100)
        failed = told(PledgeCaptureFailed, 3, before, reason="card_declined")
        campaign = moved(settling([before]), (before, failed))
        far = progress(campaign, None, NOW)
        assert (far.done, far.left, far.failed) == (0, 1, 1)
