"""Rows of token ids: in a queue without a gateway around it, and in a fake Triton that answers each with its own."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import numpy as np

from gateway.inference.pending import PendingRequest
from gateway.inference.version_queue import VersionQueue
from tests.gateway.support.fake_triton import FakeTriton, answer_of
from tests.support.waiting import SECONDS

PAD = 0
Row = tuple[int, ...]


def probabilities(row: Sequence[int]) -> list[float]:
    """What it answers a row with; FP32 holds these numbers exactly."""
    return [(sum(row) * factor + len(row)) % 127 / 128 for factor in range(1, 7)]


class RowTriton:
    """A fake that tells what it was asked, call by call, and can hold calls."""

    def __init__(self, fake: FakeTriton) -> None:
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
