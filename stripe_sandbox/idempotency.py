"""Idempotency keys: the first answer is kept and given again (https://docs.stripe.com/api/idempotent_requests)."""

import zlib
from dataclasses import dataclass, field

from stripe_sandbox.errors import StripeError

KEY_MAX = 255  # Stripe: characters in a key.
KEPT_SECONDS = 24 * 3_600  # Stripe keeps a key for at least a day; exactly a day is the harshest reading.
_LEVEL, _WINDOW, _MEMORY = 1, -13, 6  # The fastest, raw, with a window that holds the sample.


@dataclass(frozen=True, slots=True)
class Answer:
    """What went over the wire first, and the request it answered."""

    status: int
    body: bytes
    request_id: str


@dataclass(slots=True)
class _Kept:
    fingerprint: int
    since: int
    answer: tuple[int, bytes, str] | None = None


@dataclass
class Keys:
    """Keys in the order of their first use, so that the oldest are found and forgotten first."""

    _kept: dict[str, _Kept] = field(default_factory=dict)
    _sample: bytes = b""
    """The first answer: most are like it, so that 3 kB compressed against it are 200 bytes."""

    def begin(self, key: str, request: str, now: int) -> Answer | None:
        """The kept answer, or None when the request is to be carried out and `finish` called.

        `request` is what must be the same under the same key.

        Raises:
            StripeError: the key is too long, was used for another request, or its first request is still running.
        """
        self._forget(now)
        fingerprint = hash(request)
        if len(key) > KEY_MAX:
            raise StripeError(f"Idempotency keys have at most {KEY_MAX} characters.", kind="idempotency_error")
        kept = self._kept.get(key)
        if kept is None:
            self._kept[key] = _Kept(fingerprint, now)
            return None
        if kept.fingerprint != fingerprint:
            raise StripeError(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        if kept.answer is None:
            raise StripeError(
                f"There is currently another in-progress request using this Idempotent Key: {key}.",
                status=409,
                code="idempotency_key_in_use",
            )
        status, body, request_id = kept.answer
        unpack = zlib.decompressobj(_WINDOW, zdict=self._sample)
        return Answer(status, unpack.decompress(body) + unpack.flush(), request_id)

    def finish(self, key: str, answer: Answer) -> None:
        kept = self._kept.get(key)
        if kept is None:
            return  # The sandbox was reset meanwhile.
        self._sample = self._sample or answer.body
        pack = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zdict=self._sample)
        kept.answer = (answer.status, pack.compress(answer.body) + pack.flush(), answer.request_id)

    def _forget(self, now: int) -> None:
        while self._kept:
            key, kept = next(iter(self._kept.items()))
            if kept.since + KEPT_SECONDS > now or kept.answer is None:
                return
            del self._kept[key]
