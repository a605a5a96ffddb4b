"""What every public event has in common."""

import pytest

from contracts.event import Event
from contracts.registry import PUBLIC_EVENTS, SERVICES


@pytest.mark.parametrize(
    "wrong", ["pledge.Other.v1", "pledge.Made", "pledge.Made.1", "pledge.Made.v0", ".Made.v1", "Made.v1"]
)
def test_a_type_that_does_not_name_service_event_and_version_is_refused(wrong: str) -> None:
    with pytest.raises(TypeError, match="cannot have the type"):
        type("Made", (Event,), {}, type=wrong)


def test_type_and_source_come_from_the_declaration() -> None:
    class Made(Event, type="pledge.Made.v12"):
        pass

    assert (Made.type, Made.source) == ("pledge.Made.v12", "pledge")


@pytest.mark.parametrize("model", PUBLIC_EVENTS.values(), ids=PUBLIC_EVENTS)
def test_a_public_event_is_owned_by_a_service_and_sits_in_its_module(model: type[Event]) -> None:
    assert model.source in SERVICES
    assert model.__module__.startswith(f"contracts.{model.source}")
