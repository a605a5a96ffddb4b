"""How much may be asked of the provider, and of whom first (DOMAIN Y7): token buckets, pure.

One bucket for all calls and one per endpoint, as Stripe counts them (https://docs.stripe.com/rate-limits). `leasing.py`
keeps them in the database, where all replicas share them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

OVERALL: Final = "*"  # The bucket of all calls together.

LIVE_RATE: Final = 100.0  # Calls a second that Stripe allows an account by default, ...
TEST_RATE: Final = 25.0  # ... with a test key, ...
ENDPOINT_RATE: Final = 25.0  # ... and of each endpoint.
# Without a limit a bucket is looked at only while it is slowed down, and then it is one of this many calls a second:
# more than a process sends.
UNLIMITED_RATE: Final = 1_000.0

BURST_SECONDS: Final = 0.5  # A bucket holds this much of its rate: several rounds of leasing, far less than a second.
BURST_MIN: Final = 2.0  # A new pledge takes two calls, its customer and its payment, also at the slowest.
CHECKOUT_SHARE: Final = 2 / 3  # Of a full bucket: left for people at the checkout, who come first for what flows in.

SLOWED_TO: Final = 0.7  # Of the rate, at a 429, ...
SLOWED_EVERY: Final = timedelta(seconds=1)  # ... once for all that were under way together.
CALM: Final = timedelta(seconds=2)  # Without a 429, before it gets faster again, ...
RECOVERY_SHARE: Final = 0.02  # ... by this much of the limit each second: from half to all in 25 s.
SLOWEST: Final = 1.0  # A call a second finds out whether the provider answers again.


class Lane(StrEnum):
    """Who comes first, from the top."""

    CHECKOUT = "checkout"  # a person waits
    SETTLEMENT = "settlement"  # in the order in which settlement asks for it: by the hold's end, fair between campaigns
    RENEWAL = "renewal"  # has hours; with few left it is moved to SETTLEMENT
    PAYOUT = "payout"


# By the value of Kind.
_LANES: Final[Mapping[str, Lane]] = {
    "authorize": Lane.CHECKOUT,
    "charge": Lane.CHECKOUT,
    "save": Lane.CHECKOUT,
    "follow": Lane.CHECKOUT,
    "capture": Lane.SETTLEMENT,
    "void": Lane.SETTLEMENT,
    "refund": Lane.SETTLEMENT,
    "payout": Lane.PAYOUT,
}

_CREATE: Final = "POST /v1/payment_intents"
_CUSTOMER: Final = "POST /v1/customers"
_LOOK: Final = "GET /v1/payment_intents/*"
_CALLS: Final[Mapping[str, str]] = {
    "authorize": _CREATE,
    "charge": _CREATE,
    "save": "POST /v1/setup_intents",
    "follow": _LOOK,
    "capture": "POST /v1/payment_intents/*/capture",
    "void": "POST /v1/payment_intents/*/cancel",
    "refund": "POST /v1/refunds",
    "payout": "POST /v1/transfers",
}
ENDPOINTS: Final = frozenset((_CUSTOMER, _LOOK, *_CALLS.values()))
_WITH_CUSTOMER: Final = frozenset(("authorize", "charge", "save"))


def lane_of(kind: str) -> Lane:
    """Where an operation of this kind waits, unless who writes it down knows better."""
    return _LANES[kind]


def calls_of(kind: str, *, first: bool, looks: bool) -> tuple[str, ...]:
    """The endpoints that an operation is expected to call. What it calls beside them is paid afterwards.

    `first`: the pledge's first creation, which makes its customer. `looks`: it is read back rather than sent.
    """
    if looks:
        return (_LOOK,)
    return (_CUSTOMER, _CALLS[kind]) if first and kind in _WITH_CUSTOMER else (_CALLS[kind],)


def endpoint_of(method: str, path: str) -> str:
    """An endpoint's name, the same for every object: `POST /v1/payment_intents/*/capture`."""
    parts = path.strip("/").split("/")
    return f"{method.upper()} /{'/'.join('*' if place == 2 else part for place, part in enumerate(parts))}"


@dataclass(frozen=True)
class Limits:
    """Calls a second, all replicas together. None: no limit."""

    overall: float | None = None
    endpoint: float | None = None

    @property
    def any(self) -> bool:
        return self.overall is not None or self.endpoint is not None

    def of(self, endpoint: str) -> float:
        return (self.overall if endpoint == OVERALL else self.endpoint) or UNLIMITED_RATE


def limits_of(api_base: str | None, api_key: str, overall: float | None, endpoint: float | None) -> Limits:
    """What is set, else Stripe's defaults; the sandbox has none."""
    if api_base is not None:
        return Limits(overall, endpoint)
    live = api_key.startswith(("sk_live_", "rk_live_"))
    return Limits(overall or (LIVE_RATE if live else TEST_RATE), endpoint or ENDPOINT_RATE)


@dataclass(frozen=True)
class Bucket:
    """`tokens` below 0: calls that were not foreseen are made up for first."""

    endpoint: str
    rate: float  # tokens a second, just now
    tokens: float
    filled_at: datetime
    slowed_at: datetime | None = None
    throttled: int = 0  # 429s, ever

    @property
    def burst(self) -> float:
        return max(BURST_MIN, self.rate * BURST_SECONDS)


def full(endpoint: str, limits: Limits, now: datetime) -> Bucket:
    bucket = Bucket(endpoint, limits.of(endpoint), 0.0, now)
    return replace(bucket, tokens=bucket.burst)


def fill(bucket: Bucket, limit: float, now: datetime) -> Bucket:
    """What flowed in since the last time; and a bucket that was slowed down gets faster again."""
    seconds = max(0.0, (now - bucket.filled_at).total_seconds())
    calm = bucket.slowed_at is None or now - bucket.slowed_at >= CALM
    rate = bucket.rate + (limit * RECOVERY_SHARE * seconds if calm else 0.0)
    filled = replace(bucket, rate=min(limit, rate), filled_at=max(now, bucket.filled_at))
    return replace(filled, tokens=min(filled.burst, bucket.tokens + bucket.rate * seconds))


def slow(bucket: Bucket, throttled: int, now: datetime) -> Bucket:
    """Answers of 429 have come in."""
    counted = replace(bucket, throttled=bucket.throttled + throttled)
    if bucket.slowed_at is not None and now - bucket.slowed_at < SLOWED_EVERY:
        return counted
    slower = replace(counted, rate=max(SLOWEST, bucket.rate * SLOWED_TO), slowed_at=now)
    return replace(slower, tokens=min(slower.burst, bucket.tokens))


@dataclass(frozen=True)
class Wish:
    """An operation that is due, and the endpoints that it will call."""

    lane: Lane
    calls: tuple[str, ...]


def admit(buckets: Mapping[str, Bucket], wishes: Iterable[Wish], room: int) -> tuple[list[bool], Mapping[str, Bucket]]:
    """Which of these may go now, in their order, at most `room`; and the buckets after that.

    One that has to wait for its endpoint holds up no other.
    """
    left = dict(buckets)
    admitted: list[bool] = []
    for wish in wishes:
        takes = _takes(wish.calls)
        goes = room > 0 and all(_enough(left[endpoint], count, wish.lane) for endpoint, count in takes.items())
        if goes:
            room -= 1
            for endpoint, count in takes.items():
                left[endpoint] = replace(left[endpoint], tokens=left[endpoint].tokens - count)
        admitted.append(goes)
    return admitted, left


def affordable(buckets: Mapping[str, Bucket], lane: Lane) -> int:
    """How many operations of this lane may go at most, if each makes one call."""
    overall = buckets[OVERALL]
    return max(0, math.floor(overall.tokens - _needed(overall, 1, lane)) + 1)


def _takes(calls: Sequence[str]) -> Mapping[str, int]:
    return {OVERALL: len(calls), **{endpoint: calls.count(endpoint) for endpoint in calls}}


def _enough(bucket: Bucket, count: int, lane: Lane) -> bool:
    return bucket.tokens >= _needed(bucket, count, lane)


def _needed(bucket: Bucket, count: int, lane: Lane) -> float:
    kept = 0.0 if lane is Lane.CHECKOUT else bucket.burst * CHECKOUT_SHARE
    return min(count + kept, bucket.burst)
