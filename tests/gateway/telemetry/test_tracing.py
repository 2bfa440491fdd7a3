"""Traces: from a client's traceparent through the gateway into Triton, to a collector; nothing without an endpoint."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.gateway.support.fake_triton import FakeTriton, answer, running_fake_triton
from tests.gateway.support.gateway_process import ROOT, environment, running_gateway
from tests.gateway.support.metrics import figure, wait_for_in_flight
from tests.gateway.support.small_model import publish
from tests.support.waiting import SECONDS, wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TEXT = "рад"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: list[Any] = []

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ARG002, N802
        self.spans += [
            span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]
        return trace_service_pb2.ExportTraceServiceResponse()


@contextlib.contextmanager
def running_collector() -> Iterator[tuple[Collector, str]]:
    server = grpc.server(ThreadPoolExecutor(2))
    collector = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@pytest.fixture
def fake() -> Iterator[FakeTriton]:
    with running_fake_triton() as running:
        yield running


def traceparents(fake: FakeTriton) -> list[str | None]:
    """What each call to Triton brings."""
    seen: list[str | None] = []

    def infer(request: Any, context: grpc.ServicerContext) -> Any:
        seen.append(dict(context.invocation_metadata()).get("traceparent"))
        return answer(request)

    fake.infer = infer
    return seen


def test_a_trace_goes_through(fake: FakeTriton, repository: Path) -> None:
    seen = traceparents(fake)
    with running_collector() as (collector, endpoint):
        with running_gateway(repository, fake.address, f"--otlp-endpoint={endpoint}") as gateway:
            gateway.wait_until_ready()
            with gateway.client() as client:
                headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
                assert client.post("/v1/emotions", json={"text": TEXT}, headers=headers).status_code == 200
                assert client.post("/v1/emotions", json={}).status_code == 422
        # Stopped: what was left has been sent.
        spans = collector.spans
    mine = {span.name: span for span in spans if span.trace_id.hex() == TRACE}
    request, call = mine["POST /v1/emotions"], mine["ModelInfer"]
    assert request.parent_span_id.hex() == PARENT
    assert call.parent_span_id == request.span_id
    assert seen == [f"00-{TRACE}-{call.span_id.hex()}-01"]
    attributes = {entry.key: entry.value for entry in request.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["model"].string_value == "emotion_rubert"
    assert any(span.name == "POST /v1/emotions" and span.trace_id.hex() != TRACE for span in spans)
    assert TEXT not in str(spans)


def test_calls_that_carry_several_requests_are_linked_to_all(fake: FakeTriton, repository: Path) -> None:
    first_arrived, freed = threading.Event(), threading.Event()

    def infer(request: Any, _: grpc.ServicerContext) -> Any:
        first_arrived.set()
        freed.wait(SECONDS)
        return answer(request)

    fake.infer = infer
    with running_collector() as (collector, endpoint):
        flags = (f"--otlp-endpoint={endpoint}", "--triton-calls=1", "--request-timeout=120")
        with running_gateway(repository, fake.address, *flags) as gateway, ThreadPoolExecutor(4) as pool:
            gateway.wait_until_ready()
            with gateway.client() as client:

                def ask(_: int) -> httpx.Response:
                    return client.post("/v1/emotions", json={"text": TEXT})

                first = pool.submit(ask, 0)
                assert first_arrived.wait(SECONDS)
                others = [pool.submit(ask, number) for number in range(3)]
                wait_for_in_flight(client, 4)
                freed.set()
                assert {each.result().status_code for each in (first, *others)} == {200}
        calls = [span for span in collector.spans if span.name == "ModelInfer"]
    assert [len(call.links) for call in calls] == [0, 2]


def test_a_shadows_call_is_in_a_trace_of_its_own(fake: FakeTriton, repository: Path) -> None:
    publish(repository, 2)
    fake.served = (("emotion_rubert", "1", "READY"), ("emotion_rubert", "2", "READY"))
    traceparents(fake)
    with running_collector() as (collector, endpoint):
        flags = (f"--otlp-endpoint={endpoint}", "--canary=shadow")
        with running_gateway(repository, fake.address, *flags) as gateway, gateway.client() as client:
            gateway.wait_until_ready()
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            assert client.post("/v1/emotions", json={"text": TEXT}, headers=headers).status_code == 200
            wait_until(lambda: figure(client, "emotion_shadow_texts_total") == 1, gateway.log)
        calls = [span for span in collector.spans if span.name == "ModelInfer"]
    assert [span.trace_id.hex() == TRACE for span in calls] == [True, False]
    assert calls[1].parent_span_id == b""


def test_nothing_without_an_endpoint(fake: FakeTriton, repository: Path) -> None:
    seen = traceparents(fake)
    with running_gateway(repository, fake.address) as gateway:
        gateway.wait_until_ready()
        with gateway.client() as client:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            assert client.post("/v1/emotions", json={"text": TEXT}, headers=headers).status_code == 200
    assert seen == [None]


def test_without_the_packages_the_start_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.exporter'] = None\n"
        "from gateway.__main__ import main; sys.exit(main(['--otlp-endpoint=http://127.0.0.1:4317']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=SECONDS
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: traces need a package that is not here")
    assert "pip install '.[tracing]'" in ended.stderr
