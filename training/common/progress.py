"""How far a training run is: a bar on a terminal, a line every so often in a log; and when to save what is done."""

import time
from typing import Any, Final

from tqdm import tqdm

LINE_SECONDS: Final = 60.0
"""Between two lines of a log."""


class Progress:
    """Counts steps; says how many are done, how fast they go and how long the rest takes.

    Args:
        title: before every line.
        total: how many steps there are.
        done: those of them that were taken before.
        speaks: whether anything is shown.
    """

    def __init__(self, title: str, total: int, done: int = 0, speaks: bool = True) -> None:
        self._title, self._total, self._first, self._done = title, total, done, done
        self._speaks = speaks
        # None: no bar where there is no terminal, so that a log file holds lines only.
        self._bar: Any = tqdm(
            total=total, initial=done, desc=title, unit="step", dynamic_ncols=True, disable=None if speaks else True
        )
        self._began = self._said = time.monotonic()

    def update(self, **figures: str) -> None:
        """One step more, with figures such as its loss."""
        self._done += 1
        if figures:
            self._bar.set_postfix(figures, refresh=False)
        self._bar.update()
        now = time.monotonic()
        if self._bar.disable and self._speaks and now - self._said >= LINE_SECONDS:
            self._said = now
            rate = (self._done - self._first) / (now - self._began)
            left = tqdm.format_interval((self._total - self._done) / rate)
            shown = "".join(f"  {name} {value}" for name, value in figures.items())
            print(
                f"{self._title}: step {self._done:,} of {self._total:,}  {rate:.3g} steps/s  {left} left{shown}",
                flush=True,
            )

    def write(self, line: str) -> None:
        """A line above the bar."""
        self._bar.write(line)

    def close(self) -> None:
        """Nothing comes any more."""
        self._bar.close()


class Clock:
    """Says when it is time to save again.

    Args:
        minutes: between two times.
    """

    def __init__(self, minutes: float) -> None:
        self._seconds = 60 * minutes
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether the time has come; if so, the next one counts from now."""
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True
