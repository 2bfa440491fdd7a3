"""Texts that wait at the same moment travel to Triton in one call.

A call costs both sides a few tenths of a millisecond whatever its size, so under load many
requests share one. At most a few calls to a model version are under way at once; what arrives
meanwhile leaves together. A lone request never waits. While others are under way, a call that
would carry far fewer rows than the last ones did waits a millisecond at most for more (the queue delay): the
clients just answered are about to ask again, and calls of one row would crowd out the others.
Rows are right-padded to the longest of their call; the graph drops that before it computes
anything, so padding costs 8 bytes a token.

No call is ever cancelled: Triton dies of that. An answer that nobody waits for any more is dropped.

An answer changes nothing, so the same may be asked twice: what one Triton turns away goes to another, and what one
holds for long is asked from another too, if that one is well; and if that holds it for long as well, from a third. The
first answer counts.

Equal rows are computed once (`pending`, `answer_cache`): whoever asks what has been answered lately gets that answer,
and who asks what is on its way waits for the same call.
"""

import asyncio
import copy
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

import grpc

from gateway.errors.triton_errors import TritonError
from gateway.inference.answer_cache import AnswerCache, row_key
from gateway.inference.pending import CallPart, PendingRequest, Probabilities, Row, SharedRow, TritonCall
from gateway.inference.version_queue import VersionQueue
from gateway.models.versions import Version
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import Span, Tracing
from gateway.triton.client import Triton
from gateway.triton.replica import SLOW_SECONDS, ModelVersion, Replica
from gateway.triton.tensors import are_probabilities

logger = logging.getLogger("gateway")

_FULL_ENOUGH: Final = 0.6
"""Of the rows that the last calls carried on average: fewer are delayed."""
_QUEUE_DELAY_SECONDS: Final = 0.001


class Batcher:
    """Brings rows to Triton and their probabilities back. Lives in one event loop."""

    def __init__(self, triton: Triton, max_calls: int, metrics: Metrics, tracing: Tracing, *, cache_bytes: int) -> None:
        """Begin with nothing under way.

        Args:
            triton: that is asked.
            max_calls: under way at once, to one model version.
            metrics: told of every call.
            tracing: told of every call.
            cache_bytes: of answers that are kept; 0: every row is computed, whatever else is or has been.
        """
        self._triton = triton
        self._max_calls = max_calls
        self._metrics = metrics
        self._tracing = tracing
        # Asked for once: CPython 3.11 asks the system for the process's id each time.
        self._loop = asyncio.get_running_loop()
        self._queues: dict[ModelVersion, VersionQueue] = {}
        self._cache = AnswerCache(cache_bytes) if cache_bytes else None

    async def infer(
        self, version: Version, rows: Sequence[Row], deadline: float, span: Span | None = None
    ) -> Probabilities:
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
        answered, missing = self._answered_lately(version, rows)
        if not missing:
            return answered
        request = PendingRequest(answered, deadline, span, self._loop.create_future())
        queue = self._queues.get(version.served)
        if queue is None:
            queue = self._queues[version.served] = VersionQueue()
        self._join_rows(version, queue, request, missing)
        queue.add(request)
        self._schedule_flush(version, queue)
        if not queue.flush_scheduled:
            self._tell(version, queue)
        try:
            return await request.answer
        except asyncio.CancelledError:
            queue.withdraw(request)
            self._tell(version, queue)
            if request.calls:
                await asyncio.wait(request.calls, timeout=max(deadline - self._loop.time(), 0.0))
            raise
        finally:
            del request  # an error knows this frame, and the request knows the error: it would stay in memory

    def _answered_lately(
        self, version: Version, rows: Sequence[Row]
    ) -> tuple[Probabilities, list[tuple[int, bytes, Row]]]:
        """The answers that are kept, each in its place; and place, key and ids of each other row."""
        answered: Probabilities = [[]] * len(rows)
        if self._cache is None:
            return answered, [(place, b"", ids) for place, ids in enumerate(rows)]
        missing = []
        now = self._loop.time()
        for place, ids in enumerate(rows):
            key = row_key(version.reading, ids)
            found = self._cache.find(key, now)
            if found is None:
                missing.append((place, key, ids))
            else:
                answered[place] = found
        if len(missing) < len(rows):
            self._metrics.repeats.cached(version.name, len(rows) - len(missing))
        return answered, missing

    def _join_rows(
        self, version: Version, queue: VersionQueue, request: PendingRequest, missing: list[tuple[int, bytes, Row]]
    ) -> None:
        """A request joins rows that are on their way, or new ones."""
        waiting = queue.waiting
        may_be_kept = self._loop.time() >= version.settled_at
        for place, key, ids in missing:
            request.join(queue.row(key, ids, may_be_kept=may_be_kept), place)
        new = queue.waiting - waiting
        if new < len(missing):
            self._metrics.repeats.shared(version.name, len(missing) - new)

    async def close(self, grace: float) -> None:
        """Let what is under way end; what has not after `grace` seconds is cancelled."""
        for queue in self._queues.values():
            queue.stop_delay()
        end = self._loop.time() + grace
        # What waits is sent when a call ends, so there may be new ones.
        while tasks := [task for queue in self._queues.values() for task in queue.tasks]:
            await asyncio.wait(tasks, timeout=max(end - self._loop.time(), 0.0))
            if self._loop.time() >= end:
                # What waits is not sent any more: it would be cancelled at once, and Triton dies of that.
                for queue in self._queues.values():
                    queue.give_up()
                await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    def _schedule_flush(self, version: Version, queue: VersionQueue) -> None:
        """Send once everything that arrived in this turn of the event loop is in the queue."""
        if not queue.flush_scheduled and queue.calls < self._max_calls:
            queue.flush_scheduled = True
            self._loop.call_soon(self._flush_or_delay, version, queue)

    def _flush_or_delay(self, version: Version, queue: VersionQueue) -> None:
        queue.flush_scheduled = False
        if not queue.calls or queue.waiting >= _FULL_ENOUGH * queue.mean_call_rows():
            self._flush(version, queue)
        elif queue.delay_timer is None:
            queue.delay_timer = self._loop.call_later(_QUEUE_DELAY_SECONDS, self._flush, version, queue)

    def _flush(self, version: Version, queue: VersionQueue) -> None:
        """Send as many calls as may be under way."""
        queue.stop_delay()
        while queue.calls < self._max_calls and not queue.is_empty():
            replica = self._choose(version, queue)
            if replica is None:
                break
            answered_at = self._loop.time() + queue.expected_call_seconds()
            parts, is_retry = queue.take(version.max_batch_size, answered_at)
            self._start_call(version, queue, TritonCall(parts, replica, is_retry))
        self._tell(version, queue)
        self._forget_idle(version, queue)

    def _choose(self, version: Version, queue: VersionQueue) -> Replica | None:
        """The Triton for the next call; for a retry not the one whose numbers were wrong, while another is well."""
        if queue.retries and (refused_at := queue.retries[0].refused_at) is not None:
            other = self._triton.choose_well(version.served, queue.calls_on, [refused_at])
            if other is not None:
                return other
        return self._triton.choose(version.served, queue.calls_on, self._max_calls)

    def _forget_idle(self, version: Version, queue: VersionQueue) -> None:
        """A queue of which nothing is under way or waits; answers that are still to be given out hold it, too."""
        if (
            not queue.tasks
            and not queue.flush_scheduled
            and not queue.undistributed
            and queue.is_empty()
            and self._queues.get(version.served) is queue
        ):
            del self._queues[version.served]

    def _tell(self, version: Version, queue: VersionQueue) -> None:
        self._metrics.triton.queue(version.name, queue.waiting, len(queue.tasks))

    def _start_call(self, version: Version, queue: VersionQueue, call: TritonCall) -> None:
        rows = call.rows
        task = self._loop.create_task(self._call_triton(version, queue, call, rows))
        queue.tasks.add(task)
        queue.call_sizes.append(len(rows))
        queue.call_sent(call)
        self._watch_call(version, queue, call)
        call.twins.append(call)
        for row in rows:
            row.call = call
        for part in call.parts:
            part.request.calls.append(task)
        task.add_done_callback(partial(self._call_ended, version, queue, call))

    def _watch_call(self, version: Version, queue: VersionQueue, call: TritonCall) -> None:
        call.slow_timer = self._loop.call_later(SLOW_SECONDS, self._call_is_slow, version, queue, call)

    def _call_is_slow(self, version: Version, queue: VersionQueue, call: TritonCall) -> None:
        queue.call_is_slow(call)
        self._ask_another(version, queue, call)
        self._watch_call(version, queue, call)  # another one may come to be well
        self._flush(version, queue)

    def _ask_another(self, version: Version, queue: VersionQueue, call: TritonCall) -> None:
        """One that stands still, or can't be reached, would keep its requests until their deadlines.

        Not while every other Triton is slow too: that is load, and more of it would help nobody.
        """
        if not any(map(call.owes, call.rows)) or not all(twin.is_slow or twin.failed for twin in call.twins):
            return
        other = self._triton.choose_well(version.served, queue.calls_on, call.asked)
        if other is not None:
            self._start_call(version, queue, call.twin(other))

    async def _call_triton(
        self, version: Version, queue: VersionQueue, call: TritonCall, rows: list[SharedRow]
    ) -> Probabilities:
        began = self._loop.time()
        spans = [*dict.fromkeys(request.span for row in rows for request, _ in row.waiters if request.span is not None)]
        turned_away: list[Replica] = []
        with self._tracing.call(version.model, version.version, len(rows), spans) as headers:
            while True:
                ids = [row.ids for row in rows]
                try:
                    answer = await self._triton.infer(call.replica, version.served, ids, version.card.pad_id, headers)
                    break
                except TritonError as error:
                    self._metrics.triton.failed(version.name, error.code.name)
                    # One that starts, stops or has not loaded the version yet turns calls away, while another
                    # answers. That one may have as many calls as it should: these few come on top.
                    other = None
                    if error.another_may_answer:
                        turned_away.append(call.replica)
                        call.asked.remove(call.replica)  # once it is well again, a twin may go there
                        if any(map(call.owes, rows)):
                            without = [*turned_away, *call.asked]
                            other = self._triton.choose(version.served, queue.calls_on, None, without)
                    if other is None:
                        call.failed = True  # before anybody else joins it
                        raise
                    queue.call_left(call)
                    queue.drop_settled(call)
                    rows = call.rows
                    call.replica = other
                    queue.call_sent(call)
                    self._watch_call(version, queue, call)
        seconds = self._loop.time() - began
        queue.call_seconds.append(seconds)
        self._metrics.triton.answered(version.name, len(rows), seconds)
        return answer

    def _call_ended(
        self, version: Version, queue: VersionQueue, call: TritonCall, task: asyncio.Task[Probabilities]
    ) -> None:
        queue.tasks.discard(task)
        queue.call_left(call)
        for part in call.parts:
            part.request.calls.remove(task)
        is_answered = not task.cancelled() and task.exception() is None
        queue.undistributed += is_answered
        if not is_answered:
            call.twins.remove(call)
            call.failed = True  # whatever the error
            _fail(queue, call, None if task.cancelled() else task.exception())
        self._flush(version, queue)
        if is_answered:
            # Once the next call has left, for which Triton would wait while many answers are written.
            self._loop.call_soon(self._distribute, version, queue, call, task.result())

    def _distribute(self, version: Version, queue: VersionQueue, call: TritonCall, answer: Probabilities) -> None:
        """Give everybody who waits the probabilities of their rows."""
        queue.undistributed -= 1
        call.twins.remove(call)
        all_valid = are_probabilities(answer)
        now = self._loop.time()
        offset = 0
        for part in call.parts:
            own = answer[offset : offset + len(part.rows)]
            offset += len(own)
            if own and not all_valid and not are_probabilities(own):
                self._retry_or_fail(version, queue, call, part)
                continue
            for row, probabilities in zip(part.rows, own, strict=True):
                if row.is_answered:
                    continue  # its twin was faster
                queue.forget(row)
                row.answer(probabilities)
                if self._cache is not None and row.may_be_kept:
                    self._cache.keep(row.key, probabilities, now)
        if self._cache is not None:
            self._metrics.repeats.cache(self._cache.held_bytes, self._cache.evicted)
        self._forget_idle(version, queue)

    def _retry_or_fail(self, version: Version, queue: VersionQueue, call: TritonCall, part: CallPart) -> None:
        """Numbers that are no probabilities may be another client's fault: asked again, alone, they may be right."""
        for row in part.rows:
            if row.is_settled:
                queue.forget(row)
        owed = [row for row in part.rows if call.owes(row)]
        if not owed:
            return
        self._metrics.triton.refused(version.name)
        what = f"{version.model} version {version.version} at {call.replica.address} answered probabilities that are"
        if not call.is_retry:
            logger.warning("%s not all finite and between 0 and 1; the request is sent once more, alone", what)
            queue.add_retry(CallPart(part.request, owed, call.replica))
            self._schedule_flush(version, queue)
            self._tell(version, queue)
            return
        logger.error("%s not all finite and between 0 and 1, for a request alone too", what)
        _fail_rows(queue, owed, TritonError(grpc.StatusCode.DATA_LOSS, f"{what} none"))


def _fail(queue: VersionQueue, call: TritonCall, error: BaseException | None) -> None:
    """A call has failed: whoever waits for its rows fails likewise, unless another one may still answer them."""
    is_alone = all(twin.failed for twin in call.twins)
    _fail_rows(queue, [row for row in call.rows if row.is_settled or (is_alone and call.owes(row))], error)


def _fail_rows(queue: VersionQueue, rows: Sequence[SharedRow], error: BaseException | None) -> None:
    """Whoever waits for these rows gets a copy of an error; without one their requests are cancelled."""
    for row in rows:
        queue.forget(row)
        if row.is_answered:
            continue
        for request, _ in row.waiters:
            if error is None:
                request.answer.cancel()
            elif not request.answer.done():
                request.answer.set_exception(copy.copy(error))
            queue.withdraw(request)
