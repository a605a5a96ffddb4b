"""Rate limits: one for all requests, one for each endpoint (https://docs.stripe.com/rate-limits)."""

import time
from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[int, Field(ge=0, le=1_000_000)]


class Limits(BaseModel):
    """Requests a second; 0 is no limit. `endpoints` says otherwise for some, by `POST /v1/refunds` and the like."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    overall: Annotated[Rate, Field(alias="global")] = 0
    per_endpoint: Rate = 0
    endpoints: Annotated[dict[str, Rate], Field(max_length=100)] = {}


class Limiter:
    """Token buckets over the machine's time; a change of the limits starts with full ones."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._monotonic = monotonic
        self._overall = _Bucket(limits.overall, monotonic())
        self._endpoints: dict[str, _Bucket] = {}

    def refuse(self, method: str, path: str) -> str | None:
        """Why this request is one too many, in the words of `Stripe-Rate-Limited-Reason`; or None, and it counts."""
        now = self._monotonic()
        if not self._overall.take(now):
            return "global-rate"
        if not self.limits.per_endpoint and not self.limits.endpoints:
            return None
        endpoint = endpoint_of(method, path)
        bucket = self._endpoints.get(endpoint)
        if bucket is None:
            rate = self.limits.endpoints.get(endpoint, self.limits.per_endpoint)
            bucket = self._endpoints[endpoint] = _Bucket(rate, now)
        return None if bucket.take(now) else "endpoint-rate"


class _Bucket:
    """`rate` requests a second, bursts of one second's worth."""

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate)
        self._at = now

    def take(self, now: float) -> bool:
        if self._rate == 0:
            return True
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def endpoint_of(method: str, path: str) -> str:
    """`POST /v1/payment_intents/*/capture`: the route without its ids."""
    parts = path.split("/")[2:6]
    parts[1::2] = "*" * len(parts[1::2])
    return f"{method} /v1/{'/'.join(parts)}"
