"""What waits for one model version, and the calls that are under way."""

import asyncio
import math
from collections import Counter, deque
from typing import Final

from gateway.inference.pending import CallPart, PendingRequest, Probabilities, Row, SharedRow, TritonCall
from gateway.triton.replica import Replica

_CALLS_REMEMBERED: Final = 4
_SPARE: Final = 1.2
_FIRST_ROWS: Final = 4
"""Of every request that waits, in the next call."""
_GONE_WAITERS: Final = 16
"""That a row may keep: where Triton hangs, clients come and go while it waits."""
_MANY_TOKENS: Final = 2048
"""In one call: 16 rows of 128 need two cores for a quarter of the time that 64 do, and no longer apiece."""


class VersionQueue:
    """The requests that wait for one model version, and the calls under way."""

    def __init__(self) -> None:
        self.pending: deque[PendingRequest] = deque()
        self.retries: deque[CallPart] = deque()
        self.rows: dict[bytes, SharedRow] = {}
        """Those on their way that others may join, by key."""
        self.waiting = 0
        """Rows that no call carries yet, of `pending` and `retries`; equal ones are one."""
        self.tasks: set[asyncio.Task[Probabilities]] = set()
        """The calls under way."""
        self.calls_on: Counter[Replica] = Counter()
        """Calls under way on each Triton, slow ones included."""
        self.slow_calls = 0
        self.undistributed = 0
        """Calls that were answered, and their answers still have to be given out."""
        self.flush_scheduled = False
        self.delay_timer: asyncio.TimerHandle | None = None
        self.call_sizes: deque[int] = deque(maxlen=_CALLS_REMEMBERED)
        """Rows of the last calls."""
        self.call_seconds: deque[float] = deque(maxlen=_CALLS_REMEMBERED)
        """Of the last that were answered."""

    @property
    def calls(self) -> int:
        """Calls under way, but for slow ones, which keep nobody from asking another Triton."""
        return len(self.tasks) - self.slow_calls

    def stop_delay(self) -> None:
        """Wait for more rows no longer."""
        if self.delay_timer is not None:
            self.delay_timer.cancel()
            self.delay_timer = None

    def row(self, key: bytes, ids: Row, *, may_be_kept: bool) -> SharedRow:
        """The row that a request is to join: an equal one on its way, or a new one.

        Args:
            key: of the row; empty if it is to be computed whatever else is.
            ids: its token ids.
            may_be_kept: whether the answer of a new one may be given to others later.
        """
        row = self.rows.get(key) if key else None
        if row is None or not row.may_be_joined:
            row = SharedRow(ids, key, may_be_kept)
            self.waiting += 1
            if key:
                self.rows[key] = row
        return row

    def add(self, request: PendingRequest) -> None:
        """A request that has joined its rows waits."""
        if request.next_waiting() is not None:
            self.pending.append(request)

    def add_retry(self, part: CallPart) -> None:
        """Rows that somebody waits for are to be asked for once more, for each request alone.

        A row that several wait for is none's alone; nor are those of a request that has gone, for which others wait.
        """
        own: list[SharedRow] = []
        for row in part.rows:
            row.is_waiting = row.is_retried = True
            self.waiting += 1
            if row.wanted > 1 or not part.request.rows:
                self.retries.append(CallPart(part.request, [row], part.refused_at))
            else:
                own.append(row)
        if own:
            self.retries.append(CallPart(part.request, own, part.refused_at))

    def give_up(self) -> None:
        """Whoever waits to be sent is cancelled, and takes its rows back in the next turn of the event loop."""
        for request in (*self.pending, *(part.request for part in self.retries)):
            request.answer.cancel()

    def mean_call_rows(self) -> float:
        """Rows of a call, the mean of the last few."""
        return sum(self.call_sizes) / len(self.call_sizes) if self.call_sizes else 0.0

    def is_empty(self) -> bool:
        """Whether nobody waits for a call; who does not any more is forgotten."""
        for request in [request for request in self.pending if request.answer.done()]:
            self.withdraw(request)
        self._forget_sent()
        while self.retries and not any(row.is_waiting for row in self.retries[0].rows):
            self.retries.popleft()
        return not self.pending and not self.retries

    def expected_call_seconds(self) -> float:
        """What a call takes, going by the longest of the last few, and with something to spare: those that are
        chosen first are those with the least time left."""
        return _SPARE * max(self.call_seconds, default=0.0)

    def take(self, max_rows: int, answered_at: float = -math.inf) -> tuple[list[CallPart], bool]:
        """What the next call carries, of a queue that is not empty, and whether it is a retry.

        Retries go first, and alone. Of the others' rows `max_rows` at most go: a few of every request, then what is
        left in the order of arrival. Were it the order of arrival alone, a request of one row would wait behind all
        of one of hundreds; and if all advanced alike, those of hundreds would all be late. Of long rows fewer than
        `max_rows` go along, for whoever comes next waits for the calls under way.

        Those whose deadline comes before the answer can are passed over while there are others: under more load than
        Triton can carry all would wait until shortly before their deadlines, and their answers would come too late.

        Args:
            max_rows: of one call.
            answered_at: when this call should be answered, on the event loop's clock.
        """
        if self.retries:
            return [self._take_retry()], True
        free = max_rows
        taken: dict[PendingRequest, list[SharedRow]] = {}
        in_time = [request for request in self.pending if request.deadline > answered_at] or self.pending
        first = min(_FIRST_ROWS, max(free // max(len(in_time), 1), 1))
        tokens = 0
        for request in in_time:
            if not free:
                break
            taken[request] = rows = self._take_rows(request, min(first, free))
            tokens += sum(len(row.ids) for row in rows)
            free -= len(rows)
        for request, rows in taken.items():
            while free and tokens < _MANY_TOKENS and (more := self._take_rows(request, 1)):
                rows += more
                tokens += len(more[0].ids)
                free -= 1
        self._forget_sent()
        return [CallPart(request, rows) for request, rows in taken.items() if rows], False

    def withdraw(self, request: PendingRequest) -> None:
        """A request waits for nothing any more; what nobody else waits for, and no call carries, is dropped."""
        rows, request.rows = request.rows, []
        for row in rows:
            row.wanted -= 1
            if row.is_waiting and not row.wanted:
                self.forget(row)
            elif len(row.waiters) > 2 * row.wanted + _GONE_WAITERS:
                row.waiters = [(waiter, place) for waiter, place in row.waiters if waiter.rows]
        if request in self.pending:
            self.pending.remove(request)

    def forget(self, row: SharedRow) -> None:
        """A row is on its way no more: it is answered, has failed, or nobody wants it."""
        row.call = None  # or it and its call would hold each other in memory
        if row.is_waiting:
            row.is_waiting = False
            self.waiting -= 1
        if self.rows.get(row.key) is row:
            del self.rows[row.key]

    def drop_settled(self, call: TritonCall) -> None:
        """A call that is to be sent again carries no more what it owes nobody."""
        for row in call.rows:
            if row.is_settled:
                self.forget(row)
        for part in call.parts:
            part.rows = [row for row in part.rows if call.owes(row)]

    def _take_rows(self, request: PendingRequest, most: int) -> list[SharedRow]:
        """The next of a request's rows that no other request has sent."""
        rows: list[SharedRow] = []
        while len(rows) < most and (row := request.next_waiting()) is not None:
            row.is_waiting = False
            request.sent += 1
            rows.append(row)
        self.waiting -= len(rows)
        return rows

    def _forget_sent(self) -> None:
        """Requests of which all has been sent, be it by others, wait no more."""
        self.pending = deque(
            request
            for request in self.pending
            if request.sent < len(request.rows) and request.next_waiting() is not None
        )

    def _take_retry(self) -> CallPart:
        part = self.retries.popleft()
        rows = [row for row in part.rows if row.is_waiting]
        for row in rows:
            row.is_waiting = False
        self.waiting -= len(rows)
        return CallPart(part.request, rows)

    def call_sent(self, call: TritonCall) -> None:
        """A call is under way on its Triton."""
        self.calls_on[call.replica] += 1
        call.asked.append(call.replica)

    def call_is_slow(self, call: TritonCall) -> None:
        """A call should have ended long ago."""
        self.slow_calls += not call.is_slow
        call.is_slow = True
        call.replica.slow.add(call)

    def call_left(self, call: TritonCall) -> None:
        """A call is under way on its Triton no more."""
        self.calls_on[call.replica] -= 1
        if not self.calls_on[call.replica]:
            del self.calls_on[call.replica]
        if call.slow_timer is not None:
            call.slow_timer.cancel()
        self.slow_calls -= call.is_slow
        call.is_slow = False
        call.replica.slow.discard(call)
