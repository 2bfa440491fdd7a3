"""What the next call to Triton carries, of all that waits."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway.inference.pending import PendingRequest
from gateway.inference.text_reader import _chunks
from gateway.inference.version_queue import VersionQueue
from tests.gateway.support.rows import waiting_request


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def pending(loop: asyncio.AbstractEventLoop, queue: VersionQueue, *rows: int) -> list[PendingRequest]:
    return [waiting_request(queue, loop, [[number, row] for row in range(number)]) for number in rows]


def taken(queue: VersionQueue, most: int) -> dict[int, tuple[int, int]]:
    """Of each request, by its number of rows: the first row and the one behind the last."""
    return {len(part.request.rows): (part.rows[0].ids[1], part.rows[-1].ids[1] + 1) for part in queue.take(most)[0]}


def test_what_fits_goes_as_it_came(loop: asyncio.AbstractEventLoop) -> None:
    queue = VersionQueue()
    pending(loop, queue, 1, 2, 3)
    assert taken(queue, 64) == {1: (0, 1), 2: (0, 2), 3: (0, 3)}
    assert not queue.pending


def test_few_rows_do_not_wait_behind_many(loop: asyncio.AbstractEventLoop) -> None:
    queue = VersionQueue()
    pending(loop, queue, 256, 200, 1, 3)
    assert taken(queue, 64) == {256: (0, 56), 200: (0, 4), 1: (0, 1), 3: (0, 3)}
    # Many at once do not all become late together: the first goes ahead.
    assert taken(queue, 64) == {256: (56, 116), 200: (4, 8)}
    assert queue.waiting == 140 + 192


def test_more_requests_than_rows(loop: asyncio.AbstractEventLoop) -> None:
    queue = VersionQueue()
    pending(loop, queue, *range(10, 22))
    assert taken(queue, 8) == dict.fromkeys(range(10, 18), (0, 1))


def test_every_row_goes_once(loop: asyncio.AbstractEventLoop) -> None:
    queue = VersionQueue()
    rows = [256, 1, 2, 100, 5, 64, 7]
    found = pending(loop, queue, *rows)
    sent: dict[PendingRequest, list[int]] = {each: [] for each in found}
    calls = 0
    while queue.pending:
        parts, _ = queue.take(16)
        assert 0 < sum(len(part.rows) for part in parts) <= 16
        for part in parts:
            sent[part.request] += [row.ids[1] for row in part.rows]
        calls += 1
    assert calls == -(-sum(rows) // 16)
    assert all(numbers == list(range(len(each.rows))) for each, numbers in sent.items())


def test_long_rows_go_in_smaller_calls(loop: asyncio.AbstractEventLoop) -> None:
    queue = VersionQueue()
    waiting_request(queue, loop, [[7] * 128] * 64)
    assert [len(part.rows) for part in queue.take(64)[0]] == [16]
    queue = VersionQueue()
    waiting_request(queue, loop, [[7] * 10] * 64)
    assert [len(part.rows) for part in queue.take(64)[0]] == [64]


def test_what_nobody_waits_for_is_left_out(loop: asyncio.AbstractEventLoop) -> None:
    queue = VersionQueue()
    gone, _ = pending(loop, queue, 5, 3)
    gone.answer.cancel()
    assert not queue.is_empty()
    assert taken(queue, 8) == {3: (0, 3)}
    assert queue.is_empty()


def test_clients_that_come_and_go_leave_nothing_on_a_row_that_waits(loop: asyncio.AbstractEventLoop) -> None:
    queue = VersionQueue()
    stays = waiting_request(queue, loop, [[1, 2]], keys=[b"a"])
    for _ in range(1000):
        gone = waiting_request(queue, loop, [[1, 2], [1, 2]], keys=[b"a", b"a"])
        queue.withdraw(gone)
    (row,) = queue.rows.values()
    assert len(row.waiters) < 50
    assert (queue.waiting, row.wanted) == (1, 1)
    assert [part.request for part in queue.take(8)[0]] == [stays]
    row.answer([0.5] * 6)
    assert stays.answer.result() == [[0.5] * 6]


def test_equal_rows_go_once_and_with_whoever_is_first(loop: asyncio.AbstractEventLoop) -> None:
    queue = VersionQueue()
    first = waiting_request(queue, loop, [[number] for number in range(20)], keys=[bytes([n]) for n in range(20)])
    second = waiting_request(queue, loop, [[19], [3], [50]], keys=[b"\x13", b"\x03", b"\x32"])
    assert queue.waiting == 21
    sent = [[(part.request, row.ids[0]) for part in queue.take(8)[0] for row in part.rows] for _ in range(3)]
    assert sent[0] == [*((first, number) for number in range(6)), (second, 19), (second, 50)]
    assert sorted(number for call in sent for _, number in call) == [*range(20), 50]
    assert queue.waiting == 0
    assert not queue.pending


def test_long_texts_are_tokenized_in_chunks() -> None:
    texts = ["a" * 10_000] * 5 + ["b"] * 30_000
    parts = list(_chunks(texts))
    assert [text for part in parts for text in part] == texts
    assert [len(part) for part in parts] == [2, 2, 10_001, 20_000]
    assert list(_chunks([])) == []
