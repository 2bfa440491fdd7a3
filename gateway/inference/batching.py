"""Texts that wait at the same moment travel to Triton in one call.

A call costs both sides a few tenths of a millisecond whatever its size, so under load many
requests share one. At most a few calls to a model version are under way at once; what arrives
meanwhile leaves together. A lone request never waits. While others are under way, a call that
would carry far fewer rows than the last ones did waits a millisecond at most for company: the
clients just answered are about to ask again, and calls of one row would crowd out the others.
Rows are right-padded to the longest of their call; the graph drops that before it computes
anything, so padding costs 8 bytes a token.

No call is ever cancelled: Triton dies of that. An answer that nobody waits for any more is dropped.
"""

import asyncio
import copy
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

import grpc

from gateway.errors.triton_errors import TritonError
from gateway.inference.version_queue import Answer, Call, Line, Part, Row, Waiting
from gateway.models.versions import Version
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Span, Tracing
from gateway.triton.client import Triton
from gateway.triton.replica import SLOW_SECONDS, ModelVersion
from gateway.triton.tensors import are_probabilities

logger = logging.getLogger("gateway")

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
        self._lines: dict[ModelVersion, Line] = {}

    async def probabilities(
        self, version: Version, rows: Sequence[Row], deadline: float, span: Span | None = None
    ) -> list[list[float]]:
        """Six probabilities for each row, in order.

        Cancelling this takes back the rows that no call carries yet, and waits for the calls that carry
        others, so that whoever counts requests counts the work that this one still makes; until its
        deadline at most.

        Args:
            version: what reads them.
            rows: token ids; at least one row, none empty.
            deadline: on the event loop's clock.
            span: the request's, when it is traced.

        Raises:
            TritonError: a call failed, or gave numbers that are no probabilities, twice.
        """
        loop = asyncio.get_running_loop()
        waiting = Waiting(rows, deadline, span, loop.create_future())
        waiting.missing = len(rows)
        waiting.found = [[]] * len(rows)
        line = self._lines.get(version.served)
        if line is None:
            line = self._lines[version.served] = Line()
        line.queue.append(waiting)
        self._gather(version, line)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            line.take_back(waiting)
            if waiting.tasks:
                await asyncio.wait(waiting.tasks, timeout=max(deadline - loop.time(), 0.0))
            raise

    async def close(self, grace: float) -> None:
        """Let what is under way end; what has not after `grace` seconds is cancelled."""
        for line in self._lines.values():
            line.stop_timer()
        tasks = [task for line in self._lines.values() for task in line.tasks]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def _gather(self, version: Version, line: Line) -> None:
        """Send once everything that arrived in this turn of the event loop is in the queue."""
        if not line.gathering and line.calls < self._calls:
            line.gathering = True
            asyncio.get_running_loop().call_soon(self._gathered, version, line)

    def _gathered(self, version: Version, line: Line) -> None:
        line.gathering = False
        if not line.calls or line.rows_waiting() >= _FEW * line.usual_rows():
            self._send(version, line)
        elif line.timer is None:
            line.timer = asyncio.get_running_loop().call_later(_COMPANY_SECONDS, self._send, version, line)

    def _send(self, version: Version, line: Line) -> None:
        line.stop_timer()
        while line.calls < self._calls and not line.is_empty():
            replica = self._triton.choose(version.served, line.load, self._calls)
            if replica is None:
                break
            parts, again = line.take(version.max_batch_size)
            self._begin(version, line, Call(parts, replica, again))
        if not line.tasks and not line.gathering and line.is_empty() and self._lines.get(version.served) is line:
            del self._lines[version.served]

    def _begin(self, version: Version, line: Line, call: Call) -> None:
        task = asyncio.create_task(self._ask(version, line, call))
        line.tasks.add(task)
        line.sizes.append(sum(stop - start for _, start, stop in call.parts))
        self._on(version, line, call)
        for waiting, _, _ in call.parts:
            waiting.tasks.append(task)
        task.add_done_callback(partial(self._ended, version, line, call))

    def _is_slow(self, version: Version, line: Line, call: Call) -> None:
        call.slow = True
        line.slow += 1
        call.replica.slow.add(call)
        self._send(version, line)

    def _ended(self, version: Version, line: Line, call: Call, task: asyncio.Task[Answer]) -> None:
        line.tasks.discard(task)
        _off(line, call)
        for waiting, _, _ in call.parts:
            waiting.tasks.remove(task)
        if task.cancelled():
            for waiting, _, _ in call.parts:
                waiting.answer.cancel()
        elif (error := task.exception()) is not None:
            _fail(call, error)
        self._send(version, line)
        if not task.cancelled() and task.exception() is None:
            # Once the next call has left, for which Triton would wait while many answers are written.
            asyncio.get_running_loop().call_soon(self._hand_out, version, line, call, task.result())

    async def _ask(self, version: Version, line: Line, call: Call) -> Answer:
        rows = [row for waiting, start, stop in call.parts for row in waiting.rows[start:stop]]
        loop = asyncio.get_running_loop()
        began = loop.time()
        spans = [waiting.span for waiting, _, _ in call.parts if waiting.span is not None]
        tried = [call.replica]
        with self._tracing.call(version.model, version.version, len(rows), spans) as metadata:
            while True:
                try:
                    answer = await self._triton.infer(call.replica, version.served, rows, version.card.pad_id, metadata)
                    break
                except TritonError as error:
                    # One that starts, stops or has not loaded the version yet turns calls away,
                    # while another answers; asking again is safe, since an answer changes nothing.
                    if not error.may_be_unloaded or all(waiting.answer.done() for waiting, _, _ in call.parts):
                        raise
                    other = self._triton.choose(version.served, line.load, self._calls, tried)
                    if other is None:
                        raise
                    _off(line, call)
                    call.replica = other
                    self._on(version, line, call)
                    tried.append(other)
        self._metrics.triton_call(version.model, version.version, len(rows), loop.time() - began)
        return answer

    def _on(self, version: Version, line: Line, call: Call) -> None:
        line.load[call.replica] += 1
        call.timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._is_slow, version, line, call)

    def _hand_out(self, version: Version, line: Line, call: Call, answer: Answer) -> None:
        right = are_probabilities(answer)
        place = 0
        for waiting, start, stop in call.parts:
            mine = answer[place : place + stop - start]
            place += stop - start
            if waiting.answer.done():
                continue
            if not right and not are_probabilities(mine):
                self._refuse(version, line, call, (waiting, start, stop))
                continue
            waiting.found[start:stop] = mine
            waiting.missing -= stop - start
            if not waiting.missing:
                waiting.answer.set_result(waiting.found)

    def _refuse(self, version: Version, line: Line, call: Call, part: Part) -> None:
        """Numbers that are no probabilities may be another client's fault: asked again, alone, they may be right."""
        self._metrics.no_probabilities(version.model, version.version)
        what = f"{version.model} version {version.version} at {call.replica.address} answered probabilities that are"
        if not call.again:
            logger.warning("%s not all finite and between 0 and 1; the request is sent once more, alone", what)
            # The line may have been forgotten when its last call ended.
            line = self._lines.setdefault(version.served, line)
            line.again.append(part)
            self._gather(version, line)
            return
        logger.error("%s not all finite and between 0 and 1, for a request alone too", what)
        part[0].answer.set_exception(TritonError(grpc.StatusCode.DATA_LOSS, f"{what} none"))


def _off(line: Line, call: Call) -> None:
    line.load[call.replica] -= 1
    if not line.load[call.replica]:
        del line.load[call.replica]
    if call.timer is not None:
        call.timer.cancel()
    line.slow -= call.slow
    call.slow = False
    call.replica.slow.discard(call)


def _fail(call: Call, error: BaseException) -> None:
    for waiting, _, _ in call.parts:
        if not waiting.answer.done():
            waiting.answer.set_exception(copy.copy(error))
