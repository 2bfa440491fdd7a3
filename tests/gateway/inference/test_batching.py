"""Texts that wait at the same moment travel together, and share nothing but the way."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from gateway.inference import batching
from gateway.inference.batching import Batcher
from gateway.models.version_reader import VersionReader
from gateway.models.versions import Version
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing
from gateway.triton.client import ModelLimits, Triton
from gateway.triton.replica import ModelVersion
from tests.gateway.support.fake_triton import FakeTriton, answer, answer_of, running_fake_triton
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import wait_for_in_flight
from tests.support.waiting import SECONDS

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
            self.freed.wait(SECONDS)
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


def ask_behind(
    gate: Gate, gateway: GatewayProcess, pool: ThreadPoolExecutor, texts: list[int]
) -> list[Future[httpx.Response]]:
    """One request in Triton's hands, and others waiting behind it."""
    first = pool.submit(ask, gateway, 1)
    assert gate.arrived.wait(SECONDS)
    waiting = []
    with gateway.client() as client:
        for count in texts:
            waiting.append(pool.submit(ask, gateway, count))
            wait_for_in_flight(client, len(waiting) + 1)
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
        ask(gateway, 4, timeout=httpx.Timeout(SECONDS, read=0.3))
    with gateway.client() as client:
        wait_for_in_flight(client, 2)
    gate.freed.set()
    assert [each.result().status_code for each in asked] == [200, 200]
    assert gate.rows == [1, 2]


def spoil_last_row(gate: Gate, fake: FakeTriton, value: float, *, alone_too: bool) -> None:
    """From now on a call's last row is answered with a number that is no probability; alone only if `alone_too`."""

    def infer(request: Any, _: grpc.ServicerContext) -> Any:
        rows = request.inputs[0].shape[0]
        gate.rows.append(rows)
        last = [value] * 6 if rows > 1 or alone_too else [0.25] * 6
        values = [0.5] * 6 * (rows - 1) + last
        return answer_of(values, [rows, 6])

    fake.infer = infer


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1.001, -0.001, 3e38])
def test_numbers_that_are_no_probabilities_are_asked_for_again_alone(
    fake: FakeTriton, gateway: GatewayProcess, pool: ThreadPoolExecutor, value: float
) -> None:
    gate = Gate(fake)
    asked = ask_behind(gate, gateway, pool, [1, 1])
    spoil_last_row(gate, fake, value, alone_too=False)
    gate.freed.set()
    answers = [each.result() for each in asked]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    joy = [answer.json()["results"][0]["probabilities"]["joy"] for answer in answers]
    assert joy == [0.5, 0.5, 0.25]
    assert gate.rows == [1, 2, 1]
    assert gateway.log().count("sent once more, alone") == 1
    with gateway.client() as client:
        assert 'refused_total{model="emotion_rubert",version="1"} 1.0' in client.get("/metrics").text


def test_numbers_that_are_none_are_only_their_own_requests_failure(
    fake: FakeTriton, gateway: GatewayProcess, pool: ThreadPoolExecutor
) -> None:
    gate = Gate(fake)
    asked = ask_behind(gate, gateway, pool, [1, 1])
    spoil_last_row(gate, fake, float("nan"), alone_too=True)
    gate.freed.set()
    answers = [each.result() for each in asked]
    assert [answer.status_code for answer in answers] == [200, 200, 503]
    assert answers[2].headers["retry-after"] == "1"
    assert gate.rows == [1, 2, 1]
    assert gateway.log().count("for a request alone too") == 1


def test_only_the_rows_of_a_call_that_was_wrong_are_asked_for_again(fake: FakeTriton, gateway: GatewayProcess) -> None:
    gate = Gate(fake)
    gate.freed.set()
    sizes: list[int] = []

    def infer(request: Any, _: grpc.ServicerContext) -> Any:
        rows = request.inputs[0].shape[0]
        sizes.append(rows)
        return answer(request, float("nan") if sizes.count(rows) == 1 and rows == 4 else 0.5)

    fake.infer = infer
    assert ask(gateway, 20).status_code == 200
    assert sizes == [8, 8, 4, 4]


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


async def version_in(repository: Path) -> Version:
    limits = ModelLimits(MOST_ROWS, ("input_ids",), ("probabilities",))
    return await VersionReader(repository).read(ModelVersion("emotion_rubert", "1"), limits)


@contextlib.asynccontextmanager
async def batcher_for(fake: FakeTriton, calls: int) -> AsyncIterator[Batcher]:
    triton = Triton(fake.address, InferenceServerClient)
    batcher = Batcher(triton, calls, Metrics(), Tracing(None), cache_bytes=0)
    try:
        yield batcher
    finally:
        await batcher.close(1)
        await triton.close(1)


async def ask_batcher(batcher: Batcher, version: Version, rows: int) -> int:
    deadline = asyncio.get_running_loop().time() + SECONDS
    return len(await batcher.infer(version, [ROW] * rows, deadline))


def test_those_that_arrive_at_once_share_a_call(fake: FakeTriton, repository: Path) -> None:
    gate = Gate(fake)
    gate.freed.set()

    async def ask_five() -> None:
        async with batcher_for(fake, calls=3) as batcher:
            version = await version_in(repository)
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
    monkeypatch.setattr(batching, "_QUEUE_DELAY_SECONDS", company_seconds)

    async def ask_behind_a_full_call() -> None:
        async with batcher_for(fake, calls=3) as batcher:
            version = await version_in(repository)
            full = asyncio.create_task(ask_batcher(batcher, version, MOST_ROWS))
            assert await asyncio.to_thread(gate.arrived.wait, SECONDS)
            lone = asyncio.create_task(ask_batcher(batcher, version, 1))
            if company_seconds:
                await asyncio.sleep(0.5)
                assert not lone.done()
            else:
                assert await asyncio.wait_for(lone, SECONDS) == 1
            assert await ask_batcher(batcher, version, 5) == 5
            gate.freed.set()
            assert await asyncio.gather(full, lone) == [MOST_ROWS, 1]

    asyncio.run(ask_behind_a_full_call())
    assert gate.rows == expected


def test_no_rows_are_never_sent() -> None:
    async def send_none() -> None:
        triton = Triton("127.0.0.1:1", InferenceServerClient)
        served = ModelVersion("emotion_rubert", "1")
        try:
            replica = triton.choose(served, {}, 1)
            assert replica is not None
            await triton.infer(replica, served, [], pad_id=0)
        finally:
            await triton.close(1)

    with pytest.raises(ValueError, match="rows must not be empty"):
        asyncio.run(send_none())
