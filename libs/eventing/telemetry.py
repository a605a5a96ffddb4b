"""Traces and metrics of one process.

Where a collector is configured, requests and spans are real OpenTelemetry spans. Where none is, only the W3C
`traceparent` travels on: recording spans for nobody costs about a third of a request (see ADR 0022).
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi.telemetry import TelemetryConfig
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from eventing import log

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_PROPAGATOR = TraceContextTextMapPropagator()

# A command takes 2 to 50 ms; past 2.5 s a client has long been told to come back.
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Tracing:
    """The tracer provider of this process. Without an endpoint it does nothing."""

    def __init__(self, service: str, endpoint: str | None) -> None:
        self._provider = None
        if endpoint:
            # Imported here: 10 MB that a process without a collector need not hold.
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

            self._provider = TracerProvider(resource=Resource.create({"service.name": service}))
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
            trace.set_tracer_provider(self._provider)

    def stop(self) -> None:
        """Send what is still held, then stop."""
        if self._provider:
            self._provider.shutdown()


def of_requests(endpoint: str | None) -> TelemetryConfig:
    """What FastAPI records of requests: a span each, if there is somebody to send it to, and nothing else."""
    return {
        "tracing": endpoint is not None,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "exclude": lambda scope: scope["path"].startswith(("/health/", "/metrics")),
    }


def new_traceparent() -> str:
    """The start of a trace of its own, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def valid_traceparent(value: str) -> bool:
    return _TRACEPARENT.fullmatch(value) is not None


def current_traceparent() -> str:
    """The W3C traceparent of what is being done, "" outside of any request or message."""
    return span_traceparent() or log.traceparent.get()


def span_traceparent() -> str:
    """The traceparent of the span being recorded, "" where none is."""
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return ""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


@contextmanager
def under(traceparent: str, correlation_id: str = "", *, span: str | None = None) -> Iterator[None]:
    """Run a block as part of another's trace, such as that of the event being handled.

    With `span` and a collector, the block is recorded as a span of that name.
    """
    parent = traceparent if valid_traceparent(traceparent) else ""
    trace_token = log.traceparent.set(parent)
    correlation_token = log.correlation_id.set(correlation_id)
    context_token = otel_context.attach(_PROPAGATOR.extract({"traceparent": parent}))
    try:
        if span is None:
            yield
        else:
            with trace.get_tracer("eventing").start_as_current_span(span):
                yield
    finally:
        otel_context.detach(context_token)
        log.correlation_id.reset(correlation_token)
        log.traceparent.reset(trace_token)


def new_registry() -> CollectorRegistry:
    """The metrics of one service. Not the library's global one, so that several can live in one process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class HttpMetrics:
    """How many requests, how long, how many at once; by route template, never by id."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._seconds = Histogram("http_request_seconds", "Time to answer", labels, registry=registry, buckets=_SECONDS)
        self._refused = Counter(
            "http_door_refused_total", "Requests turned away at the door", ("reason",), registry=registry
        )
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        key = (method, route, status)
        child = self._children.get(key)  # `labels` checks and locks each time: 4 µs against 0.1
        if child is None:
            child = self._children[key] = self._seconds.labels(method, route, str(status))
        child.observe(seconds)

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()
