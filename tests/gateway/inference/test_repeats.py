"""Equal rows are computed once, on their way and afterwards; whoever waits for one loses nothing by it."""

import asyncio
import gc
import math
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from gateway.errors.triton_errors import TritonError
from gateway.inference import answer_cache, batching
from gateway.inference.pending import PendingRequest, SharedRow, TritonCall
from gateway.triton.replica import ModelVersion
from tests.gateway.support.fake_triton import FakeTriton, running_fake_triton
from tests.gateway.support.rows import CACHE, MOST_ROWS, A, Asking, B, C, RowTriton, asking, held, probabilities
from tests.support.waiting import SECONDS

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def test_equal_rows_on_their_way_are_one(triton: RowTriton, run: Callable[..., None]) -> None:
    async def test(asked: Asking) -> None:
        triton.freed.clear()
        first = asked.begin(A, B)
        await held(triton)
        carried, waiting = asked.begin(C, A), asked.begin(B, C, C)
        await asyncio.sleep(0.05)
        triton.freed.set()
        answers = [await first, await carried, await waiting]
        right = [[probabilities(row) for row in rows] for rows in ((A, B), (C, A), (B, C, C))]
        assert answers == right
        assert asked.counted("emotion_texts_shared_total") == 4

    run(test)
    assert triton.calls == [[A, B], [C]]


def test_many_equal_texts_of_one_request_are_one_row(triton: RowTriton, run: Callable[..., None]) -> None:
    async def test(asked: Asking) -> None:
        assert await asked.ask(*[A] * 255, B) == [probabilities(A)] * 255 + [probabilities(B)]

    run(test)
    assert triton.calls == [[A, B]]


def test_what_has_been_answered_is_not_asked_again(triton: RowTriton, run: Callable[..., None]) -> None:
    async def test(asked: Asking) -> None:
        triton.answer = lambda rows, _: [[0.1, 1 / 3, 1e-30, 1.0, 0.0, 0.7]] * len(rows)
        first = await asked.ask(A)
        triton.answer = lambda rows, _: [[0.5] * 6] * len(rows)
        again = await asked.ask(B, A, A)
        assert again == [[0.5] * 6, first[0], first[0]]
        again[1][0] = 9.0  # theirs to change
        assert (await asked.ask(A)) == first
        assert asked.counted("emotion_texts_cached_total") == 3
        assert 0 < asked.counted("emotion_answer_cache_bytes") < CACHE

    run(test)
    assert triton.calls == [[A], [B]]


def test_without_a_cache_every_row_is_computed(triton: RowTriton, run: Callable[..., None]) -> None:
    async def test(asked: Asking) -> None:
        assert await asyncio.gather(asked.ask(A, A), asked.ask(A)) == [[probabilities(A)] * 2, [probabilities(A)]]
        await asked.ask(A)

    run(test, cache=0)
    assert triton.calls == [[A, A, A], [A]]


def test_nobody_waits_for_the_rest_of_anothers_request(triton: RowTriton, run: Callable[..., None]) -> None:
    async def test(asked: Asking) -> None:
        triton.freed.clear()
        many = asked.begin(*((2, number, 3) for number in range(4, 4 + 3 * MOST_ROWS)))
        await held(triton)
        one = asked.begin((2, 4, 3))
        await asyncio.sleep(0.05)
        first, triton.freed = triton.freed, threading.Event()
        first.set()
        assert await one == [probabilities((2, 4, 3))]
        assert not many.done()
        triton.freed.set()
        assert len(await many) == 3 * MOST_ROWS

    run(test)


def test_a_row_that_others_bring_first_goes_with_them(triton: RowTriton, run: Callable[..., None]) -> None:
    """It stands at the end of one long request and is all of another one: it goes as early as that one's would."""

    async def test(asked: Asking) -> None:
        triton.freed.clear()
        blocking = asked.begin(B)
        await held(triton)
        many = asked.begin(*((2, number, 3) for number in range(10, 10 + 3 * MOST_ROWS)), A)
        one = asked.begin(A)
        await asyncio.sleep(0.05)
        triton.freed.set()
        assert await one == [probabilities(A)]
        assert (await many)[-1] == probabilities(A)
        await blocking

    run(test)
    assert A in triton.calls[1]
    assert triton.rows.count(A) == 1


@pytest.mark.parametrize("carried", [True, False])
def test_who_hangs_up_takes_nothing_from_others(triton: RowTriton, run: Callable[..., None], *, carried: bool) -> None:
    async def test(asked: Asking) -> None:
        triton.freed.clear()
        blocking = None if carried else asked.begin(B)
        if blocking is not None:
            await held(triton)
        gone = asked.begin(A, C)
        if carried:
            await held(triton)
        else:
            await asyncio.sleep(0.05)
        stays = asked.begin(A)
        await asyncio.sleep(0.05)
        gone.cancel()
        await asyncio.sleep(0.05)
        triton.freed.set()
        assert await stays == [probabilities(A)]
        with pytest.raises(asyncio.CancelledError):
            await gone
        if blocking is not None:
            await blocking

    run(test)
    assert triton.calls == ([[A, C]] if carried else [[B], [A]])


def test_who_is_the_last_to_hang_up_takes_the_row_along(triton: RowTriton, run: Callable[..., None]) -> None:
    async def test(asked: Asking) -> None:
        triton.freed.clear()
        blocking = asked.begin(B)
        await held(triton)
        gone = [asked.begin(A), asked.begin(A, A), asked.begin(C, A)]
        await asyncio.sleep(0.05)
        assert asked.counted("emotion_texts_waiting") == 2
        for each in gone:
            each.cancel()
        await asyncio.sleep(0.05)
        assert asked.counted("emotion_texts_waiting") == 0
        triton.freed.set()
        await blocking
        assert await asked.ask(A) == [probabilities(A)]

    run(test)
    assert triton.calls == [[B], [A]]


def test_a_call_that_fails_fails_all_that_wait_for_it_and_is_not_kept(
    triton: RowTriton, run: Callable[..., None]
) -> None:
    def fail(_: list[tuple[int, ...]], context: grpc.ServicerContext) -> list[list[float]]:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        raise AssertionError

    async def test(asked: Asking) -> None:
        right, triton.answer = triton.answer, fail
        triton.freed.clear()
        first = asked.begin(A)
        await held(triton)
        others = [asked.begin(A), asked.begin(A, B)]
        await asyncio.sleep(0.05)
        triton.freed.set()
        failed = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(each) for each in failed] == [TritonError] * 3
        assert len({id(each) for each in failed}) == 3
        triton.answer = right
        assert await asked.ask(A, B) == [probabilities(A), probabilities(B)]

    run(test)


def test_numbers_that_are_no_probabilities_are_nobodys_answer(triton: RowTriton, run: Callable[..., None]) -> None:
    """A row that several wait for is asked for alone, as each of them would have been; the wrong one fails."""

    def spoilt(rows: list[tuple[int, ...]], _: grpc.ServicerContext) -> list[list[float]]:
        return [[math.nan] * 6 if row == B or len(rows) > 1 else probabilities(row) for row in rows]

    async def test(asked: Asking) -> None:
        triton.answer = spoilt
        triton.freed.clear()
        both = asked.begin(A, B)
        await held(triton)
        one = asked.begin(A)
        await asyncio.sleep(0.05)
        triton.freed.set()
        assert await one == [probabilities(A)]
        with pytest.raises(TritonError, match="DATA_LOSS"):
            await both
        with pytest.raises(TritonError, match="DATA_LOSS"):
            await asked.ask(B)

    run(test)
    assert triton.calls == [[A, B], [A], [B], [B], [B]]


def test_nobody_joins_a_call_that_hangs(
    triton: RowTriton, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "SLOW_SECONDS", 0.1)

    async def test(asked: Asking) -> None:
        hangs, triton.freed = threading.Event(), threading.Event()
        triton.freed, later = hangs, triton.freed
        first = asked.begin(A)
        await held(triton)
        await asyncio.sleep(0.3)
        later.set()
        triton.freed = later
        assert await asked.ask(A) == [probabilities(A)]
        assert not first.done()
        hangs.set()
        assert await first == [probabilities(A)]

    run(test, calls=2)
    assert triton.calls == [[A], [A]]


def test_a_twins_answer_is_everybodys(
    fake: FakeTriton, triton: RowTriton, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "SLOW_SECONDS", 0.1)

    async def test(addresses: str) -> None:
        async with asking(addresses, repository) as asked:
            triton.freed.clear()
            first = asked.begin(A)
            await held(triton)
            others = [asked.begin(A), asked.begin(A)]
            assert await asyncio.gather(first, *others) == [[probabilities(A)]] * 3
            triton.freed.set()

    with running_fake_triton() as second:
        other = RowTriton(second)
        asyncio.run(test(f"{fake.address},{second.address}"))
        assert triton.calls == other.calls == [[A]]


def test_each_version_and_each_reading_of_one_has_answers_of_its_own(
    triton: RowTriton, run: Callable[..., None]
) -> None:
    async def test(asked: Asking) -> None:
        newer = replace(asked.version, served=ModelVersion("emotion_rubert", "2"), reading=2)
        again = replace(asked.version, reading=3)
        for version in (asked.version, newer, again, asked.version, newer, again):
            await asked.ask(A, version=version)
        assert asked.counted("emotion_texts_cached_total") == 3
        triton.freed.clear()
        waiting = [asked.begin(B, version=version) for version in (asked.version, newer, again)]
        await held(triton)
        triton.freed.set()
        await asyncio.gather(*waiting)

    run(test, calls=4)
    assert (triton.rows.count(A), triton.rows.count(B)) == (3, 3)


def test_nothing_is_kept_while_triton_may_still_have_the_old_files(triton: RowTriton, run: Callable[..., None]) -> None:
    async def test(asked: Asking) -> None:
        now = asyncio.get_running_loop().time()
        replaced, later = (replace(asked.version, reading=2, settled_at=at) for at in (now + SECONDS, now))
        assert await asyncio.gather(*(asked.ask(A, version=replaced) for _ in range(3))) == [[probabilities(A)]] * 3
        await asked.ask(A, version=replaced)
        await asked.ask(A, version=later)
        await asked.ask(A, version=later)

    run(test)
    assert triton.calls == [[A]] * 3


def test_no_answer_is_given_for_ever_however_often_it_is_asked_for(
    triton: RowTriton, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton may take other files of the same number at any time, and nothing here sees when."""
    # Seconds are counted whole: an answer is kept for more than one, and for two at most.
    monkeypatch.setattr(answer_cache, "KEPT_SECONDS", 2)

    async def test(asked: Asking) -> None:
        triton.answer = lambda rows, _: [[0.25] * 6] * len(rows)
        assert await asked.ask(A) == [[0.25] * 6]
        triton.answer = lambda rows, _: [[0.75] * 6] * len(rows)
        assert await asked.ask(A) == [[0.25] * 6]
        async with asyncio.timeout(SECONDS):
            while await asked.ask(A) == [[0.25] * 6]:
                await asyncio.sleep(0.1)
        assert await asked.ask(A) == [[0.75] * 6]

    run(test)


def test_nothing_of_an_answered_request_waits_for_the_garbage_collector(
    triton: RowTriton, run: Callable[..., None]
) -> None:
    """Rows, requests and calls name each other while they are on their way."""

    async def test(asked: Asking) -> None:
        gc.collect()
        gc.disable()
        try:
            await asyncio.gather(asked.ask(A, B), asked.ask(B, C, A, A), asked.ask(C))
            gone = asked.begin(B, (2, 9, 3))
            await asyncio.sleep(0)
            assert gone.cancel()
            await asyncio.wait({gone})
            del gone
            await asyncio.sleep(0.05)
            left = [each for each in gc.get_objects() if isinstance(each, SharedRow | PendingRequest | TritonCall)]
            assert left == []
        finally:
            gc.enable()

    run(test)
    assert triton.rows == [A, B, C]


@pytest.mark.parametrize("slow", [False, True])
def test_ten_thousand_ask_one_text(triton: RowTriton, run: Callable[..., None], *, slow: bool) -> None:
    """Of a Triton that is slow, and of one that is not there: one row, whoever hangs up meanwhile."""

    def refuse(_: list[tuple[int, ...]], context: grpc.ServicerContext) -> list[list[float]]:
        context.abort(UNAVAILABLE, "gone")
        raise AssertionError

    async def test(asked: Asking) -> None:
        if not slow:
            triton.answer = refuse
        triton.freed.clear()
        clients = [asked.begin(A) for _ in range(10_000)]
        await held(triton)
        for client in clients[::2]:
            client.cancel()
        await asyncio.sleep(0)
        assert asked.counted("emotion_texts_waiting") == 0
        triton.freed.set()
        found = await asyncio.gather(*clients, return_exceptions=True)
        stayed = found[1::2]
        if slow:
            assert all(each == [probabilities(A)] for each in stayed)
        else:
            assert all(isinstance(each, TritonError) and each.code == UNAVAILABLE for each in stayed)

    run(test)
    assert triton.calls == [[A]]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_answers_are_right_and_nothing_is_left(
    fake: FakeTriton,
    triton: RowTriton,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    """Three Tritons that are slow, fail, or answer nonsense, and clients that hang up."""
    monkeypatch.setattr(batching, "SLOW_SECONDS", 0.03)
    chance = random.Random(seed)  # noqa: S311
    texts = [(2, *(chance.randrange(4, 90) for _ in range(chance.randrange(1, 12))), 3) for _ in range(25)]
    outcomes = {"answered": 0, "failed": 0, "hung up": 0}

    def answer(rows: list[tuple[int, ...]], context: grpc.ServicerContext) -> list[list[float]]:
        luck = chance.random()
        threading.Event().wait(luck % 0.01 if luck < 0.9 else 0.1)
        if luck < 0.2:
            context.abort(chance.choice([UNAVAILABLE, grpc.StatusCode.INTERNAL]), "no")
        return [[math.nan] * 6 if chance.random() < 0.02 else probabilities(row) for row in rows]

    async def client(asked: Asking) -> None:
        for _ in range(25):
            rows = chance.choices(texts, k=chance.choice([1, 1, 1, 3, 30]))
            task = asked.begin(*rows)
            if chance.random() < 0.3:
                await asyncio.wait({task}, timeout=chance.random() * 0.02)
                task.cancel()
            try:
                assert await task == [probabilities(row) for row in rows]
                outcomes["answered"] += 1
            except TritonError:
                outcomes["failed"] += 1
            except asyncio.CancelledError:
                outcomes["hung up"] += 1

    async def test(addresses: str) -> None:
        # So small a cache that most texts are not in it.
        async with asking(addresses, repository, calls=2, cache=2000) as asked:
            await asyncio.gather(*(client(asked) for _ in range(20)))
            await asked.rest()
            assert asked.counted("emotion_texts_shared_total") > 100
            assert asked.counted("emotion_answer_cache_evicted_total") > 10

    with running_fake_triton() as second, running_fake_triton() as third:
        for each in (triton, RowTriton(second), RowTriton(third)):
            each.answer = answer
        asyncio.run(test(f"{fake.address},{second.address},{third.address}"))
    assert all(outcomes.values()), outcomes
