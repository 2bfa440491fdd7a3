"""More load than Triton can carry: it computes for those that still wait for an answer, and not for those too late."""

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc

from gateway.inference.batching import Batcher
from gateway.inference.version_queue import PendingRequest, VersionQueue
from gateway.models.version_reader import VersionReader
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing
from gateway.triton.channel import open_channels
from gateway.triton.client import ModelLimits, Triton
from gateway.triton.replica import ModelVersion
from tests.gateway.support.fake_triton import answer, running_fake_triton

ROWS = 1
"""Of one call, and of one request."""
CALL_SECONDS = 0.2
PATIENCE = 1.0
EVERY = CALL_SECONDS / 2
"""Twice as many requests as it can answer."""
REQUESTS = 40


def test_who_is_too_late_anyway_lets_others_go_first() -> None:
    loop = asyncio.new_event_loop()
    queue = VersionQueue()
    late, early = (PendingRequest([[1]], deadline, None, loop.create_future()) for deadline in (1.0, 3.0))
    queue.add(late)
    queue.add(early)
    assert [rows.request for rows in queue.take(ROWS, 2.0)[0]] == [early]
    assert queue.waiting == 1
    # The times of calls are a guess: while nobody else waits, it is tried.
    assert [rows.request for rows in queue.take(ROWS, 2.0)[0]] == [late]
    assert queue.waiting == 0
    loop.close()


def test_most_of_what_triton_computes_is_answered_in_time(repository: Path) -> None:
    computed = 0

    def infer(request: Any, _: grpc.ServicerContext) -> Any:
        nonlocal computed
        computed += 1
        time.sleep(CALL_SECONDS)
        return answer(request)

    async def ask(batcher: Batcher, version: Any) -> bool:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        try:
            async with asyncio.timeout_at(deadline):
                await batcher.infer(version, [[2, 5, 3]] * ROWS, deadline)
        except TimeoutError:
            return False
        return True

    async def overload(address: str) -> int:
        triton = Triton(address, open_channels)
        batcher = Batcher(triton, 1, Metrics(), Tracing(None))
        limits = ModelLimits(ROWS, ("input_ids",), ("probabilities",))
        version = await VersionReader(repository).read(ModelVersion("emotion_rubert", "1"), limits)
        asked = []
        for _ in range(REQUESTS):
            asked.append(asyncio.create_task(ask(batcher, version)))
            await asyncio.sleep(EVERY)
        answered = await asyncio.gather(*asked)
        await batcher.close(PATIENCE)
        await triton.close(PATIENCE)
        return sum(answered)

    with running_fake_triton() as fake:
        fake.infer = infer
        answered = asyncio.run(overload(fake.address))
    assert answered > 0.7 * computed
