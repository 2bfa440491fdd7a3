"""Texts that wait at the same moment travel together, and share nothing but the way."""

import asyncio
import contextlib
import struct
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2 as messages

from gateway import batching
from gateway.batching import Batcher
from gateway.metrics import Metrics
from gateway.tracing import Tracing
from gateway.triton import ModelLimits, ModelVersion, Triton
from gateway.versions import Version, VersionReader
from tests.gateway.fake_triton import FakeTriton, answer, running_fake_triton
from tests.gateway.gateway_process import GatewayProcess, running_gateway

MOST_ROWS = 8
"""The fake's max_batch_size."""


class Gate:
    """A fake Triton's `ModelInfer` that holds the first call until it is let go."""

    def __init__(self, fake: FakeTriton) -> None:
        self.rows: list[int] = []
        self.arrived, self.freed = threading.Event(), threading.Event()
        fake.infer = self.infer

    def infer(self, request: Any, _: grpc.ServicerContext) -> Any:
        self.rows.append(request.inputs[0].shape[0])
        if not self.arrived.is_set():
            self.arrived.set()
            self.freed.wait(60)
        return answer(request)


@pytest.fixture
def fake() -> Iterator[FakeTriton]:
    with running_fake_triton() as running:
        yield running


@pytest.fixture
def gateway(fake: FakeTriton, repository: Path) -> Iterator[GatewayProcess]:
    with running_gateway(repository, fake.address, "--triton-calls=1", "--request-timeout=120") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as running:
        yield running


def ask(gateway: GatewayProcess, texts: int, **options: Any) -> httpx.Response:
    with gateway.client(**options) as client:
        return client.post("/v1/emotions", json={"texts": ["рад"] * texts})


def wait_for_in_flight(gateway: GatewayProcess, number: int) -> None:
    deadline = time.monotonic() + 60
    with gateway.client() as client:
        while f"emotion_requests_in_flight {number}.0" not in client.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def ask_behind(
    gate: Gate, gateway: GatewayProcess, pool: ThreadPoolExecutor, texts: list[int]
) -> list[Future[httpx.Response]]:
    """One request in Triton's hands, and others waiting behind it."""
    first = pool.submit(ask, gateway, 1)
    assert gate.arrived.wait(20)
    waiting = []
    for count in texts:
        waiting.append(pool.submit(ask, gateway, count))
        wait_for_in_flight(gateway, len(waiting) + 1)
    return [first, *waiting]


def test_a_lone_request_waits_for_nobody(fake: FakeTriton, gateway: GatewayProcess) -> None:
    gate = Gate(fake)
    gate.freed.set()
    for _ in range(3):
        assert ask(gateway, 1).status_code == 200
    assert gate.rows == [1, 1, 1]


def test_those_that_wait_share_calls_of_the_models_size(
    fake: FakeTriton, gateway: GatewayProcess, pool: ThreadPoolExecutor
) -> None:
    gate = Gate(fake)
    asked = ask_behind(gate, gateway, pool, [3, 2, 5, 1])
    gate.freed.set()
    assert [len(each.result().json()["results"]) for each in asked] == [1, 3, 2, 5, 1]
    assert gate.rows == [1, MOST_ROWS, 3]


def test_a_request_of_many_texts_is_cut_up(fake: FakeTriton, gateway: GatewayProcess) -> None:
    gate = Gate(fake)
    gate.freed.set()
    assert len(ask(gateway, 20).json()["results"]) == 20
    assert gate.rows == [8, 8, 4]


def test_one_who_hangs_up_takes_only_his_own_rows_away(
    fake: FakeTriton, gateway: GatewayProcess, pool: ThreadPoolExecutor
) -> None:
    gate = Gate(fake)
    asked = ask_behind(gate, gateway, pool, [2])
    with pytest.raises(httpx.ReadTimeout):
        ask(gateway, 4, timeout=httpx.Timeout(30, read=0.3))
    wait_for_in_flight(gateway, 2)
    gate.freed.set()
    assert [each.result().status_code for each in asked] == [200, 200]
    assert gate.rows == [1, 2]


def test_numbers_that_are_none_are_only_their_own_requests_failure(
    fake: FakeTriton, gateway: GatewayProcess, pool: ThreadPoolExecutor
) -> None:
    gate = Gate(fake)
    asked = ask_behind(gate, gateway, pool, [1, 1])

    def second_is_not_finite(request: Any, _: grpc.ServicerContext) -> Any:
        rows = request.inputs[0].shape[0]
        values = [0.5] * 6 * (rows - 1) + [float("nan")] * 6
        return messages.ModelInferResponse(raw_output_contents=[struct.pack(f"<{rows * 6}f", *values)])

    fake.infer = second_is_not_finite
    gate.freed.set()
    assert [each.result().status_code for each in asked] == [200, 200, 500]
    assert gateway.log().count("not all finite") == 1


def test_a_failed_call_fails_all_it_carried_and_no_other(
    fake: FakeTriton, gateway: GatewayProcess, pool: ThreadPoolExecutor
) -> None:
    gate = Gate(fake)
    asked = ask_behind(gate, gateway, pool, [1, 1])

    def fail(_: Any, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")

    fake.infer = fail
    gate.freed.set()
    assert [each.result().status_code for each in asked] == [200, 503, 503]
    fake.infer = lambda request, _: answer(request)
    assert ask(gateway, 1).status_code == 200


ROW = [2, 5, 3]


def version_in(repository: Path) -> Version:
    limits = ModelLimits(MOST_ROWS, ("input_ids",), ("probabilities",))
    return VersionReader(repository).read(ModelVersion("emotion_rubert", "1"), limits)


@contextlib.asynccontextmanager
async def batcher_for(fake: FakeTriton, calls: int) -> AsyncIterator[Batcher]:
    triton = Triton(grpc.aio.insecure_channel(fake.address), fake.address, several=False)
    batcher = Batcher(triton, calls, Metrics(), Tracing(None))
    try:
        yield batcher
    finally:
        await batcher.close()
        await triton.close()


async def ask_batcher(batcher: Batcher, version: Version, rows: int) -> int:
    deadline = asyncio.get_running_loop().time() + 60
    return len(await batcher.probabilities(version, [ROW] * rows, deadline))


def test_those_that_arrive_at_once_share_a_call(fake: FakeTriton, repository: Path) -> None:
    gate = Gate(fake)
    gate.freed.set()

    async def ask_five() -> None:
        async with batcher_for(fake, calls=3) as batcher:
            version = version_in(repository)
            assert await asyncio.gather(*(ask_batcher(batcher, version, 1) for _ in range(5))) == [1] * 5

    asyncio.run(ask_five())
    assert gate.rows == [5]


@pytest.mark.parametrize(("company_seconds", "expected"), [(60.0, [MOST_ROWS, 6]), (0.0, [MOST_ROWS, 1, 5])])
def test_few_rows_wait_for_company_while_a_larger_call_is_under_way(
    fake: FakeTriton,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    company_seconds: float,
    expected: list[int],
) -> None:
    gate = Gate(fake)
    monkeypatch.setattr(batching, "_COMPANY_SECONDS", company_seconds)

    async def ask_behind_a_full_call() -> None:
        async with batcher_for(fake, calls=3) as batcher:
            version = version_in(repository)
            full = asyncio.create_task(ask_batcher(batcher, version, MOST_ROWS))
            assert await asyncio.to_thread(gate.arrived.wait, 20)
            lone = asyncio.create_task(ask_batcher(batcher, version, 1))
            await asyncio.sleep(0.5)
            assert lone.done() == (company_seconds == 0.0)
            assert await ask_batcher(batcher, version, 5) == 5
            gate.freed.set()
            assert await asyncio.gather(full, lone) == [MOST_ROWS, 1]

    asyncio.run(ask_behind_a_full_call())
    assert gate.rows == expected


def test_no_rows_are_never_sent() -> None:
    async def send_none() -> None:
        triton = Triton(grpc.aio.insecure_channel("127.0.0.1:1"), "nowhere", several=False)
        try:
            await triton.infer("emotion_rubert", "1", [], pad_id=0, timeout=1)
        finally:
            await triton.close()

    with pytest.raises(ValueError, match="rows must not be empty"):
        asyncio.run(send_none())
