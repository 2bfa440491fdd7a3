"""Who may join a row that is on its way: nobody fails, or waits, for the sake of another's text or Triton."""

import asyncio
import math
import threading
from collections.abc import Callable

import grpc

from gateway.errors.triton_errors import TritonError
from tests.gateway.support.rows import A, Asking, B, C, RowTriton, failing, held, probabilities


def spoilt(rows: list[tuple[int, ...]], _: grpc.ServicerContext) -> list[list[float]]:
    """B spoils whatever is in one call with it."""
    return [[math.nan] * 6 if B in rows else probabilities(row) for row in rows]


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


def test_who_hangs_up_before_being_asked_for_once_more_waits_no_more(
    triton: RowTriton, run: Callable[..., None]
) -> None:
    """Somebody asks just after the last call has ended, and before its answer, which is none, is given out."""

    async def test(asked: Asking) -> None:
        triton.answer = spoilt
        triton.freed.clear()
        blocking = asked.begin(C)
        await held(triton)
        stays, gone = asked.begin(A), asked.begin(B)
        await asyncio.sleep(0.05)
        first, triton.freed = triton.freed, threading.Event()
        first.set()
        await blocking
        await held(triton)
        second, triton.freed = triton.freed, threading.Event()
        (call,) = asked.batcher._queues[asked.version.served].tasks
        second.set()
        while not call.done():
            await asyncio.sleep(0)
        other = asked.begin(C)
        await held(triton)  # A, once more
        gone.cancel()
        await asyncio.sleep(0.05)
        triton.freed.set()
        await asyncio.gather(stays, other, gone, return_exceptions=True)

    run(test, cache=0)
    assert triton.calls == [[C], [A, B], [A], [C]]


def test_nothing_is_under_way_once_it_is_closed(triton: RowTriton, run: Callable[..., None]) -> None:
    async def test(asked: Asking) -> None:
        triton.freed.clear()
        carried = asked.begin(A)
        await held(triton)
        waiting = asked.begin(B)
        await asyncio.sleep(0.05)
        await asked.batcher.close(0.1)
        asked.assert_at_rest()
        done, _ = await asyncio.wait({carried, waiting}, timeout=5)
        assert len(done) == 2
        triton.freed.set()

    run(test)
    assert triton.calls == [[A]], "what waits is not sent to be cancelled"
