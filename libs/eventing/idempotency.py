"""A command under a key takes effect once: sent again, it gets the answer that it had (DOMAIN P10)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json

from eventing.refusal import Refusal
from eventing.tables import Table
from eventing.work import Work


class IdempotencyMismatch(Refusal):
    code = "idempotency-key-reused"
    title = "This Idempotency-Key was used for another command"
    status = 422


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Whose key, and a digest of the whole command."""

    person_id: UUID
    key: str
    fingerprint: str


@dataclass(frozen=True)
class IdempotencyRow:
    person_id: UUID
    key: str
    fingerprint: str
    answer_json: str
    created_at: datetime


IDEMPOTENCY: Final = Table("idempotency", IdempotencyRow, ("person_id", "key"), lock=False)


def answer_once(work: Work, mine: Idempotency, decide: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What was answered under this key, else what is decided now.

    Raises:
        IdempotencyMismatch: The key was used for another command.
        Refusal: From `decide`; nothing is kept, so that the key can be used again.
    """
    before = work.get(IDEMPOTENCY, mine.person_id, mine.key)
    if before is not None:
        if before.fingerprint != mine.fingerprint:
            raise IdempotencyMismatch("Use a new Idempotency-Key for a new command.")
        return from_json(before.answer_json)  # type: ignore[no-any-return]  # written below
    answer = decide()
    work.put(
        IDEMPOTENCY, IdempotencyRow(mine.person_id, mine.key, mine.fingerprint, to_json(answer).decode(), work.now)
    )
    return answer
