"""Texts that wait at the same moment travel to Triton in one call.

A call costs both sides a few tenths of a millisecond whatever its size, so under load many
requests share one. At most a few calls to a model version are under way at once; what arrives
meanwhile leaves together. A lone request never waits. While others are under way, a call that
would carry far fewer rows than the last ones did waits a millisecond at most for company: the
clients just answered are about to ask again, and calls of one row would crowd out the others.
Rows are right-padded to the longest of their call; the graph drops that before it computes
anything, so padding costs 8 bytes a token.
"""

import asyncio
import copy
import math
from collections.abc import Sequence
from functools import partial
from typing import Final

import grpc

from gateway.failures import TritonError
from gateway.metrics import Metrics
from gateway.tracing import Span, Tracing
from gateway.triton import Triton
from gateway.versions import Version
from gateway.waiting import Answer, Call, Line, Row, Waiting

_FEW: Final = 0.6
"""Of the rows that the last calls carried on average: fewer wait for company."""
_COMPANY_SECONDS: Final = 0.001


class Batcher:
    """Brings rows to Triton and their probabilities back. Lives in one event loop."""

    def __init__(self, triton: Triton, calls: int, metrics: Metrics, tracing: Tracing) -> None:
        self._triton = triton
        self._calls = calls
        self._metrics = metrics
        self._tracing = tracing
        self._lines: dict[tuple[str, str], Line] = {}

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
        waiting = Waiting(rows, deadline, span, asyncio.get_running_loop().create_future())
        waiting.missing = len(rows)
        waiting.found = [[]] * len(rows)
        key = version.model, version.version
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line()
        line.queue.append(waiting)
        self._gather(version, line)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            for call in waiting.calls:
                call.give_up()
            raise
        finally:
            # Calls know who waits for them, and only the collector would find the circle.
            waiting.calls.clear()

    async def close(self) -> None:
        """Cancel what is under way."""
        for line in self._lines.values():
            line.stop_timer()
        tasks = [task for line in self._lines.values() for task in line.tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _gather(self, version: Version, line: Line) -> None:
        """Send once everything that arrived in this turn of the event loop is in the queue."""
        if not line.gathering and len(line.tasks) < self._calls:
            line.gathering = True
            asyncio.get_running_loop().call_soon(self._gathered, version, line)

    def _gathered(self, version: Version, line: Line) -> None:
        line.gathering = False
        if not line.tasks or line.rows_waiting() >= _FEW * line.usual_rows():
            self._send(version, line)
        elif line.timer is None:
            line.timer = asyncio.get_running_loop().call_later(_COMPANY_SECONDS, self._send, version, line)

    def _send(self, version: Version, line: Line) -> None:
        line.stop_timer()
        while line.queue and len(line.tasks) < self._calls:
            call = Call(line.take(version.max_batch_size))
            if not call.parts:
                break
            task = call.task = asyncio.create_task(self._ask(version, call))
            line.tasks.add(task)
            line.sizes.append(sum(stop - start for _, start, stop in call.parts))
            for waiting, _, _ in call.parts:
                waiting.calls.append(call)
            task.add_done_callback(partial(self._ended, version, line, call))
        if not line.queue and not line.tasks and not line.gathering:
            self._lines.pop((version.model, version.version), None)

    def _ended(self, version: Version, line: Line, call: Call, task: asyncio.Task[Answer]) -> None:
        line.tasks.discard(task)
        if task.cancelled():
            for waiting, _, _ in call.parts:
                waiting.answer.cancel()
        elif (error := task.exception()) is not None:
            _fail(call, error)
        self._send(version, line)
        if not task.cancelled() and task.exception() is None:
            # Once the next call has left, for which Triton would wait while many answers are written.
            asyncio.get_running_loop().call_soon(_hand_out, version, call, task.result())

    async def _ask(self, version: Version, call: Call) -> Answer:
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
        return answer


def _hand_out(version: Version, call: Call, answer: Answer) -> None:
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


def _fail(call: Call, error: BaseException) -> None:
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
