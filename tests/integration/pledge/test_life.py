"""What becomes of a pledge on a real database: payment's facts, cancellations, leases (DOMAIN P2, P5, P7, P8, M4)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from contracts.campaign import CampaignCancelled, FundingModel
from contracts.ids import CampaignId, PledgeId
from contracts.payment import PaymentFact
from contracts.pledge import PledgeCancelled, PledgeDeclined
from contracts.settlement import DropRequested
from eventing.rebuild import rebuild
from pledge.domain import HELD, UNDECIDED, Status
from pledge.domain_refusals import CampaignNotOpen, CutoffPassed, PledgeUnknown, RefundWindowOver
from pledge.projections import PLEDGES_PROJECTION
from pledge.tables import PledgeView
from tests.integration.house import START, House, names
from tests.integration.pledge.backers import (
    CUTOFF,
    LEASE_SECONDS,
    Backers,
    authorized,
    capture_failed,
    captured,
    declined,
    launched,
    placing,
    refunded,
    tier,
    voided,
)

MILLISECOND = timedelta(milliseconds=1)
OUTCOMES: tuple[tuple[Callable[[PledgeView], PaymentFact], ...], ...] = (
    (),
    (authorized,),
    (declined,),
    (authorized, captured),
    (authorized, capture_failed),
    (authorized, capture_failed, captured),
    (authorized, voided),
    (captured, refunded),
)
ENDS = ("pending", "authorized", "declined", "captured", "capture_failed", "captured", "voided", "refunded")


class TestPaymentFacts:
    async def test_each_outcome_is_told_on_once_however_often_it_is_heard(
        self, pledges: House, backers: Backers
    ) -> None:
        view = await backers.place(await backers.launch())
        told = backers.stories.tell(authorized(view), captured(view))
        for envelope in (*told, *told):
            await pledges.take_in(envelope)
        assert names(await pledges.said()) == ["PledgePlaced", "PledgeAuthorized", "PledgeCaptured"]

    @pytest.mark.parametrize("seed", range(3))
    async def test_in_any_order_and_doubled_they_end_the_same(
        self, pledges: House, backers: Backers, seed: int
    ) -> None:
        campaign_id = await backers.launch()
        views = [await backers.place(campaign_id, 1000 + n) for n in range(len(OUTCOMES))]
        told = [
            envelope
            for view, outcome in zip(views, OUTCOMES, strict=True)
            for envelope in backers.stories.tell(*(fact(view) for fact in outcome))
        ]
        mixed = [*told, *told]
        random.Random(seed).shuffle(mixed)
        for envelope in mixed:
            await pledges.take_in(envelope)
        assert tuple([await backers.status(view) for view in views]) == ENDS
        assert await pledges.parked() == []
        await assert_books_add_up(pledges, backers, campaign_id)
        live = await _shown(pledges)
        await rebuild(pledges.pool, pledges.definition, PLEDGES_PROJECTION)
        assert await _shown(pledges) == live

    async def test_of_a_pledge_that_is_not_known_changes_nothing(self, pledges: House, backers: Backers) -> None:
        view = await backers.place(await backers.launch())
        await pledges.said()
        await backers.hear(authorized(PledgeView(**{**vars(view), "pledge_id": placing(view.campaign_id).pledge_id})))
        assert (await pledges.said(), await pledges.parked()) == ([], [])

    async def test_a_drop_frees_the_slot(self, pledges: House, backers: Backers) -> None:
        limited = tier(limit=1)
        campaign_id = await backers.launch(limited)
        view = await backers.authorized(campaign_id, tier_id=limited.tier_id)
        drop = DropRequested(pledge_id=PledgeId(view.pledge_id), campaign_id=campaign_id)
        await backers.hear(drop)  # nothing has failed yet
        assert await backers.status(view) == "authorized"
        await backers.hear(capture_failed(view), drop, drop)
        assert (await backers.status(view), await backers.claimed(limited)) == ("dropped", 0)


class TestCancel:
    async def test_before_the_cutoff_frees_the_slot_and_may_be_repeated(self, pledges: House, backers: Backers) -> None:
        limited = tier(limit=1)
        view = await backers.authorized(await backers.launch(limited), tier_id=limited.tier_id)
        pledges.clock.frozen_at = CUTOFF - MILLISECOND
        await pledges.said()
        for _ in range(2):
            assert (await backers.cancel(view))["status"] == "cancelled"
        pledges.clock.frozen_at = CUTOFF + MILLISECOND
        assert (await backers.cancel(view))["status"] == "cancelled"
        assert names(await pledges.said()) == ["PledgeCancelled"]
        assert await backers.claimed(limited) == 0

    async def test_at_the_cutoff_it_is_refused_and_names_the_time(self, pledges: House, backers: Backers) -> None:
        view = await backers.authorized(await backers.launch())
        pledges.clock.frozen_at = CUTOFF
        with pytest.raises(CutoffPassed) as refused:
            await backers.cancel(view)
        assert refused.value.facts["cutoff"] == "2027-03-29T12:00:00Z"
        assert await backers.status(view) == "authorized"

    async def test_somebody_elses_is_unknown(self, pledges: House, backers: Backers) -> None:
        view = await backers.place(await backers.launch())
        stranger = PledgeView(**{**vars(view), "backer_id": placing(view.campaign_id).backer_id})
        with pytest.raises(PledgeUnknown):
            await backers.cancel(stranger)

    async def test_it_wins_over_an_authorization_that_comes_later(self, pledges: House, backers: Backers) -> None:
        view = await backers.place(await backers.launch())
        await backers.cancel(view)
        await pledges.said()
        await backers.hear(authorized(view), voided(view))
        assert (await pledges.said(), await backers.status(view)) == ([], "cancelled")

    async def test_a_charge_of_keep_it_all_is_refunded_inside_the_window_only(
        self, pledges: House, backers: Backers
    ) -> None:
        campaign_id = await backers.launch(model=FundingModel.KEEP_IT_ALL)
        early, late = [await backers.place(campaign_id) for _ in range(2)]
        await backers.hear(captured(early), captured(late))
        pledges.pass_time(timedelta(days=14) - MILLISECOND)
        await backers.cancel(early)
        await backers.hear(refunded(early))
        pledges.pass_time(MILLISECOND)
        with pytest.raises(RefundWindowOver) as refused:
            await backers.cancel(late)
        assert refused.value.facts["refund_until"] == "2027-03-15T12:00:00Z"
        assert (await backers.status(early), await backers.status(late)) == ("refunded", "captured")
        assert (await backers.cancel(early))["status"] == "refunded"  # repeated: still fine


class TestLease:
    async def test_runs_out_to_the_second_and_frees_the_slot(self, pledges: House, backers: Backers) -> None:
        limited = tier(limit=1)
        campaign_id = await backers.launch(limited)
        view = await backers.place(campaign_id, tier_id=limited.tier_id)
        pledges.clock.frozen_at = START + timedelta(seconds=LEASE_SECONDS) - MILLISECOND
        await backers.timers.expire_leases()
        assert await backers.status(view) == "pending"
        pledges.pass_time(MILLISECOND)
        await pledges.said()
        for _ in range(2):
            await backers.timers.expire_leases()
        [ended] = await pledges.said()
        assert isinstance(ended, PledgeDeclined)
        assert ended.reason == "lease_expired"
        assert await backers.claimed(limited) == 0
        await backers.hear(authorized(view))  # too late: payment voids it
        assert await backers.status(view) == "declined"
        await backers.place(campaign_id, tier_id=limited.tier_id, backer_id=view.backer_id)

    async def test_of_a_decided_pledge_ends_nothing(self, pledges: House, backers: Backers) -> None:
        view = await backers.authorized(await backers.launch())
        pledges.pass_time(timedelta(seconds=LEASE_SECONDS))
        await backers.timers.expire_leases()
        assert await backers.status(view) == "authorized"


class TestCampaignCancelled:
    async def test_takes_every_live_pledge_with_it_in_batches(self, pledges: House, backers: Backers) -> None:
        limited = tier(limit=300)
        campaign_id = await backers.launch(limited)
        for _ in range(205):
            await pledges.execute(placing(campaign_id, tier_id=limited.tier_id))
        charged = await backers.place(campaign_id)
        await backers.hear(captured(charged), _cancelled(campaign_id))
        await pledges.said()
        with pytest.raises(CampaignNotOpen):
            await pledges.execute(placing(campaign_id))
        while await backers.timers.cancel_with_campaigns():
            pass
        ended = await pledges.said()
        assert len(ended) == 206
        assert {(type(e), getattr(e, "reason", "")) for e in ended} == {(PledgeCancelled, "campaign_cancelled")}
        assert await backers.claimed(limited) == 0
        await assert_books_add_up(pledges, backers, campaign_id)
        await backers.hear(refunded(charged))
        assert await backers.status(charged) == "refunded"

    async def test_heard_of_before_its_launch_no_pledge_is_taken(self, pledges: House, backers: Backers) -> None:
        campaign = launched()
        first, second = backers.stories.tell(campaign, _cancelled(campaign.campaign_id))
        await pledges.take_in(second)
        await pledges.take_in(first)
        with pytest.raises(CampaignNotOpen):
            await pledges.execute(placing(campaign.campaign_id))

    async def test_a_backer_may_still_cancel_after_the_cutoff(self, pledges: House, backers: Backers) -> None:
        campaign_id = await backers.launch()
        view = await backers.authorized(campaign_id)
        pledges.clock.frozen_at = CUTOFF
        await backers.hear(_cancelled(campaign_id))
        assert (await backers.cancel(view))["status"] == "cancelled"


async def _shown(pledges: House) -> list[tuple[Any, ...]]:
    views = await pledges.pool.fetch("SELECT * FROM pledge_view ORDER BY pledge_id")
    return [tuple(row) for row in (*views, *await pledges.pool.fetch("SELECT * FROM pledge_buckets"))]


def _cancelled(campaign_id: CampaignId) -> CampaignCancelled:
    return CampaignCancelled(campaign_id=campaign_id, cancelled_at=START)


async def assert_books_add_up(pledges: House, backers: Backers, campaign_id: CampaignId) -> None:
    """M4: each pledge is in one bucket, they add up to what was placed and changed, and the book counts the same."""
    placed = await pledges.pool.fetchrow(
        "SELECT count(*) FILTER (WHERE type = 'pledge.PledgePlaced.v1') AS count,"
        " sum((data->'amount'->>'amount')::bigint"
        " - coalesce((data->'previous_amount'->>'amount')::bigint, 0)) AS minor"
        " FROM event WHERE type IN ('pledge.PledgePlaced.v1', 'pledge.PledgeChanged.v1')"
        " AND data->>'campaign_id' = $1",
        str(campaign_id),
    )
    found = await pledges.pool.fetchrow("SELECT * FROM pledge_buckets WHERE campaign_id = $1", campaign_id)
    assert placed is not None
    assert found is not None
    counts = {name: value for name, value in found.items() if isinstance(value, int)}
    minors = {name: counts.pop(name) for name in list(counts) if name.endswith("_minor")}
    assert (sum(counts.values()), sum(minors.values())) == (placed["count"], placed["minor"])
    views = await pledges.pool.fetch("SELECT * FROM pledge_view WHERE campaign_id = $1", campaign_id)
    given_back = sum(row["refunded_minor"] for row in views if row["status"] == "captured")
    assert counts == _by_bucket((row["status"], 1) for row in views)
    expected = _by_bucket((row["status"], row["amount_minor"]) for row in views)
    expected["captured"] -= given_back
    expected["ended"] += given_back
    assert minors == {f"{name}_minor": total for name, total in expected.items()}
    book = await backers.book(campaign_id)
    alive = ("waiting", "held", "captured", "owing")
    assert (book["live"], book["live_minor"]) == (
        sum(counts[name] for name in alive),
        sum(minors[f"{name}_minor"] for name in alive) + given_back,
    )
    changing = await pledges.pool.fetchval(
        "SELECT count(*) FROM pledge_view WHERE campaign_id = $1 AND change_until IS NOT NULL", campaign_id
    )
    assert book["undecided"] == counts["waiting"] + changing


def _by_bucket(weighed: Iterable[tuple[str, int]]) -> dict[str, int]:
    totals: Counter[str] = Counter({"waiting": 0, "held": 0, "captured": 0, "owing": 0, "ended": 0})
    for status, weight in weighed:
        totals[_bucket(Status(status))] += weight
    return dict(totals)


def _bucket(status: Status) -> str:
    if status in UNDECIDED:
        return "waiting"
    if status in HELD:
        return "held"
    return {Status.CAPTURED: "captured", Status.CAPTURE_FAILED: "owing"}.get(status, "ended")
