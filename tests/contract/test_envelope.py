"""What one service encodes another decodes; everything else is refused with one error."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import (
    VERSION_MAX,
    Envelope,
    UndecodableError,
    batch,
    decode,
    decode_batch,
    encode,
)

# What jsonb stores: text without NUL and lone surrogates, integers, no NaN.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
envelopes = st.builds(
    Envelope,
    id=st.uuids(),
    source=st.sampled_from(["campaign", "pledge"]),
    type=st.sampled_from(["campaign.CampaignClosed.v1", "pledge.PledgePlaced.v1"]),
    subject=st.uuids(),
    version=st.integers(min_value=1, max_value=VERSION_MAX),
    time=st.datetimes(timezones=st.just(UTC)),
    data=st.dictionaries(texts, json_values, max_size=5),
    traceparent=texts,
    correlation_id=texts,
    causation_id=texts,
)


def encoded(envelope: Envelope) -> str:
    return encode(
        id=envelope.id,
        source=envelope.source,
        type=envelope.type,
        subject=envelope.subject,
        version=envelope.version,
        time=envelope.time,
        data_json=json.dumps(envelope.data),
        traceparent=envelope.traceparent,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
    )


def read(body: bytes) -> list[Envelope]:
    return [decode(raw) for raw in decode_batch(body)]


def valid() -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "01a00000-0000-7000-8000-000000000001",
        "source": "pledge",
        "type": "pledge.PledgePlaced.v1",
        "subject": "01a00000-0000-7000-8000-000000000002",
        "time": "2027-03-01T12:00:00Z",
        "streamversion": 1,
        "data": {},
    }


class TestRoundTrip:
    @given(st.lists(envelopes, min_size=1, max_size=5))
    def test_a_batch_comes_back_as_it_went(self, sent: list[Envelope]) -> None:
        body = batch([encoded(envelope) for envelope in sent])
        assert read(body) == sent

    @given(envelopes)
    def test_it_is_a_cloudevent_and_extensions_are_left_out_where_empty(self, envelope: Envelope) -> None:
        cloud_event = json.loads(encoded(envelope))
        assert cloud_event["specversion"] == "1.0"
        assert cloud_event["datacontenttype"] == "application/json"
        assert cloud_event["dataschema"] == f"/schemas/{envelope.type}.json"
        for name, value in (
            ("traceparent", envelope.traceparent),
            ("correlationid", envelope.correlation_id),
            ("causationid", envelope.causation_id),
        ):
            assert cloud_event.get(name, "") == value
            assert (name in cloud_event) == bool(value)

    def test_a_time_in_another_zone_is_the_same_instant_in_utc(self) -> None:
        noon = datetime(2027, 3, 1, 12, tzinfo=UTC)
        raw = {**valid(), "time": noon.astimezone(timezone(timedelta(hours=-5))).isoformat()}
        assert decode(raw).time == noon
        assert decode(raw).time.tzinfo is UTC

    def test_a_quote_in_a_correlation_id_cannot_add_attributes(self) -> None:
        """A client's header ends up there."""
        hostile = 'x","source":"payment'
        envelope = decode({**valid(), "correlationid": hostile})
        again = decode(json.loads(encoded(envelope)))
        assert (again.correlation_id, again.source) == (hostile, "pledge")


class TestBrokenBody:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"\xff\xfe",
            b"[]",
            b"{}",
            b"null",
            b"7",
            b'["text"]',
            b"[{}, 7]",
            b"[" * 100_000,
            b'[{"data": NaN}]',
            b'[{"data": Infinity}]',
            b'[{"data": "\\ud800"}]',
        ],
    )
    def test_is_undecodable(self, body: bytes) -> None:
        with pytest.raises(UndecodableError):
            decode_batch(body)

    @given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def test_no_bytes_raise_anything_else(self, body: bytes) -> None:
        with suppress(UndecodableError):
            read(body)

    @given(json_values)
    def test_no_json_raises_anything_else(self, value: Any) -> None:
        with suppress(UndecodableError):
            read(json.dumps([value]).encode())


class TestBrokenEnvelope:
    def test_the_valid_one_is_read(self) -> None:
        assert decode(valid()).version == 1

    @pytest.mark.parametrize("name", valid())
    def test_without_a_required_attribute_is_undecodable(self, name: str) -> None:
        raw = valid()
        del raw[name]
        with pytest.raises(UndecodableError, match=name):
            decode(raw)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("specversion", "0.3"),
            ("id", "one"),
            ("id", 1),
            ("source", 1),
            ("source", None),
            ("type", ["pledge"]),
            ("subject", {}),
            ("streamversion", 0),
            ("streamversion", -1),
            ("streamversion", 1.5),
            ("streamversion", True),
            ("streamversion", "1"),
            ("streamversion", VERSION_MAX + 1),
            ("streamversion", float("inf")),
            ("time", "yesterday"),
            ("time", "2027-03-01T12:00:00"),
            ("time", "0001-01-01T00:00:00+14:00"),
            ("time", 1_800_000_000),
            ("data", []),
            ("data", "{}"),
            ("traceparent", 1),
            ("correlationid", {}),
            ("causationid", None),
        ],
    )
    def test_with_an_attribute_of_the_wrong_kind_is_undecodable(self, name: str, value: object) -> None:
        with pytest.raises(UndecodableError):
            decode({**valid(), name: value})

    @given(name=st.sampled_from([*valid(), "traceparent", "correlationid"]), value=json_values)
    def test_no_value_of_an_attribute_raises_anything_else(self, name: str, value: Any) -> None:
        with suppress(UndecodableError):
            decode({**valid(), name: value})
