"""Texts that wait at the same moment travel to Triton in one call.

At most a few calls to a model version are under way at once. What arrives meanwhile waits,
and leaves together with the next call: nothing is ever waited for, so a lone request loses
no time, and under load a call, which costs both sides a few tenths of a millisecond
whatever its size, is shared by many. Rows are right-padded to the longest of their call;
the graph drops that before it computes anything, so padding costs 8 bytes a token.
"""

import asyncio
import copy
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import grpc

from gateway.failures import TritonError
from gateway.metrics import Metrics
from gateway.tracing import Span, Tracing
from gateway.triton import Triton
from gateway.versions import Version

Row = Sequence[int]


@dataclass(eq=False, slots=True)
class _Waiting:
    """The rows of one request, on their way."""

    rows: Sequence[Row]
    deadline: float
    span: Span | None
    answer: asyncio.Future[list[list[float]]]
    found: list[list[float]] = field(default_factory=list)
    sent: int = 0
    missing: int = 0
    calls: list["_Call"] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Call:
    """One call to Triton: who waits for it, and for which of its rows."""

    parts: list[tuple[_Waiting, int, int]]
    """Who, and the first and the last but one of that request's rows."""
    task: asyncio.Task[None] | None = None

    def give_up(self) -> None:
        """Cancel the call if nobody waits for it any more."""
        if self.task is not None and all(waiting.answer.done() for waiting, _, _ in self.parts):
            self.task.cancel()


class Batcher:
    """Brings rows to Triton and their probabilities back. Lives in one event loop."""

    def __init__(self, triton: Triton, calls: int, metrics: Metrics, tracing: Tracing) -> None:
        self._triton = triton
        self._calls = calls
        self._metrics = metrics
        self._tracing = tracing
        self._lines: dict[tuple[str, str], _Line] = {}

    async def probabilities(
        self, version: Version, rows: Sequence[Row], deadline: float, span: Span | None = None
    ) -> list[list[float]]:
        """Six probabilities for each row, in order.

        Cancelling this takes the rows back, and cancels a call that is nobody else's.

        Args:
            version: what reads them.
            rows: token ids; at least one row, none empty.
            deadline: on the event loop's clock; a call's deadline is its last rows'.
            span: the request's, when it is traced.

        Raises:
            TritonError: a call failed.
        """
        waiting = _Waiting(rows, deadline, span, asyncio.get_running_loop().create_future())
        waiting.missing = len(rows)
        waiting.found = [[]] * len(rows)
        key = version.model, version.version
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line()
        line.queue.append(waiting)
        self._send(version, line)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            for call in waiting.calls:
                call.give_up()
            raise

    async def close(self) -> None:
        """Cancel what is under way."""
        tasks = [task for line in self._lines.values() for task in line.tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _send(self, version: Version, line: "_Line") -> None:
        while line.queue and len(line.tasks) < self._calls:
            call = _Call(line.take(version.max_batch_size))
            if not call.parts:
                break
            task = call.task = asyncio.create_task(self._ask(version, call))
            line.tasks.add(task)
            for waiting, _, _ in call.parts:
                waiting.calls.append(call)
            task.add_done_callback(partial(self._ended, version, line, call))
        if not line.queue and not line.tasks:
            self._lines.pop((version.model, version.version), None)

    def _ended(self, version: Version, line: "_Line", call: _Call, task: asyncio.Task[None]) -> None:
        line.tasks.discard(task)
        if task.cancelled():
            for waiting, _, _ in call.parts:
                waiting.answer.cancel()
        elif (error := task.exception()) is not None:
            _fail(call, error)
        self._send(version, line)

    async def _ask(self, version: Version, call: _Call) -> None:
        rows = [row for waiting, start, stop in call.parts for row in waiting.rows[start:stop]]
        loop = asyncio.get_running_loop()
        began = loop.time()
        timeout = max(max(waiting.deadline for waiting, _, _ in call.parts) - began, 0.0)
        spans = [waiting.span for waiting, _, _ in call.parts if waiting.span is not None]
        with self._tracing.call(version.model, version.version, len(rows), spans) as metadata:
            answer = await self._triton.infer(
                version.model, version.version, rows, version.card.pad_id, timeout, metadata
            )
        self._metrics.triton_call(version.model, version.version, len(rows), loop.time() - began)
        place = 0
        for waiting, start, stop in call.parts:
            mine = answer[place : place + stop - start]
            place += stop - start
            if waiting.answer.done():
                continue
            if not math.isfinite(sum(map(sum, mine))):
                # Its own request's failure, and no neighbour's.
                waiting.answer.set_exception(_not_finite(version))
                continue
            waiting.found[start:stop] = mine
            waiting.missing -= stop - start
            if not waiting.missing:
                waiting.answer.set_result(waiting.found)


class _Line:
    """What waits for one model version, and the calls under way."""

    def __init__(self) -> None:
        self.queue: deque[_Waiting] = deque()
        self.tasks: set[asyncio.Task[None]] = set()

    def take(self, most: int) -> list[tuple[_Waiting, int, int]]:
        """The next rows, `most` at most, in the order in which they came."""
        parts: list[tuple[_Waiting, int, int]] = []
        while self.queue and most:
            waiting = self.queue[0]
            if waiting.answer.done():
                # Cancelled or failed while it waited.
                self.queue.popleft()
                continue
            start, stop = waiting.sent, min(waiting.sent + most, len(waiting.rows))
            parts.append((waiting, start, stop))
            waiting.sent = stop
            most -= stop - start
            if stop == len(waiting.rows):
                self.queue.popleft()
        return parts


def _fail(call: _Call, error: BaseException) -> None:
    for waiting, _, _ in call.parts:
        if not waiting.answer.done():
            waiting.answer.set_exception(copy.copy(error))
        for other in waiting.calls:
            if other is not call:
                # One failure is the request's: its other answers are of no use any more.
                other.give_up()


def _not_finite(version: Version) -> TritonError:
    return TritonError(
        grpc.StatusCode.INTERNAL,
        f"{version.model} version {version.version} answered probabilities that are not all finite",
    )
