"""Rows on their way to Triton: who waits for each, and which call carries it.

Equal rows are one (`SharedRow`), whichever requests they are of. No request owns it: each that waits for it lists it
among its own, whichever is due first sends it, and it is dropped only when nobody waits for it any more.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.telemetry.tracing import Span
from gateway.triton.replica import Replica

Row = Sequence[int]
"""Token ids of one text."""
Probabilities = list[list[float]]
"""Six for each row."""


@dataclass(eq=False, repr=False, slots=True)
class SharedRow:
    """One row, and all that wait for its probabilities."""

    ids: Row
    key: bytes
    """By which an equal one is found; empty if none is to be."""
    may_be_kept: bool
    """Whether its answer may be given to others later."""
    waiters: list[tuple["PendingRequest", int]] = field(default_factory=list)
    """Requests, with the place that the row has in each; those that have gone since included."""
    wanted: int = 0
    """Of these, how many have not gone."""
    is_waiting: bool = True
    """Whether it is to be sent: no call carries it, or it has to be asked for once more."""
    is_retried: bool = False
    """Whether it has been answered with numbers that are no probabilities, and is asked for once more."""
    is_answered: bool = False
    call: "TritonCall | None" = None
    """The last that carries it."""

    @property
    def is_settled(self) -> bool:
        """Whether nobody needs its probabilities any more."""
        return self.is_answered or not self.wanted

    @property
    def may_be_joined(self) -> bool:
        """Whether its answer will come as soon, and be as good, as that of an equal row that is sent now.

        A call that is or was slow, or has failed, keeps those that it has, and gets no others. Nor does a retry: if
        that is spoilt, too, those that wait for it fail, and whoever comes now has not been asked for once yet.
        """
        if self.is_retried:
            return False
        call = self.call
        return self.is_waiting or call is None or not (call.is_slow or call.failed or len(call.twins) > 1)

    def answer(self, probabilities: list[float]) -> None:
        """Give all that wait their answer."""
        self.is_answered = True
        waiters, self.waiters = self.waiters, []  # or requests and rows would hold each other in memory
        for request, place in waiters:
            request.answered[place] = probabilities
            request.unanswered -= 1
            if not request.unanswered and not request.answer.done():
                request.answer.set_result(request.answered)


@dataclass(eq=False, repr=False, slots=True)
class PendingRequest:
    """One request, and the rows that it waits for."""

    answered: Probabilities
    """What has been answered so far, in its place; empty where nothing has."""
    deadline: float
    span: Span | None
    answer: asyncio.Future[Probabilities]
    rows: list[SharedRow] = field(default_factory=list)
    """That were not answered when it came, in their order."""
    unanswered: int = 0
    """Of `rows`."""
    sent: int = 0
    """Of `rows`, how many from the first are known to be sent."""
    calls: list[asyncio.Task[Probabilities]] = field(default_factory=list)
    """That carry rows on its behalf."""

    def join(self, row: SharedRow, place: int) -> None:
        """Wait for a row, too."""
        row.waiters.append((self, place))
        row.wanted += 1
        self.rows.append(row)
        self.unanswered += 1

    def next_waiting(self) -> SharedRow | None:
        """The first of its rows that is to be sent."""
        while self.sent < len(self.rows):
            row = self.rows[self.sent]
            if row.is_waiting:
                return row
            self.sent += 1
        return None


@dataclass(eq=False, repr=False, slots=True)
class CallPart:
    """What a call carries on behalf of one request."""

    request: PendingRequest
    rows: list[SharedRow]
    refused_at: Replica | None = None
    """Where they were answered with numbers that are no probabilities, if they were."""


@dataclass(eq=False, repr=False, slots=True)
class TritonCall:
    """One call to Triton: whose rows it carries, and where it is."""

    parts: list[CallPart]
    replica: Replica
    is_retry: bool
    """Whether it asks once more, for one request alone, what was answered with numbers that are no probabilities."""
    slow_timer: asyncio.TimerHandle | None = None
    is_slow: bool = False
    failed: bool = False
    twins: list["TritonCall"] = field(default_factory=list)
    """That have not ended, itself first of all: each carries what those before it, which had become slow, still owed.
    Who ends leaves, or they would hold each other in memory."""
    asked: list[Replica] = field(default_factory=list)
    """The Tritons that it and all its twins were sent to, but for those that turned it away: no twin goes there."""

    @property
    def rows(self) -> list[SharedRow]:
        """All that it carries, in the order of its answer."""
        return [row for part in self.parts for row in part.rows]

    def owes(self, row: SharedRow) -> bool:
        """Whether somebody waits for a row of this call, and no later call asks for it once more."""
        return not row.is_settled and row.is_retried == self.is_retry

    def twin(self, replica: Replica) -> "TritonCall":
        """A call that asks another Triton for what this one still owes."""
        parts = [CallPart(part.request, [row for row in part.rows if self.owes(row)]) for part in self.parts]
        owed = [part for part in parts if part.rows]
        return TritonCall(owed, replica, self.is_retry, twins=self.twins, asked=self.asked)
