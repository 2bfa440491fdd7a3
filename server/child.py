"""Child processes that a parent watches, stops, and never leaves behind."""

import contextlib
import fcntl
import os
import signal
import subprocess
from typing import Final

# What a parent waits for, with `sigtimedwait`: nothing happens in signal handlers.
AWAITED_SIGNALS: Final = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start(
    command: list[str],
    environment_variables: dict[str, str],
    stdout: int | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C reaches only its parent.

    It and whatever shares its process group get `death_signal` when the parent dies, even if
    that is killed. `stdout` takes its stderr too, unless it is None. The parent must have no
    other thread yet.
    """
    # A pipe that only the parent can write to, and never does: its end is the parent's. The
    # kernel then signals the whole group, which `PR_SET_PDEATHSIG` would not: stubs of a killed
    # tritonserver may wait for ever for its answer to a line of their log.
    life_line, _ = os.pipe()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED_SIGNALS)
        fcntl.fcntl(life_line, fcntl.F_SETOWN, -os.getpid())
        fcntl.fcntl(life_line, fcntl.F_SETSIG, death_signal)
        fcntl.fcntl(life_line, fcntl.F_SETFL, os.O_ASYNC)

    return subprocess.Popen(  # noqa: S603 - our own command
        command,
        env=environment_variables,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=None if stdout is None else subprocess.STDOUT,
        pass_fds=(life_line,),
        start_new_session=True,
        preexec_fn=prepare,
    )


def next_signal(timeout: float | None) -> int | None:
    """Wait for a signal; a child's end and the timeout, in seconds, both give None."""
    if timeout is None:
        number = signal.sigwaitinfo(AWAITED_SIGNALS).si_signo
    else:
        received = signal.sigtimedwait(AWAITED_SIGNALS, timeout)
        number = received.si_signo if received else signal.SIGCHLD
    return None if number == signal.SIGCHLD else number


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child if it runs, and whatever shares its process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def exit_status(returncode: int) -> int:
    """A shell's exit status: 128 + n if signal n ended the process."""
    return returncode if returncode >= 0 else 128 - returncode


def describe(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode < 0:
        return f"signal {signal.Signals(-returncode).name}"
    return f"exit status {returncode}"
