"""Events for the benches: lives of pledges, placed and authorized, of one campaign."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

from contracts.envelope import encode
from contracts.event import Event
from contracts.ids import new_id
from contracts.pledge import PledgeAuthorized, PledgePlaced

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
COUNTRIES = ("DE", "FR", "US", "JP", "BR", "IN", "GB", "NL")


def pledges(campaign_id: UUID, count: int) -> Iterator[tuple[Event, Event]]:
    """`count` pledges as their two first events."""
    for number in range(count):
        about = {
            "pledge_id": new_id(),
            "campaign_id": campaign_id,
            "backer_id": new_id(),
            "amount": {"amount": 2500 + number % 100, "currency": "EUR"},
            "country": COUNTRIES[number % len(COUNTRIES)],
        }
        placed = {"payment_method": "pm_card_visa", "strategy": "hold", "placed_at": NOON, "lease_until": NOON}
        yield (
            PledgePlaced.model_validate(about | placed),
            PledgeAuthorized.model_validate(about | {"hold_id": f"pi_{number:024d}"}),
        )


def on_the_wire(event: Event, version: int) -> str:
    """CloudEvent JSON as the relay writes it."""
    return encode(
        id=new_id(),
        source=event.source,
        type=event.type,
        subject=event.subject,
        version=version,
        time=NOON,
        data_json=event.model_dump_json(),
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        correlation_id="4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
    )
