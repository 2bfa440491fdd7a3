"""How far a job is, on standard error: a bar on a terminal, a line now and then in a log."""

import sys
import threading
import time
from typing import Any, Final

from tqdm import tqdm

_LINE_SECONDS: Final = 30.0
_WAIT_SECONDS: Final = 10.0
"""Between two words of waiting."""


class Progress:
    """Counts rows. How many there are is estimated from the share of the file that has been read."""

    def __init__(self, done: int, quiet: bool) -> None:
        """Nothing is scored yet.

        Args:
            done: rows that were done before.
            quiet: whether nothing but waiting is told.
        """
        self._first = self._done = done
        self._bar: Any = tqdm(initial=done, unit=" rows", dynamic_ncols=True, disable=True if quiet else None)
        self._speaks = not quiet and self._bar.disable
        self._began = self._said = time.monotonic()
        self._waited = float("-inf")
        self._lock = threading.Lock()

    def begin(self) -> None:
        """The first rows are about to be scored: rates count from now."""
        self._began = self._said = time.monotonic()
        self._bar.start_t = self._bar.last_print_t = time.time()

    def update(self, rows: int, share: float | None, read: int) -> None:
        """So many rows more are done.

        Args:
            rows: how many.
            share: of the file that has been read, 0 to 1.
            read: rows that have been read.
        """
        self._done += rows
        total = max(round(read / share), self._done) if share else None
        if not self._bar.disable:
            self._bar.total = total
            self._bar.update(rows)
        now = time.monotonic()
        if self._speaks and now - self._said >= _LINE_SECONDS:
            self._said = now
            rate = (self._done - self._first) / (now - self._began)
            left = f", about {tqdm.format_interval((total - self._done) / rate)} left" if total else ""
            self.say(f"{self._done:,} rows, {rate:,.0f} rows/s{left}")

    def waiting(self, why: str) -> None:
        """Something waits; said now and then. From any thread."""
        with self._lock:
            now = time.monotonic()
            if now - self._waited < _WAIT_SECONDS:
                return
            self._waited = now
        self.say(f"waiting, and trying again: {why}")

    def say(self, sentence: str) -> None:
        """A line of its own."""
        tqdm.write(sentence, file=sys.stderr)

    @property
    def rate(self) -> float:
        """Rows a second of this run."""
        return (self._done - self._first) / max(time.monotonic() - self._began, 1e-9)

    def close(self) -> None:
        """Nothing comes any more."""
        self._bar.close()
