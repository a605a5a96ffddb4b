"""The public events keep their promise to old readers and to events stored long ago.

When a test here fails after a change: an addition needs `python -m contracts.publish`; anything else needs a
new version of the event beside the old one.
"""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field

from contracts.envelope import Envelope, batch, decode, decode_batch, encode
from contracts.event import Event
from contracts.publish import CONTRACTS, BrokenContractError, as_text, broken_contracts, publish, schema_of
from contracts.registry import PUBLIC_EVENTS

EVENTS = sorted(PUBLIC_EVENTS)


def published(kind: str) -> set[str]:
    return {path.stem for path in (CONTRACTS / kind).glob("*.json")}


def read(kind: str, event: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CONTRACTS / kind / f"{event}.json").read_text(encoding="utf-8"))
    return document


def received(event: str) -> Envelope:
    """The golden payload as a consumer gets it: out of a batch."""
    text = (CONTRACTS / "golden" / f"{event}.json").read_text(encoding="utf-8")
    [raw] = decode_batch(batch([text]))
    return decode(raw)


def missing(old: Any, new: Any, path: str = "data") -> list[str]:
    """The values of `old` that `new` has lost or changed; what `new` adds is fine."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [line for key, value in old.items() for line in missing(value, new.get(key), f"{path}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = zip(old, new, strict=True)
        return [line for i, (a, b) in enumerate(pairs) for line in missing(a, b, f"{path}[{i}]")]
    return [] if old == new else [f"{path}: {old!r} became {new!r}"]


class TestPublished:
    @pytest.mark.parametrize("kind", ["schemas", "golden"])
    def test_every_event_has_exactly_one_file_and_no_file_is_left_without_its_event(self, kind: str) -> None:
        """A removed event fails here: it is still stored somewhere."""
        assert published(kind) == set(PUBLIC_EVENTS)

    def test_no_event_breaks_what_was_published(self) -> None:
        assert broken_contracts() == []

    @pytest.mark.parametrize("event", EVENTS)
    def test_the_schema_is_up_to_date(self, event: str) -> None:
        assert read("schemas", event) == schema_of(PUBLIC_EVENTS[event]), "run: python -m contracts.publish"

    @pytest.mark.parametrize("event", EVENTS)
    def test_the_schema_is_valid_json_schema(self, event: str) -> None:
        Draft202012Validator.check_schema(read("schemas", event))


@pytest.mark.parametrize("event", EVENTS)
class TestGolden:
    def test_fits_its_schema_and_fills_every_field(self, event: str) -> None:
        schema, data = read("schemas", event), read("golden", event)["data"]
        errors = [error.message for error in Draft202012Validator(schema).iter_errors(data)]
        assert errors == []
        assert set(schema["required"]) <= set(data)

    def test_is_read_and_written_again_without_loss(self, event: str) -> None:
        envelope = received(event)
        model = PUBLIC_EVENTS[event].model_validate(envelope.data)
        again = encode(
            id=envelope.id,
            source=model.source,
            type=model.type,
            subject=model.subject,
            version=envelope.version,
            time=envelope.time,
            data_json=model.model_dump_json(),
            traceparent=envelope.traceparent,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.causation_id,
        )
        assert missing(read("golden", event), json.loads(again), event) == []

    def test_a_field_only_a_newer_writer_knows_is_ignored_and_kept(self, event: str) -> None:
        golden = read("golden", event)
        golden["data"]["from_the_future"] = {"n": 1}
        envelope = decode(golden)
        model = PUBLIC_EVENTS[event].model_validate(envelope.data)
        assert model == PUBLIC_EVENTS[event].model_validate(received(event).data)
        assert "from_the_future" not in model.model_dump()
        assert envelope.data["from_the_future"] == {"n": 1}

    def test_is_read_without_its_optional_fields(self, event: str) -> None:
        required = read("schemas", event)["required"]
        data = {name: value for name, value in received(event).data.items() if name in required}
        model = PUBLIC_EVENTS[event].model_validate(data)
        assert missing(data, json.loads(model.model_dump_json())) == []

    def test_is_about_its_subject(self, event: str) -> None:
        envelope = received(event)
        assert PUBLIC_EVENTS[event].model_validate(envelope.data).subject == envelope.subject
        assert (envelope.type, envelope.source) == (event, PUBLIC_EVENTS[event].source)


class Before:
    """An event as it was published, and the changes somebody might make to it."""

    class LampLit(Event, type="pledge.LampLit.v1"):
        brightness: int = Field(ge=1, le=10)
        room: str = ""

    NAME: ClassVar = "pledge.LampLit.v1"
    EVENTS: ClassVar = {NAME: LampLit}


class Grown:
    class LampLit(Event, type="pledge.LampLit.v1"):
        brightness: int = Field(ge=1, le=10)
        room: str = ""
        colour: str = "white"


class Broken:
    class LampLit(Event, type="pledge.LampLit.v1"):
        brightness: int = Field(ge=1, le=9)
        watts: int


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("schemas", "golden"):
        (tmp_path / kind).mkdir()
    schema = as_text(schema_of(Before.LampLit))
    (tmp_path / "schemas" / f"{Before.NAME}.json").write_text(schema, encoding="utf-8")
    (tmp_path / "golden" / f"{Before.NAME}.json").write_text("as it was shipped", encoding="utf-8")
    return tmp_path


class TestPublishing:
    def test_a_break_names_the_event_and_the_field_and_writes_nothing(self, folder: Path) -> None:
        with pytest.raises(BrokenContractError) as refused:
            publish(folder, {Before.NAME: Broken.LampLit})
        assert str(refused.value).splitlines() == [
            "pledge.LampLit.v1: brightness: maximum changed from 10 to 9: old events may not fit",
            "pledge.LampLit.v1: room: removed",
            "pledge.LampLit.v1: watts: new and required, but old events do not carry it",
        ]
        assert broken_contracts(folder, Before.EVENTS) == []

    def test_a_removed_event_is_refused(self, folder: Path) -> None:
        with pytest.raises(BrokenContractError, match=r"pledge\.LampLit\.v1: the event is gone"):
            publish(folder, {})

    def test_an_addition_updates_the_schema_and_never_the_golden_payload(self, folder: Path) -> None:
        publish(folder, {Before.NAME: Grown.LampLit})
        schema = json.loads((folder / "schemas" / f"{Before.NAME}.json").read_text(encoding="utf-8"))
        golden = (folder / "golden" / f"{Before.NAME}.json").read_text(encoding="utf-8")
        assert schema["properties"]["colour"]["default"] == "white"
        assert golden == "as it was shipped"

    @pytest.mark.parametrize("event", EVENTS)
    def test_a_new_event_gets_a_golden_payload_that_its_model_reads(self, event: str, tmp_path: Path) -> None:
        publish(tmp_path, {event: PUBLIC_EVENTS[event]})
        golden = json.loads((tmp_path / "golden" / f"{event}.json").read_text(encoding="utf-8"))
        PUBLIC_EVENTS[event].model_validate(decode(golden).data)
