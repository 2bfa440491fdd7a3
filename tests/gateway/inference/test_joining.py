"""Who may join a row that is on its way: nobody fails, or waits, for the sake of another's text or Triton."""

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import pytest

from gateway.errors.triton_errors import TritonError
from gateway.inference import batching
from tests.gateway.support.fake_triton import FakeTriton, running_fake_triton
from tests.gateway.support.rows import A, Asking, B, RowTriton, asking, held, probabilities


def spoilt(rows: list[tuple[int, ...]], _: grpc.ServicerContext) -> list[list[float]]:
    """B spoils whatever is in one call with it."""
    return [[math.nan] * 6 if B in rows else probabilities(row) for row in rows]


def failing(code: grpc.StatusCode) -> Callable[[list[tuple[int, ...]], grpc.ServicerContext], list[list[float]]]:
    def fail(_: list[tuple[int, ...]], context: grpc.ServicerContext) -> list[list[float]]:
        context.abort(code, "no")
        raise AssertionError

    return fail


def test_rows_of_who_has_gone_are_asked_for_once_more_one_by_one(triton: RowTriton, run: Callable[..., None]) -> None:
    """Two others wait for them now, each for one."""

    async def test(asked: Asking) -> None:
        triton.answer = spoilt
        triton.freed.clear()
        gone = asked.begin(A, B)
        await held(triton)
        good, bad = asked.begin(A), asked.begin(B)
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.sleep(0.05)
        triton.freed.set()
        found = await asyncio.gather(good, bad, gone, return_exceptions=True)
        assert found[0] == [probabilities(A)]
        assert isinstance(found[1], TritonError)

    run(test)
    assert triton.calls == [[A, B], [A], [B]]


def test_who_comes_during_a_retry_does_not_share_its_failure(triton: RowTriton, run: Callable[..., None]) -> None:
    async def test(asked: Asking) -> None:
        triton.answer = spoilt
        triton.freed.clear()
        both = asked.begin(A, B)
        await held(triton)
        first, triton.freed = triton.freed, threading.Event()
        first.set()
        await held(triton)
        one = asked.begin(A)
        await asyncio.sleep(0.05)
        triton.freed.set()
        found = await asyncio.gather(both, one, return_exceptions=True)
        assert isinstance(found[0], TritonError)
        assert found[1] == [probabilities(A)]

    run(test)
    assert triton.calls == [[A, B], [A, B], [A]]


@pytest.fixture
def run_three(
    fake: FakeTriton, triton: RowTriton, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Callable[..., Awaitable[None]]], None]]:
    """Runs a test's coroutine with three Tritons, the first of which is asked first."""
    monkeypatch.setattr(batching, "SLOW_SECONDS", 0.3)
    with running_fake_triton() as second, running_fake_triton() as third:
        tritons = [triton, RowTriton(second), RowTriton(third)]

        async def whole(test: Callable[..., Awaitable[None]]) -> None:
            addresses = ",".join(each.address for each in (fake, second, third))
            async with asking(addresses, repository, calls=4) as asked:
                try:
                    await test(asked, *tritons)
                finally:
                    for each in tritons:
                        each.freed.set()
                await asked.rest()

        yield lambda test: asyncio.run(whole(test))


def test_nobody_joins_a_twin_that_hangs_too(run_three: Callable[..., None]) -> None:
    async def test(asked: Asking, first: RowTriton, second: RowTriton, _: RowTriton) -> None:
        first.freed.clear()
        second.freed.clear()
        waits = asked.begin(A)
        await held(second)
        assert await asyncio.wait_for(asked.begin(A), 10) == [probabilities(A)]
        assert not waits.done()
        first.freed.set()
        second.freed.set()
        assert await waits == [probabilities(A)]

    run_three(test)


def test_who_asks_what_a_moved_call_carries_is_answered(run_three: Callable[..., None]) -> None:
    """Its twin carries only what somebody waited for when the call had become slow."""

    async def test(asked: Asking, first: RowTriton, second: RowTriton, third: RowTriton) -> None:
        for each in (first, second, third):
            each.freed.clear()
        first.answer, third.answer = failing(grpc.StatusCode.UNAVAILABLE), failing(grpc.StatusCode.INTERNAL)
        gone, stays = asked.begin(A), asked.begin(B)
        await held(first)
        gone.cancel()
        await held(second)
        first.freed.set()  # fails: the call goes to the third
        await held(third)
        late = asked.begin(A)
        await asyncio.sleep(0.05)
        third.freed.set()
        second.freed.set()
        assert await stays == [probabilities(B)]
        done, _ = await asyncio.wait({late}, timeout=10)
        assert done  # not at its deadline
        await asyncio.gather(late, gone, return_exceptions=True)

    run_three(test)
