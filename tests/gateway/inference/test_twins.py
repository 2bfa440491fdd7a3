"""A call that one Triton holds for long has a twin at another one: which of the two counts, and what is never sent."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.errors.triton_errors import TritonError
from gateway.inference import batching
from gateway.inference.batching import Batcher
from gateway.models.version_reader import VersionReader
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing
from gateway.triton.channel import open_channels
from gateway.triton.client import ModelLimits, Triton
from gateway.triton.replica import ModelVersion
from tests.gateway.support.fake_triton import FakeTriton, answer, running_fake_triton
from tests.support.waiting import SECONDS

SLOW = 0.3
ROWS = 4
"""Of one call."""
SERVED = ModelVersion("emotion_rubert", "1")
UNAVAILABLE, INTERNAL = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeTriton]]:
    monkeypatch.setattr(batching, "SLOW_SECONDS", SLOW)
    with running_fake_triton() as one, running_fake_triton() as two, running_fake_triton() as three:
        yield [one, two, three]


class Asked:
    """What a fake was asked; answers, or fails, so many seconds later."""

    def __init__(self, fake: FakeTriton, seconds: float, code: grpc.StatusCode | None = None) -> None:
        self.calls = 0
        self.seconds, self.code = seconds, code
        fake.infer = self.infer

    def infer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.calls += 1
        time.sleep(self.seconds)
        if self.code is not None:
            context.abort(self.code, "not here")
        return answer(request)


def ask(fakes: list[FakeTriton], repository: Path, rows: int) -> tuple[int, float]:
    """Ask for some rows, of the first Triton first; gives how many were answered, and after how many seconds."""

    async def run() -> tuple[int, float]:
        triton = Triton(",".join(fake.address for fake in fakes), open_channels)
        batcher = Batcher(triton, 1, Metrics(), Tracing(None))
        try:
            await triton.index(SECONDS)
            version = await VersionReader(repository).read(
                SERVED, ModelLimits(ROWS, ("input_ids",), ("probabilities",))
            )
            began = asyncio.get_running_loop().time()
            answered = await batcher.infer(version, [[2, 5, 3]] * rows, began + SECONDS)
            return len(answered), asyncio.get_running_loop().time() - began
        finally:
            await batcher.close(SECONDS)
            await triton.close(SECONDS)

    return asyncio.run(run())


def test_a_twin_that_fails_late_takes_nothing_back(fakes: list[FakeTriton], repository: Path) -> None:
    """The call itself was answered, and other rows of the same request still wait."""
    Asked(fakes[0], SLOW + 0.2)
    Asked(fakes[1], 0.4, INTERNAL)
    answered, _ = ask(fakes[:2], repository, 2 * ROWS)
    assert answered == 2 * ROWS


def test_nobody_is_asked_a_third_time(fakes: list[FakeTriton], repository: Path) -> None:
    """One stands still and then dies, while another one is at it already."""
    dies, slow = Asked(fakes[0], SLOW + 0.2, UNAVAILABLE), Asked(fakes[1], 1)
    ask(fakes[:2], repository, 1)
    assert (dies.calls, slow.calls) == (1, 1)


def test_a_third_one_is_asked_where_the_second_stands_still_too(fakes: list[FakeTriton], repository: Path) -> None:
    dies, still, well = Asked(fakes[0], SLOW + 0.2, UNAVAILABLE), Asked(fakes[1], 1.5), Asked(fakes[2], 0)
    _, seconds = ask(fakes, repository, 1)
    assert seconds < SLOW + 1.4
    assert (dies.calls, still.calls, well.calls) == (1, 1, 1)


def test_both_fail(fakes: list[FakeTriton], repository: Path) -> None:
    Asked(fakes[0], SLOW + 0.3, INTERNAL)
    Asked(fakes[1], 0.1, INTERNAL)
    with pytest.raises(TritonError, match="not here"):
        ask(fakes[:2], repository, 1)
