"""A trace travels as a W3C traceparent, with or without a collector."""

import pytest

from eventing import log
from eventing.telemetry import HttpMetrics, current_traceparent, new_registry, new_traceparent, under, valid_traceparent

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class TestTraceparent:
    def test_is_empty_outside_of_any_work(self) -> None:
        assert current_traceparent() == ""

    def test_holds_for_a_block_and_not_beyond(self) -> None:
        with under(TRACE, "order-66"):
            assert (current_traceparent(), log.correlation_id.get()) == (TRACE, "order-66")
            with under(""):
                assert current_traceparent() == ""
            assert current_traceparent() == TRACE
        assert (current_traceparent(), log.correlation_id.get()) == ("", "")

    def test_a_named_span_stays_in_the_trace(self) -> None:
        with under(TRACE, span="fold"):
            assert current_traceparent().split("-")[1] == TRACE.split("-")[1]

    def test_a_new_one_is_valid_and_its_own(self) -> None:
        assert valid_traceparent(new_traceparent())
        assert new_traceparent() != new_traceparent()

    @pytest.mark.parametrize("value", ["", "00-x", TRACE + "x", TRACE.upper(), f"00-{'0' * 32}-b7ad6b7169203331-01"])
    def test_a_malformed_one_does_not_go_on(self, value: str) -> None:
        assert not valid_traceparent(value)
        with under(value):
            assert current_traceparent() == ""


def test_metrics_of_two_services_live_in_one_process() -> None:
    one, two = new_registry(), new_registry()
    HttpMetrics(one).answered("GET", "/x", 200, 0.01)
    HttpMetrics(two)
    labels = {"method": "GET", "route": "/x", "status": "200"}
    assert one.get_sample_value("http_request_seconds_count", labels) == 1
    assert two.get_sample_value("http_request_seconds_count", labels) is None
