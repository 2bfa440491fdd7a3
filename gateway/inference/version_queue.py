"""What waits for one model version, and the calls that are under way."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.telemetry.tracing import Span
from gateway.triton.replica import Replica

Row = Sequence[int]
Answer = list[list[float]]
Part = tuple["Waiting", int, int]
"""Who waits, and the first and the last but one of that request's rows."""

_CALLS_REMEMBERED: Final = 4
_FEW_ROWS: Final = 4
"""Of every request that waits, in the next call."""
_MANY_TOKENS: Final = 2048
"""In one call: 16 rows of 128 need two cores for a quarter of the time that 64 do, and no longer apiece."""


@dataclass(eq=False, slots=True)
class Waiting:
    """The rows of one request, on their way."""

    rows: Sequence[Row]
    deadline: float
    span: Span | None
    answer: asyncio.Future[Answer]
    found: list[list[float]] = field(default_factory=list)
    sent: int = 0
    missing: int = 0
    tasks: list[asyncio.Task[Answer]] = field(default_factory=list)
    """The calls that carry its rows."""


@dataclass(eq=False, slots=True)
class Call:
    """One call to Triton: who waits for it, and where it is."""

    parts: list[Part]
    replica: Replica
    again: bool
    """Whether it asks once more, for one request alone, what was answered with numbers that are no probabilities."""
    timer: asyncio.TimerHandle | None = None
    slow: bool = False


class Line:
    """What waits for one model version, and the calls under way."""

    def __init__(self) -> None:
        self.queue: deque[Waiting] = deque()
        self.again: deque[Part] = deque()
        self.tasks: set[asyncio.Task[Answer]] = set()
        self.load: Counter[Replica] = Counter()
        """Calls under way on each Triton, slow ones included."""
        self.slow = 0
        self.gathering = False
        self.timer: asyncio.TimerHandle | None = None
        self.sizes: deque[int] = deque(maxlen=_CALLS_REMEMBERED)

    @property
    def calls(self) -> int:
        """Calls under way, but for slow ones, which keep nobody from asking another Triton."""
        return len(self.tasks) - self.slow

    def stop_timer(self) -> None:
        """Wait for company no longer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def rows_waiting(self) -> int:
        """Rows that no call carries yet."""
        return sum(len(waiting.rows) - waiting.sent for waiting in self.queue)

    def usual_rows(self) -> float:
        """Rows of a call, the mean of the last few."""
        return sum(self.sizes) / len(self.sizes) if self.sizes else 0.0

    def is_empty(self) -> bool:
        """Whether nobody waits for a call; who does not any more is forgotten."""
        self.queue = deque(waiting for waiting in self.queue if not waiting.answer.done())
        while self.again and self.again[0][0].answer.done():
            self.again.popleft()
        return not self.queue and not self.again

    def take(self, most: int) -> tuple[list[Part], bool]:
        """What the next call carries, of a line that is not empty, and whether it is for what is asked again.

        What is asked again goes first, and alone. Of the others' rows `most` at most go: a few of every request,
        then what is left in the order of arrival. Were it the order of arrival alone, a request of one row would wait
        behind all of one of hundreds; and if all advanced alike, those of hundreds would all be late. Of long rows
        fewer than `most` go along, for whoever comes next waits for the calls under way.
        """
        if self.again:
            return [self.again.popleft()], True
        taken: dict[Waiting, int] = {}
        few = min(_FEW_ROWS, max(most // max(len(self.queue), 1), 1))
        tokens = 0
        for waiting in self.queue:
            if not most:
                break
            rows = min(len(waiting.rows) - waiting.sent, few, most)
            tokens += sum(map(len, waiting.rows[waiting.sent : waiting.sent + rows]))
            taken[waiting] = rows
            most -= rows
        for waiting in taken:
            while most and tokens < _MANY_TOKENS and (row := waiting.sent + taken[waiting]) < len(waiting.rows):
                tokens += len(waiting.rows[row])
                taken[waiting] += 1
                most -= 1
        parts: list[Part] = []
        for waiting, rows in taken.items():
            parts.append((waiting, waiting.sent, waiting.sent + rows))
            waiting.sent += rows
        self.queue = deque(waiting for waiting in self.queue if waiting.sent < len(waiting.rows))
        return parts, False

    def take_back(self, waiting: Waiting) -> None:
        """The rows of a request that no call carries yet are not wanted any more."""
        if waiting in self.queue:
            self.queue.remove(waiting)
