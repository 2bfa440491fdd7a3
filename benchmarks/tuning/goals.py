"""What is wished for: throughput under a p99, or the latency of a number of clients."""

from dataclasses import dataclass
from typing import Final

from benchmarks.load.perf_analyzer import Measured

_RUNGS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_MARGIN: Final = 0.9
"""While searching, the share of the wished p99 that is used: a later measurement may be slower."""


@dataclass(frozen=True)
class Goal:
    """One wish. Either `p99_ms` is given, or `clients`."""

    p99_ms: float | None = None
    """As many texts a second as possible, with this p99 at most."""
    clients: int | None = None
    """As short a latency as possible with so many requests at once."""
    percentile: int = 99
    """Of the clients' latencies: 50 or 99."""
    rows: int = 1
    """Of each request."""

    def __str__(self) -> str:
        rows = f"{self.rows} text{'s' if self.rows > 1 else ''} a request"
        if self.clients is None:
            return f"texts/s with a p99 of {self.p99_ms:g} ms at most, {rows}"
        return f"the p{self.percentile} of {self.clients} client{'s' if self.clients > 1 else ''}, {rows}"

    @property
    def rungs(self) -> tuple[int, ...]:
        """The numbers of requests at once that may be tried."""
        return _RUNGS if self.clients is None else (self.clients,)

    @property
    def unit(self) -> str:
        """Of `figure`."""
        return "texts/s" if self.clients is None else f"ms p{self.percentile}"

    def figure(self, measured: Measured) -> float:
        """What is to be improved."""
        if self.clients is None:
            return measured.texts_per_second
        return measured.p50_ms if self.percentile == 50 else measured.p99_ms

    def gain(self, before: Measured, after: Measured) -> float:
        """How many times better the second measurement is than the first."""
        ratio = self.figure(after) / self.figure(before)
        return ratio if self.clients is None else 1 / ratio

    def is_reached(self, p99_ms: float) -> bool:
        """Whether a p99 is as short as wished."""
        return self.p99_ms is None or p99_ms <= self.p99_ms

    def is_safe(self, measured: Measured) -> bool:
        """Whether it is so by a margin."""
        return self.is_reached(measured.p99_ms / _MARGIN)

    def score(self, measured: Measured) -> float:
        """How good a measurement is: the more, the better.

        Texts a second beyond the wished p99 count less by as much as it is longer, so that a search is not led by
        which side of a limit a measurement fell on.
        """
        if self.p99_ms is None:
            return 1000 / self.figure(measured)
        return measured.texts_per_second * min(1.0, _MARGIN * self.p99_ms / measured.p99_ms)
