"""Rows of token ids: in a queue alone, in a fake Triton that answers each with its own, in a batcher that asks it."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc.aio import InferenceServerClient

from gateway.inference.batching import Batcher
from gateway.inference.pending import PendingRequest
from gateway.inference.version_queue import VersionQueue
from gateway.models.version_reader import VersionReader
from gateway.models.versions import Version
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing
from gateway.triton.client import ModelLimits, Triton
from gateway.triton.replica import ModelVersion
from tests.gateway.support.fake_triton import FakeTriton, answer_of
from tests.support.waiting import SECONDS

PAD = 0
MOST_ROWS = 8
"""Of one call that a batcher makes."""
CACHE = 1 << 20
A, B, C = (2, 5, 3), (2, 6, 3), (2, 7, 8, 3)
Row = tuple[int, ...]


def probabilities(row: Sequence[int]) -> list[float]:
    """What it answers a row with; FP32 holds these numbers exactly."""
    return [(sum(row) * factor + len(row)) % 127 / 128 for factor in range(1, 7)]


class RowTriton:
    """A fake that tells what it was asked, call by call, and can hold calls."""

    def __init__(self, fake: FakeTriton) -> None:
        self.fake = fake
        self.calls: list[list[Row]] = []
        self.arrived = threading.Semaphore(0)
        """Released by each call that comes."""
        self.freed = threading.Event()
        """Calls are held until it is set; it is at first."""
        self.freed.set()
        self.answer: Callable[[list[Row], grpc.ServicerContext], list[list[float]]] = lambda rows, _: [
            probabilities(row) for row in rows
        ]
        """May be set to something that fails or answers wrongly."""
        fake.infer = self._infer

    @property
    def rows(self) -> list[Row]:
        """Of all calls."""
        return [row for call in self.calls for row in call]

    def wait_for_call(self) -> None:
        assert self.arrived.acquire(timeout=SECONDS)

    def _infer(self, request: Any, context: grpc.ServicerContext) -> Any:
        ids = np.frombuffer(request.raw_input_contents[0], np.int64).reshape(request.inputs[0].shape)
        rows = [tuple(int(token) for token in row if token != PAD) for row in ids]
        freed = self.freed  # a test may set another one for later calls
        self.calls.append(rows)
        self.arrived.release()
        freed.wait(SECONDS)
        values = [number for row in self.answer(rows, context) for number in row]
        return answer_of(values, [len(rows), 6])


def failing(code: grpc.StatusCode) -> Callable[[list[Row], grpc.ServicerContext], list[list[float]]]:
    """An answer of `RowTriton` that is a gRPC status."""

    def fail(_: list[Row], context: grpc.ServicerContext) -> list[list[float]]:
        context.abort(code, "no")
        raise AssertionError

    return fail


def waiting_request(
    queue: VersionQueue,
    loop: asyncio.AbstractEventLoop,
    rows: Sequence[Sequence[int]],
    *,
    deadline: float = 0.0,
    keys: Sequence[bytes] | None = None,
) -> PendingRequest:
    """A request that waits there; its rows are shared only if they have keys."""
    request = PendingRequest([[]] * len(rows), deadline, None, loop.create_future())
    for place, ids in enumerate(rows):
        request.join(queue.row(keys[place] if keys else b"", ids, may_be_kept=True), place)
    queue.add(request)
    return request


class Asking:
    """A batcher, what it asks, and what it counts."""

    def __init__(self, triton: Triton, batcher: Batcher, version: Version, metrics: Metrics) -> None:
        self.triton, self.batcher, self.version, self.metrics = triton, batcher, version, metrics

    async def ask(self, *rows: Sequence[int], version: Version | None = None) -> list[list[float]]:
        deadline = asyncio.get_running_loop().time() + SECONDS
        return await self.batcher.infer(version or self.version, rows, deadline)

    def begin(self, *rows: Sequence[int], version: Version | None = None) -> "asyncio.Task[list[list[float]]]":
        return asyncio.create_task(self.ask(*rows, version=version))

    def counted(self, name: str) -> float:
        lines = self.metrics.text().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    async def rest(self) -> None:
        """Wait until no call is under way; nothing may wait or be left then."""
        async with asyncio.timeout(SECONDS):
            while self.counted("emotion_triton_calls_in_flight"):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)  # the last call's answers are given out in the next turn
        self.assert_at_rest()

    def assert_at_rest(self) -> None:
        assert not self.batcher._queues, vars(next(iter(self.batcher._queues.values())))
        assert self.counted("emotion_texts_waiting") == self.counted("emotion_triton_calls_in_flight") == 0


@contextlib.asynccontextmanager
async def asking(addresses: str, repository: Path, calls: int = 1, cache: int = CACHE) -> AsyncIterator[Asking]:
    triton, metrics = Triton(addresses, InferenceServerClient), Metrics()
    batcher = Batcher(triton, calls, metrics, Tracing(None), cache_bytes=cache)
    try:
        await triton.index(SECONDS)
        limits = ModelLimits(MOST_ROWS, ("input_ids",), ("probabilities",))
        version = await VersionReader(repository).read(ModelVersion("emotion_rubert", "1"), limits)
        yield Asking(triton, batcher, version, metrics)
    finally:
        await batcher.close(SECONDS)
        await triton.close(SECONDS)


async def held(triton: RowTriton) -> None:
    """Until a call has come, which is held."""
    await asyncio.to_thread(triton.wait_for_call)
