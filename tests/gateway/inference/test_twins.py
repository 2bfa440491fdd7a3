"""A call that one Triton holds for long has a twin at another one: which of the two counts, and what is never sent."""

import asyncio
import gc
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from gateway.errors.triton_errors import TritonError
from gateway.inference import batching
from gateway.inference.batching import Batcher
from gateway.inference.pending import PendingRequest, SharedRow, TritonCall
from gateway.models.version_reader import VersionReader
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Tracing
from gateway.triton.client import ModelLimits, Triton
from gateway.triton.replica import ModelVersion
from tests.gateway.support.fake_triton import FakeTriton, answer, running_fake_triton
from tests.gateway.support.rows import A, Asking, B, C, RowTriton, failing, held, probabilities
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
        triton = Triton(",".join(fake.address for fake in fakes), InferenceServerClient)
        batcher = Batcher(triton, 1, Metrics(), Tracing(None), cache_bytes=0)
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


def test_where_two_stand_still_a_third_one_answers(run_three: Callable[..., None]) -> None:
    async def test(asked: Asking, first: RowTriton, second: RowTriton, third: RowTriton) -> None:
        first.freed.clear()
        second.freed.clear()
        assert await asyncio.wait_for(asked.ask(A), 10) == [probabilities(A)]
        assert first.calls == second.calls == third.calls == [[A]]

    run_three(test)


def test_where_all_stand_still_the_first_that_goes_on_answers(run_three: Callable[..., None]) -> None:
    """Each has been asked once."""

    async def test(asked: Asking, first: RowTriton, second: RowTriton, third: RowTriton) -> None:
        for each in (first, second, third):
            each.freed.clear()
        waits = asked.begin(A)
        await held(third)
        await asyncio.sleep(3 * SLOW)
        assert first.calls == second.calls == third.calls == [[A]]
        second.freed.set()
        assert await asyncio.wait_for(waits, 10) == [probabilities(A)]

    run_three(test)


@pytest.mark.parametrize("code", [INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_where_one_stands_still_and_one_fails_a_third_one_answers(
    run_three: Callable[..., None], code: grpc.StatusCode
) -> None:
    async def test(asked: Asking, first: RowTriton, second: RowTriton, third: RowTriton) -> None:
        first.freed.clear()
        second.answer = failing(code)
        assert await asyncio.wait_for(asked.ask(A), 10) == [probabilities(A)]
        assert first.calls == second.calls == third.calls == [[A]]

    run_three(test)


def test_one_that_comes_to_serve_the_version_later_answers(run_three: Callable[..., None]) -> None:
    """Nobody else was well when the call had become slow, as while they restart."""

    async def test(asked: Asking, first: RowTriton, second: RowTriton, third: RowTriton) -> None:
        second.fake.served = third.fake.served = ()
        await asked.triton.index(SECONDS)
        first.freed.clear()
        waits = asked.begin(A)
        await held(first)
        await asyncio.sleep(2 * SLOW)
        assert second.calls == third.calls == []
        second.fake.served = FakeTriton.served
        await asked.triton.index(SECONDS)
        assert await asyncio.wait_for(waits, 10) == [probabilities(A)]

    run_three(test)


def test_one_that_turned_it_away_is_asked_again_once_it_is_well(run_three: Callable[..., None]) -> None:
    """It restarts while the others stand still."""

    async def test(asked: Asking, first: RowTriton, second: RowTriton, third: RowTriton) -> None:
        right, first.answer = first.answer, failing(UNAVAILABLE)
        second.freed.clear()
        third.freed.clear()
        waits = asked.begin(A)
        await held(third)
        await asyncio.sleep(2 * SLOW)
        assert first.calls == [[A]]
        first.answer = right
        await asked.triton.index(SECONDS)
        assert await asyncio.wait_for(waits, 10) == [probabilities(A)]
        assert second.calls == third.calls == [[A]]

    run_three(test)


def test_a_call_that_moves_leaves_behind_what_nobody_waits_for(run_three: Callable[..., None]) -> None:
    async def test(asked: Asking, first: RowTriton, second: RowTriton, _: RowTriton) -> None:
        first.answer = failing(UNAVAILABLE)
        second.answer = lambda rows, _: [[math.nan if row == C else 0.5] * 6 for row in rows]
        first.freed.clear()
        gone, stays, spoilt = asked.begin(A), asked.begin(B), asked.begin(C)
        await held(first)
        gone.cancel()
        await asyncio.sleep(0.05)
        first.freed.set()
        assert await stays == [[0.5] * 6]
        assert second.calls[0] == [B, C]
        await asyncio.gather(gone, spoilt, return_exceptions=True)

    run_three(test)


def test_what_one_spoils_another_one_answers(run_three: Callable[..., None]) -> None:
    """One that answers numbers that are no probabilities, always, costs nobody an answer while others are well."""
    rows = [(2, number, 3) for number in range(4, 100)]

    async def test(asked: Asking, first: RowTriton, *_: RowTriton) -> None:
        first.answer = lambda rows, _: [[math.nan] * 6] * len(rows)
        assert await asyncio.gather(*map(asked.ask, rows)) == [[probabilities(row)] for row in rows]
        assert first.calls

    run_three(test)


def test_nothing_of_what_was_asked_twice_waits_for_the_garbage_collector(run_three: Callable[..., None]) -> None:
    async def test(asked: Asking, first: RowTriton, second: RowTriton, third: RowTriton) -> None:
        gc.collect()
        gc.disable()
        try:
            first.freed.clear()
            second.answer = failing(INTERNAL)
            assert await asked.ask(A) == [probabilities(A)]
            third.answer = failing(INTERNAL)
            await asyncio.wait({asked.begin(B)})
            second.freed.clear()
            third.freed.clear()
            gone = asked.begin(C)
            await asyncio.sleep(2 * SLOW)
            gone.cancel()
            for each in (first, second, third):
                each.freed.set()
            await asyncio.wait({gone})
            del gone
            await asyncio.sleep(0.2)
            left = [each for each in gc.get_objects() if isinstance(each, SharedRow | PendingRequest | TritonCall)]
            assert left == []
        finally:
            gc.enable()

    run_three(test)
