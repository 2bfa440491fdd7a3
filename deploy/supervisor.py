"""Keeps the processes of a service running: one that dies is started again, after pauses that grow.

One that ends before it was ever ready is not: a wrong setting, a port in use or a missing environment is no
better at the next try. One that can't stay up ends everything.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from server.messages import report
from server.processes.child import Child, describe, exit_status, next_signal

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
STAYED_UP: Final = 10.0
"""Seconds; one that was ready for so long has not failed to stay up, and the pauses begin anew."""
_STOP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.2


class SupervisedProcess:
    """One process of the service, over all its starts."""

    def __init__(self, name: str, arguments: Sequence[str], is_ready: Callable[[], bool], max_restarts: int) -> None:
        """Not started yet.

        Args:
            name: what it is called in the log.
            arguments: of `python -m`.
            is_ready: asks it whether it does its work.
            max_restarts: after so many deaths in a row it is given up.
        """
        self._name = name
        self._command = [sys.executable, "-m", *arguments]
        self._is_ready = is_ready
        self._max_restarts = max_restarts
        self._process: Child | None = None
        self._ready_at: float | None = None
        self._nobody_answered = False
        self._start_at = 0.0
        self._deaths = 0

    @property
    def is_ready(self) -> bool:
        """Whether it was ready since its last start."""
        return self._ready_at is not None

    def poll(self) -> int | None:
        """Start it if it is time, and notice its death.

        Returns:
            None, or the exit status of the service if this process is given up.
        """
        if self._process is None:
            if time.monotonic() >= self._start_at:
                # Or another process has its port, and this one is going to end for that.
                self._nobody_answered = not self._is_ready()
                # SIGTERM, so that Triton's launcher can stop its own child if this process is killed.
                try:
                    self._process = Child(self._command, dict(os.environ), death_signal=signal.SIGTERM)
                except OSError as error:  # no memory, or too many processes
                    return self._died(1, f"could not be started ({error.strerror})")
            return None
        if self._process.poll() is not None:
            returncode = self._process.end()
            how = f"ended with {describe(returncode)}"
            if returncode - 128 in set(signal.Signals):  # a launcher that says how its own child ended
                how += f" ({describe(128 - returncode)})"
            return self._died(returncode, how)
        if self._ready_at is None:
            answers = self._is_ready()
            if answers and self._nobody_answered:
                self._ready_at = time.monotonic()
                if self._deaths:
                    report(f"{self._name} is ready again.")
            self._nobody_answered = self._nobody_answered or not answers
        return None

    def stop(self) -> None:
        """Ask it to stop; kill it if it takes too long."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._process.poll() is None:
            report(f"{self._name} did not stop in time and is killed")
        self._process.end()

    def _died(self, returncode: int, how: str) -> int | None:
        ready_at, self._ready_at, self._process = self._ready_at, None, None
        if ready_at is None and not self._deaths:
            report(f"error: {self._name} {how}; everything is stopped.")
            return exit_status(returncode) or 1
        stayed_up = ready_at is not None and time.monotonic() - ready_at >= STAYED_UP
        self._deaths = 1 if stayed_up else self._deaths + 1
        if self._deaths > self._max_restarts:
            report(
                f"error: {self._name} {how}, for the {_ordinal(self._deaths)} time in a row without having "
                f"been ready for {STAYED_UP:g} s: it can't stay up, and everything is stopped. Its lines above say why."
            )
            return exit_status(returncode) or 1
        pause = min(FIRST_PAUSE * 2 ** (self._deaths - 1), LONGEST_PAUSE)
        self._start_at = time.monotonic() + pause
        report(
            f"error: {self._name} {how}. It is started again in {pause:g} s "
            f"(restart {self._deaths} of {self._max_restarts})."
        )
        return None


def supervise(processes: Sequence[SupervisedProcess], on_ready: Callable[[], bool]) -> int:
    """Keep every process running until it is asked to stop, or one can't stay up; then stop all.

    Args:
        processes: started in this order, stopped in the opposite one.
        on_ready: called when all are ready, again and again until it says True.

    Returns:
        The exit status: 0 if it was asked to stop.
    """
    said = False
    try:
        while True:
            for process in processes:
                if (status := process.poll()) is not None:
                    return status
            all_ready = all(process.is_ready for process in processes)
            said = said or (all_ready and on_ready())
            # Nothing but a signal, a child's death among them, changes what is ready.
            if next_signal(None if all_ready and said else _LOOK_SECONDS) is not None:
                report("stopping")
                return 0
    finally:
        for process in reversed(processes):
            process.stop()


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in (11, 12, 13) else endings.get(number % 10, 'th')}"
