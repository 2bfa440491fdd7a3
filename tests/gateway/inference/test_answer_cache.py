"""The cache holds no more memory than it may, and what was asked for last."""

import gc
import random
import tracemalloc

import pytest

from gateway.inference.answer_cache import KEPT_SECONDS, AnswerCache, row_key

ANSWER = [0.5, 0.25, 0.125, 1.0, 0.0, 0.75]
MOST_BYTES = 1 << 20


@pytest.mark.parametrize("longest", [8, 48, 256])
def test_it_never_takes_more_memory_than_it_may(longest: int) -> None:
    chance = random.Random(longest)  # noqa: S311
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache, most = AnswerCache(MOST_BYTES), 0
        for number in range(15_000):
            ids = [number] * chance.randrange(1, longest)
            cache.keep(row_key(1, ids), ANSWER, 0.0)
            if number % 50 == 0:
                most = max(most, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert 0.5 * MOST_BYTES < most <= MOST_BYTES
    assert most <= cache.held_bytes <= MOST_BYTES
    assert cache.find(row_key(1, ids), 0.0) == ANSWER


def test_what_was_not_asked_for_longest_goes_first() -> None:
    cache = AnswerCache(3000)
    keys = [row_key(1, [number]) for number in range(100)]
    for key in keys:
        cache.keep(key, ANSWER, 0.0)
        assert cache.find(keys[0], 0.0) == ANSWER
    assert cache.find(keys[1], 0.0) is None
    assert cache.find(keys[-1], 0.0) == ANSWER
    assert len(cache) + cache.evicted == 100


def test_no_answer_is_older_than_it_may_be() -> None:
    cache, key = AnswerCache(MOST_BYTES), row_key(1, [2, 3])
    cache.keep(key, ANSWER, 1000.9)
    for seconds in range(1001, 1000 + KEPT_SECONDS):
        assert cache.find(key, seconds) == ANSWER
    assert cache.find(key, 1001.0 + KEPT_SECONDS) is None
    assert (len(cache), cache.held_bytes, cache.evicted) == (0, 0, 0)
    cache.keep(key, [0.5] * 6, 1001.0 + KEPT_SECONDS)
    assert cache.find(key, 1002.0 + KEPT_SECONDS) == [0.5] * 6


def test_a_cache_too_small_for_one_answer_keeps_none() -> None:
    cache = AnswerCache(1)
    cache.keep(row_key(1, [2, 3]), ANSWER, 0.0)
    assert (len(cache), cache.held_bytes, cache.evicted) == (0, 0, 1)


def test_an_answer_is_kept_bit_for_bit_and_the_first_one_stays() -> None:
    cache, key = AnswerCache(MOST_BYTES), row_key(1, [2, 3])
    numbers = [float.fromhex(number) for number in ("0x1.99999ap-4", "0x1p-149", "0x1.fffffep-1", "0x0p0", "0x1p0")]
    cache.keep(key, [*numbers, 0.5], 0.0)
    cache.keep(key, ANSWER, 0.0)
    assert cache.find(key, 0.0) == [*numbers, 0.5]


def test_keys_tell_rows_and_readings_apart() -> None:
    rows = [(1, [2, 3]), (1, [2]), (1, [3, 2]), (2, [2, 3]), (1, [2, 3, 0]), (1, [131_072 + 2, 3]), (1 << 40, [2, 3])]
    assert len({row_key(*row) for row in rows}) == len(rows)
