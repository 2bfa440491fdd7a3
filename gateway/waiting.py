"""What waits for one model version, and the calls that are under way."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.tracing import Span

Row = Sequence[int]
Answer = list[list[float]]

_CALLS_REMEMBERED: Final = 4


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
    calls: list["Call"] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Call:
    """One call to Triton: who waits for it, and for which of its rows."""

    parts: list[tuple[Waiting, int, int]]
    """Who, and the first and the last but one of that request's rows."""
    task: asyncio.Task[Answer] | None = None

    def give_up(self) -> None:
        """Cancel the call if nobody waits for it any more."""
        if self.task is not None and all(waiting.answer.done() for waiting, _, _ in self.parts):
            self.task.cancel()


class Line:
    """What waits for one model version, and the calls under way."""

    def __init__(self) -> None:
        self.queue: deque[Waiting] = deque()
        self.tasks: set[asyncio.Task[Answer]] = set()
        self.gathering = False
        self.timer: asyncio.TimerHandle | None = None
        self.sizes: deque[int] = deque(maxlen=_CALLS_REMEMBERED)

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

    def take(self, most: int) -> list[tuple[Waiting, int, int]]:
        """The next rows, `most` at most, in the order in which they came."""
        parts: list[tuple[Waiting, int, int]] = []
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
