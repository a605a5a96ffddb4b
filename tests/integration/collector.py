"""An OpenTelemetry collector that takes OTLP over HTTP and remembers the spans."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.integration.eventing.shell import serving


@dataclass
class Collector:
    """`address` is what a service's GROUNDSWELL_OTLP_ENDPOINT names; `spans` come with their service's name."""

    address: str = ""
    spans: list[tuple[str, Span]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        plain = gzip.decompress(body) if "content-encoding" in request.headers else body
        for resource in ExportTraceServiceRequest.FromString(plain).resource_spans:
            (service,) = (one.value.string_value for one in resource.resource.attributes if one.key == "service.name")
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return Response()

    def of_trace(self, trace_id: str) -> dict[str, tuple[str, str, str]]:
        """Name to service, own id and parent id of the spans of one trace."""
        return {
            span.name: (service, span.span_id.hex(), span.parent_span_id.hex())
            for service, span in self.spans
            if span.trace_id.hex() == trace_id
        }


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    async with serving(Starlette(routes=[Route("/v1/traces", collector.take, methods=["POST"])])) as address:
        collector.address = address
        yield collector
