"""OpenTelemetry traces: a span for each request and for each call to Triton, off unless an endpoint is set.

The packages come with the extra `tracing`. A call carries the rows of several requests: its
span is a child of the first one's and linked to the others'. Spans hold no text.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.requests import Request
from starlette.types import Scope

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

Span: TypeAlias = trace.Span
TraceHeaders: TypeAlias = dict[str, str]

_CONTEXT: Final = TraceContextTextMapPropagator()


class TracingError(ImportError):
    """Traces are wanted, but their packages are not installed."""


class Tracing:
    """Makes spans and sends them; does nothing without an endpoint."""

    def __init__(self, endpoint: str | None) -> None:
        """Prepare the exporter; nothing is sent yet.

        Raises:
            TracingError: says what to install.
        """
        self._provider = None if endpoint is None else _provider(endpoint)
        self._tracer: Tracer | None = None if self._provider is None else self._provider.get_tracer("gateway")

    def start_request(self, scope: Scope, endpoint: str) -> Span | None:
        """A request's span, a child of its client's if that sent a traceparent; None when off.

        `endpoint` is its path, or empty where there is none such.
        """
        if self._tracer is None:
            return None
        name = f"{scope['method']} {endpoint}".rstrip()
        return self._tracer.start_span(name, context=_CONTEXT.extract(Request(scope).headers), kind=SpanKind.SERVER)

    def end_request(self, span: Span, status: int, attributes: Mapping[str, str | int]) -> None:
        """End a request's span."""
        span.set_attribute("http.response.status_code", status)
        span.set_attributes(dict(attributes))
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()

    @contextlib.contextmanager
    def call(self, model: str, version: str, rows: int, requests: Sequence[Span]) -> Iterator[TraceHeaders]:
        """A call to Triton's span for as long as the context lasts; gives the headers Triton continues it from.

        One that carries no request's rows but a shadow's is in a trace of its own.
        """
        if self._tracer is None:
            yield {}
            return
        parents, others = requests[:1], requests[1:]
        with self._tracer.start_as_current_span(
            "ModelInfer",
            context=trace.set_span_in_context(parents[0]) if parents else None,
            kind=SpanKind.CLIENT,
            links=[trace.Link(span.get_span_context()) for span in others],
            attributes={"rpc.system": "grpc", "emotion.model": model, "emotion.version": version, "emotion.rows": rows},
        ):
            headers: TraceHeaders = {}
            _CONTEXT.inject(headers)
            yield headers

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


def _provider(endpoint: str) -> "TracerProvider":
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingError(f"traces need a package that is not here ({error.name}): pip install '.[tracing]'") from None
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "emotion-gateway"}))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
