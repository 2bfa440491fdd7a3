"""What the next call to Triton carries, of all that waits."""

import asyncio
from collections import deque
from collections.abc import Iterator

import pytest

from gateway.inference.pipeline import _parts
from gateway.inference.version_queue import Line, Waiting


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def waiting(loop: asyncio.AbstractEventLoop, line: Line, *rows: int) -> list[Waiting]:
    found = [Waiting([[number]] * number, 0.0, None, loop.create_future()) for number in rows]
    line.queue.extend(found)
    return found


def taken(line: Line, most: int) -> dict[int, tuple[int, int]]:
    """Of each request, by its number of rows: the first row and the last but one."""
    return {len(part.rows): (start, stop) for part, start, stop in line.take(most)[0]}


def test_what_fits_goes_as_it_came(loop: asyncio.AbstractEventLoop) -> None:
    line = Line()
    waiting(loop, line, 1, 2, 3)
    assert taken(line, 64) == {1: (0, 1), 2: (0, 2), 3: (0, 3)}
    assert not line.queue


def test_few_rows_do_not_wait_behind_many(loop: asyncio.AbstractEventLoop) -> None:
    line = Line()
    waiting(loop, line, 256, 200, 1, 3)
    assert taken(line, 64) == {256: (0, 56), 200: (0, 4), 1: (0, 1), 3: (0, 3)}
    # Many at once do not all become late together: the first goes ahead.
    assert taken(line, 64) == {256: (56, 116), 200: (4, 8)}
    assert line.rows_waiting() == 140 + 192


def test_more_requests_than_rows(loop: asyncio.AbstractEventLoop) -> None:
    line = Line()
    waiting(loop, line, *range(10, 22))
    assert taken(line, 8) == dict.fromkeys(range(10, 18), (0, 1))


def test_every_row_goes_once(loop: asyncio.AbstractEventLoop) -> None:
    line = Line()
    rows = [256, 1, 2, 100, 5, 64, 7]
    found = waiting(loop, line, *rows)
    sent: dict[Waiting, list[int]] = {each: [] for each in found}
    calls = 0
    while line.queue:
        parts, _ = line.take(16)
        assert 0 < sum(stop - start for _, start, stop in parts) <= 16
        for part, start, stop in parts:
            sent[part] += range(start, stop)
        calls += 1
    assert calls == -(-sum(rows) // 16)
    assert all(numbers == list(range(len(each.rows))) for each, numbers in sent.items())


def test_long_rows_go_in_smaller_calls(loop: asyncio.AbstractEventLoop) -> None:
    line = Line()
    long, short = (Waiting([[7] * length] * 64, 0.0, None, loop.create_future()) for length in (128, 10))
    line.queue.append(long)
    assert [stop - start for _, start, stop in line.take(64)[0]] == [16]
    line.queue = deque([short])
    assert [stop - start for _, start, stop in line.take(64)[0]] == [64]


def test_what_nobody_waits_for_is_left_out(loop: asyncio.AbstractEventLoop) -> None:
    line = Line()
    gone, _ = waiting(loop, line, 5, 3)
    gone.answer.cancel()
    assert not line.is_empty()
    assert taken(line, 8) == {3: (0, 3)}
    assert line.is_empty()


def test_long_texts_are_tokenized_in_parts() -> None:
    texts = ["a" * 10_000] * 5 + ["b"] * 30_000
    parts = list(_parts(texts))
    assert [text for part in parts for text in part] == texts
    assert [len(part) for part in parts] == [2, 2, 10_001, 20_000]
    assert list(_parts([])) == []
