"""Foreign events for the tests: lives of pledges, as envelopes with identities."""

from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json

from contracts.envelope import Envelope, encode
from contracts.event import Event
from contracts.ids import new_id
from contracts.pledge import PledgeAuthorized, PledgeCancelled, PledgePlaced

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Fact(NamedTuple):
    """What `GroupCommit.take_in` takes."""

    envelope: Envelope
    event: Event


def fact(event: Event, version: int) -> Fact:
    envelope = Envelope(
        id=new_id(),
        source=event.source,
        type=event.type,
        subject=event.subject,
        version=version,
        time=NOON,
        data=event.model_dump(mode="json"),
    )
    return Fact(envelope, event)


def life(campaign_id: UUID, minor: int, *, cancelled: bool = False) -> list[Fact]:
    """A pledge that is placed and authorized, and perhaps cancelled."""
    about: dict[str, Any] = {
        "pledge_id": new_id(),
        "campaign_id": campaign_id,
        "backer_id": new_id(),
        "amount": {"amount": minor, "currency": "EUR"},
        "country": "DE",
    }
    events: list[Event] = [
        PledgePlaced(**about, payment_method="pm_card_visa", strategy="hold", placed_at=NOON, lease_until=NOON),
        PledgeAuthorized(**about, hold_id="pi_1"),
    ]
    if cancelled:
        events.append(PledgeCancelled(**about, cancelled_at=NOON, reason="backer"))
    return [fact(event, version) for version, event in enumerate(events, 1)]


def on_the_wire(one: Fact) -> str:
    """The CloudEvent JSON of a fact."""
    e = one.envelope
    return encode(
        id=e.id,
        source=e.source,
        type=e.type,
        subject=e.subject,
        version=e.version,
        time=e.time,
        data_json=to_json(e.data).decode(),
    )
