"""What waits for one model version, and the calls that are under way."""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.telemetry.tracing import Span
from gateway.triton.replica import Replica

Row = Sequence[int]
"""Token ids of one text."""
Probabilities = list[list[float]]
"""Six for each row."""

_CALLS_REMEMBERED: Final = 4
_SPARE: Final = 1.2
_FIRST_ROWS: Final = 4
"""Of every request that waits, in the next call."""
_MANY_TOKENS: Final = 2048
"""In one call: 16 rows of 128 need two cores for a quarter of the time that 64 do, and no longer apiece."""


@dataclass(eq=False, slots=True)
class PendingRequest:
    """The rows of one request, on their way."""

    rows: Sequence[Row]
    deadline: float
    span: Span | None
    answer: asyncio.Future[Probabilities]
    answered: Probabilities = field(init=False)
    """What has been answered so far, in its place."""
    unanswered: int = field(init=False)
    """Rows."""
    sent: int = 0
    """Rows that a call carries or has carried; the others follow them."""
    calls: list[asyncio.Task[Probabilities]] = field(default_factory=list)
    """That carry its rows."""

    def __post_init__(self) -> None:
        self.answered = [[]] * len(self.rows)
        self.unanswered = len(self.rows)


class RowRange(NamedTuple):
    """Rows of one request, from `start` to before `stop`."""

    request: PendingRequest
    start: int
    stop: int

    @property
    def is_settled(self) -> bool:
        """Whether nobody needs their probabilities any more."""
        return self.request.answer.done() or bool(self.request.answered[self.start])


@dataclass(eq=False, slots=True)
class TritonCall:
    """One call to Triton: whose rows it carries, and where it is."""

    ranges: list[RowRange]
    replica: Replica
    is_retry: bool
    """Whether it asks once more, for one request alone, what was answered with numbers that are no probabilities."""
    slow_timer: asyncio.TimerHandle | None = None
    is_slow: bool = False
    twin: "TritonCall | None" = None
    """At another Triton, with what of this one was unanswered when it had become slow; or the one it is the twin of."""
    failed: bool = False

    @property
    def asked_elsewhere(self) -> list[Replica]:
        """The Triton at which its twin is under way or was answered, if there is one such."""
        return [self.twin.replica] if self.twin is not None and not self.twin.failed else []

    @property
    def row_count(self) -> int:
        """Rows that it carries."""
        return sum(rows.stop - rows.start for rows in self.ranges)


class VersionQueue:
    """The requests that wait for one model version, and the calls under way."""

    def __init__(self) -> None:
        self.pending: deque[PendingRequest] = deque()
        self.retries: deque[RowRange] = deque()
        self.waiting = 0
        """Rows that no call carries yet, of `pending` and `retries`."""
        self.tasks: set[asyncio.Task[Probabilities]] = set()
        """The calls under way."""
        self.calls_on: Counter[Replica] = Counter()
        """Calls under way on each Triton, slow ones included."""
        self.slow_calls = 0
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

    def add(self, request: PendingRequest) -> None:
        """A request waits."""
        self.pending.append(request)
        self.waiting += len(request.rows)

    def add_retry(self, rows: RowRange) -> None:
        """Rows wait to be asked for once more."""
        self.retries.append(rows)
        self.waiting += rows.stop - rows.start

    def mean_call_rows(self) -> float:
        """Rows of a call, the mean of the last few."""
        return sum(self.call_sizes) / len(self.call_sizes) if self.call_sizes else 0.0

    def is_empty(self) -> bool:
        """Whether nobody waits for a call; who does not any more is forgotten."""
        for request in [request for request in self.pending if request.answer.done()]:
            self.withdraw(request)
        while self.retries and self.retries[0].request.answer.done():
            self._take_retry()
        return not self.pending and not self.retries

    def expected_call_seconds(self) -> float:
        """What a call takes, going by the longest of the last few, and with something to spare: those that are
        chosen first are those with the least time left."""
        return _SPARE * max(self.call_seconds, default=0.0)

    def take(self, max_rows: int, answered_at: float = -math.inf) -> tuple[list[RowRange], bool]:
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
        taken: dict[PendingRequest, int] = {}
        in_time = [request for request in self.pending if request.deadline > answered_at] or self.pending
        first = min(_FIRST_ROWS, max(free // max(len(in_time), 1), 1))
        tokens = 0
        for request in in_time:
            if not free:
                break
            rows = min(len(request.rows) - request.sent, first, free)
            tokens += sum(map(len, request.rows[request.sent : request.sent + rows]))
            taken[request] = rows
            free -= rows
        for request in taken:
            while free and tokens < _MANY_TOKENS and (row := request.sent + taken[request]) < len(request.rows):
                tokens += len(request.rows[row])
                taken[request] += 1
                free -= 1
        ranges: list[RowRange] = []
        for request, rows in taken.items():
            ranges.append(RowRange(request, request.sent, request.sent + rows))
            request.sent += rows
            self.waiting -= rows
        self.pending = deque(request for request in self.pending if request.sent < len(request.rows))
        return ranges, False

    def withdraw(self, request: PendingRequest) -> None:
        """The rows of a request that no call carries yet are not wanted any more."""
        if request in self.pending:
            self.pending.remove(request)
            self.waiting -= len(request.rows) - request.sent

    def _take_retry(self) -> RowRange:
        rows = self.retries.popleft()
        self.waiting -= rows.stop - rows.start
        return rows

    def call_sent(self, call: TritonCall, slow_timer: asyncio.TimerHandle) -> None:
        """A call is under way on its Triton."""
        self.calls_on[call.replica] += 1
        call.slow_timer = slow_timer

    def call_is_slow(self, call: TritonCall) -> None:
        """A call should have ended long ago."""
        call.is_slow = True
        self.slow_calls += 1
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
