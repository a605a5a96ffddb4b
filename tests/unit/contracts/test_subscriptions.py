"""Every public event finds a queue, and every subscription a writer."""

import pytest

from contracts.event import Event
from contracts.payment import PaymentFact
from contracts.registry import PUBLIC_EVENTS, SERVICES
from contracts.subscriptions import SUBSCRIPTIONS


@pytest.mark.parametrize("model", PUBLIC_EVENTS.values(), ids=PUBLIC_EVENTS)
def test_an_event_has_a_subscriber(model: type[Event]) -> None:
    """An event without one is unroutable and would stop its service's relay."""
    assert [service for service, events in SUBSCRIPTIONS.items() if model in events]


@pytest.mark.parametrize("service", SERVICES)
class TestSubscriptions:
    def test_are_for_public_events_of_others(self, service: str) -> None:
        for model in SUBSCRIPTIONS[service]:
            assert PUBLIC_EVENTS[model.type] is model
            assert model.source != service, f"{service} would take in its own {model.type}"

    def test_name_an_event_once(self, service: str) -> None:
        assert len(SUBSCRIPTIONS[service]) == len(set(SUBSCRIPTIONS[service]))


def test_only_services_subscribe() -> None:
    assert set(SUBSCRIPTIONS) == set(SERVICES)


def test_only_the_pledge_service_reads_payment_facts_about_a_pledge() -> None:
    """Everybody else follows a pledge by `pledge.*`, so that there is one truth about it."""
    readers = {s for s, events in SUBSCRIPTIONS.items() if any(issubclass(e, PaymentFact) for e in events)}
    assert readers == {"pledge"}
