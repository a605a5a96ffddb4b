"""The provider's limits are kept, people at the checkout come first, and a 429 slows down (DOMAIN Y7)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment import budget
from payment.budget import (
    BURST_SECONDS,
    CALM,
    ENDPOINT_RATE,
    LIVE_RATE,
    OVERALL,
    SLOWED_EVERY,
    SLOWED_TO,
    SLOWEST,
    TEST_RATE,
    UNLIMITED_RATE,
    Bucket,
    Lane,
    Limits,
    Wish,
    admit,
    affordable,
    calls_of,
    endpoint_of,
    fill,
    full,
    lane_of,
    limits_of,
    slow,
)
from payment.domain_events import Kind

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
LIMITS = Limits(100, 25)
CAPTURE = "POST /v1/payment_intents/*/capture"
CREATE = "POST /v1/payment_intents"
CUSTOMER = "POST /v1/customers"
SECOND = timedelta(seconds=1)


def buckets(*endpoints: str, limits: Limits = LIMITS) -> dict[str, Bucket]:
    return {endpoint: full(endpoint, limits, NOON) for endpoint in (OVERALL, *endpoints)}


def wishes(lane: Lane, count: int, *calls: str) -> list[Wish]:
    return [Wish(lane, calls)] * count


class TestLimits:
    @pytest.mark.parametrize(
        ("base", "key", "expected"),
        [
            (None, "sk_live_1", Limits(LIVE_RATE, ENDPOINT_RATE)),
            (None, "rk_live_1", Limits(LIVE_RATE, ENDPOINT_RATE)),
            (None, "sk_test_1", Limits(TEST_RATE, ENDPOINT_RATE)),
            ("http://sandbox", "sk_test_1", Limits()),
        ],
    )
    def test_by_default_are_those_of_stripe_and_none_of_the_sandbox(
        self, base: str | None, key: str, expected: Limits
    ) -> None:
        assert limits_of(base, key, None, None) == expected

    @pytest.mark.parametrize("base", [None, "http://sandbox"])
    def test_that_are_set_hold(self, base: str | None) -> None:
        assert limits_of(base, "sk_live_1", 60, 15) == Limits(60, 15)

    def test_that_are_not_there_leave_the_buckets_alone(self) -> None:
        assert not Limits().any
        assert Limits(overall=10).any
        assert Limits(endpoint=10).any


class TestEndpoint:
    @pytest.mark.parametrize(
        ("method", "path", "expected"),
        [
            ("post", "/v1/payment_intents", CREATE),
            ("post", "/v1/payment_intents/pi_1/capture", CAPTURE),
            ("get", "/v1/payment_intents/pi_1", "GET /v1/payment_intents/*"),
            ("POST", "/v1/transfers/tr_1/reversals", "POST /v1/transfers/*/reversals"),
            ("get", "/v1/balance", "GET /v1/balance"),
        ],
    )
    def test_is_the_same_for_every_object(self, method: str, path: str, expected: str) -> None:
        assert endpoint_of(method, path) == expected


class TestKinds:
    def test_every_kind_has_a_lane_and_an_endpoint(self) -> None:
        for kind in Kind:
            assert lane_of(kind) in Lane
            assert set(calls_of(kind, first=False, looks=False)) <= budget.ENDPOINTS

    def test_a_pledges_first_creation_makes_its_customer_too(self) -> None:
        assert calls_of("authorize", first=True, looks=False) == (CUSTOMER, CREATE)
        assert calls_of("authorize", first=False, looks=False) == (CREATE,)
        assert calls_of("capture", first=True, looks=False) == (CAPTURE,)

    def test_one_that_is_read_back_is_one_look(self) -> None:
        assert calls_of("authorize", first=True, looks=True) == ("GET /v1/payment_intents/*",)


class TestFill:
    def test_a_bucket_holds_no_more_than_its_burst(self) -> None:
        later = fill(full(OVERALL, LIMITS, NOON), 100, NOON + timedelta(hours=1))
        assert later.tokens == later.burst == 100 * BURST_SECONDS

    def test_what_flows_in_is_the_rate(self) -> None:
        empty = replace(full(OVERALL, LIMITS, NOON), tokens=0.0)
        assert fill(empty, 100, NOON + timedelta(milliseconds=200)).tokens == pytest.approx(20)

    def test_a_clock_that_goes_back_fills_nothing_twice(self) -> None:
        empty = replace(full(OVERALL, LIMITS, NOON), tokens=0.0)
        back = fill(empty, 100, NOON - SECOND)
        assert (back.tokens, back.filled_at) == (0.0, NOON)

    def test_a_limit_that_was_lowered_holds_at_once(self) -> None:
        assert fill(full(OVERALL, LIMITS, NOON), 40, NOON).rate == 40


class TestSlow:
    def test_a_429_lowers_the_rate(self) -> None:
        slower = slow(full(OVERALL, LIMITS, NOON), 3, NOON)
        assert (slower.rate, slower.throttled) == (100 * SLOWED_TO, 3)
        assert slower.tokens <= slower.burst

    def test_many_that_were_under_way_together_lower_it_once(self) -> None:
        once = slow(full(OVERALL, LIMITS, NOON), 1, NOON)
        twice = slow(once, 5, NOON + SLOWED_EVERY / 2)
        assert (twice.rate, twice.throttled) == (once.rate, 6)
        assert slow(twice, 1, NOON + SLOWED_EVERY).rate == pytest.approx(100 * SLOWED_TO**2)

    def test_it_never_stops(self) -> None:
        bucket, now = full(OVERALL, LIMITS, NOON), NOON
        for _ in range(60):
            now += SLOWED_EVERY
            bucket = slow(bucket, 1, now)
        assert bucket.rate == SLOWEST
        assert bucket.burst >= len(calls_of("authorize", first=True, looks=False))

    def test_it_recovers_when_it_is_calm_and_stays_at_the_limit(self) -> None:
        slower = slow(full(OVERALL, LIMITS, NOON), 1, NOON)
        assert fill(slower, 100, NOON + CALM / 2).rate == slower.rate
        bucket, now = slower, NOON
        while bucket.rate < 100:
            now += SECOND
            bucket = fill(bucket, 100, now)
        assert timedelta(seconds=10) < now - NOON < timedelta(seconds=30)
        assert fill(bucket, 100, now + SECOND).rate == 100

    def test_a_bucket_without_limit_is_one_as_long_as_it_is_slowed(self) -> None:
        unlimited = full(CAPTURE, Limits(), NOON)
        slower = slow(unlimited, 1, NOON)
        assert slower.rate < UNLIMITED_RATE
        assert fill(slower, Limits().of(CAPTURE), NOON + timedelta(minutes=2)).rate == UNLIMITED_RATE


class TestAdmit:
    def test_an_endpoint_that_is_used_up_holds_up_no_other(self) -> None:
        have = buckets(CAPTURE, CREATE)
        have[CAPTURE] = replace(have[CAPTURE], tokens=0.0)
        asked = [*wishes(Lane.SETTLEMENT, 3, CAPTURE), *wishes(Lane.CHECKOUT, 2, CREATE)]
        goes, left = admit(have, asked, 10)
        assert goes == [False, False, False, True, True]
        assert left[OVERALL].tokens == have[OVERALL].tokens - 2

    def test_a_settlement_leaves_the_share_of_the_checkout(self) -> None:
        have = buckets(CAPTURE, CREATE, limits=Limits(overall=100))
        goes, left = admit(have, wishes(Lane.SETTLEMENT, 200, CAPTURE), 200)
        assert 0 < sum(goes) < have[OVERALL].burst
        more, _ = admit(left, wishes(Lane.CHECKOUT, 200, CREATE), 200)
        assert sum(more) == pytest.approx(have[OVERALL].burst * budget.CHECKOUT_SHARE, abs=1)

    def test_no_more_than_there_is_room_for(self) -> None:
        goes, _ = admit(buckets(CAPTURE), wishes(Lane.SETTLEMENT, 5, CAPTURE), 2)
        assert goes == [True, True, False, False, False]

    @given(quarters=st.integers(-20, 240), rate=st.integers(1, 120), lane=st.sampled_from(Lane))
    def test_what_is_affordable_is_what_is_admitted(self, quarters: int, rate: int, lane: Lane) -> None:
        overall = Bucket(OVERALL, float(rate), quarters / 4, NOON)
        have = {OVERALL: overall, CAPTURE: Bucket(CAPTURE, 1_000.0, 500.0, NOON)}
        goes, _ = admit(have, wishes(lane, 100, CAPTURE), 100)
        assert affordable(have, lane) == sum(goes)

    @pytest.mark.parametrize("lane", list(Lane))
    def test_the_slowest_bucket_lets_any_operation_through_in_the_end(self, lane: Lane) -> None:
        slowest = {
            endpoint: replace(full(endpoint, LIMITS, NOON), rate=SLOWEST, tokens=-3.0)
            for endpoint in (OVERALL, CREATE, CUSTOMER)
        }
        later = {
            endpoint: fill(replace(bucket, slowed_at=NOON + timedelta(hours=1)), SLOWEST, NOON + timedelta(seconds=9))
            for endpoint, bucket in slowest.items()
        }
        assert admit(later, [Wish(lane, (CUSTOMER, CREATE))], 1)[0] == [True]

    @given(
        rounds=st.lists(
            st.tuples(st.integers(1, 500), st.integers(0, 40), st.integers(0, 40), st.integers(0, 5)), max_size=60
        )
    )
    def test_over_any_time_no_more_calls_than_the_rate_and_one_burst(
        self, rounds: list[tuple[int, int, int, int]]
    ) -> None:
        have, now, calls = buckets(CAPTURE, CREATE), NOON, dict.fromkeys((OVERALL, CAPTURE, CREATE), 0)
        for milliseconds, captures, creations, unforeseen in rounds:
            now += timedelta(milliseconds=milliseconds)
            have = {endpoint: fill(bucket, LIMITS.of(endpoint), now) for endpoint, bucket in have.items()}
            asked = [*wishes(Lane.CHECKOUT, creations, CREATE), *wishes(Lane.SETTLEMENT, captures, CAPTURE)]
            goes, left = admit(have, asked, 48)
            for wish in (wish for wish, go in zip(asked, goes, strict=True) if go):
                calls[wish.calls[0]] += 1
                calls[OVERALL] += 1
            have = {**left, OVERALL: replace(left[OVERALL], tokens=left[OVERALL].tokens - unforeseen)}
        for endpoint, count in calls.items():
            seconds = (now - NOON).total_seconds()
            assert count <= LIMITS.of(endpoint) * (seconds + BURST_SECONDS) + 1e-6
