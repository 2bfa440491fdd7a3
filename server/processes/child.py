"""Child processes that a parent watches, stops, and never leaves behind."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

# What a parent waits for, with `sigtimedwait`: nothing happens in signal handlers.
AWAITED_SIGNALS: Final = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PARENT_DEATH: Final = Path(__file__).with_name("parent_death.py")


class Child(subprocess.Popen[bytes]):
    """A process in a session of its own, so that Ctrl-C reaches only its parent.

    It and whatever shares its process group get a signal when the parent dies, even if that is killed.
    """

    def __init__(
        self,
        command: list[str],
        environment_variables: dict[str, str],
        stdout: int | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        directory: Path | None = None,
    ) -> None:
        """Start it.

        Args:
            command: a program's path and its arguments.
            environment_variables: all it gets.
            stdout: takes its stderr too, unless it is None.
            death_signal: what it gets when the parent dies.
            directory: where it starts, if not where the parent is.
        """
        read_end, self._life_line = os.pipe()
        try:
            # A step between, and not a preexec_fn, which is safe only in a parent without threads.
            super().__init__(
                [sys.executable, "-I", "-S", str(_PARENT_DEATH), str(read_end), str(int(death_signal)), *command],
                cwd=directory,
                env=environment_variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=None if stdout is None else subprocess.STDOUT,
                pass_fds=(read_end,),
                start_new_session=True,
            )
        except OSError:
            os.close(self._life_line)
            raise
        finally:
            os.close(read_end)

    def end(self) -> int:
        """Kill it if it runs, and whatever shares its process group; gives the return code."""
        self.kill_group()
        returncode = self.wait()
        if self._life_line >= 0:
            os.close(self._life_line)
            self._life_line = -1
        return returncode

    def kill_group(self) -> None:
        """Kill it if it runs, and whatever shares its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def await_signals() -> None:
    """Keep signals for `next_signal`, but for what was ignored when this began: under nohup, or in a script's `&`."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # of a child whose end is ignored nobody is told
    for number in AWAITED_SIGNALS:
        # A blocked signal is kept even if it is ignored.
        if number not in (signal.SIGINT, signal.SIGHUP) or signal.getsignal(number) is not signal.SIG_IGN:
            signal.pthread_sigmask(signal.SIG_BLOCK, [number])


def next_signal(timeout: float | None) -> int | None:
    """Wait for a signal; a child's end and the timeout, in seconds, both give None."""
    if timeout is None:
        number = signal.sigwaitinfo(AWAITED_SIGNALS).si_signo
    else:
        received = signal.sigtimedwait(AWAITED_SIGNALS, timeout)
        number = received.si_signo if received else signal.SIGCHLD
    return None if number == signal.SIGCHLD else number


def exit_status(returncode: int) -> int:
    """A shell's exit status: 128 + n if signal n ended the process."""
    return returncode if returncode >= 0 else 128 - returncode


def describe(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode < 0:
        return f"signal {signal.Signals(-returncode).name}"
    return f"exit status {returncode}"
