"""A program's last step before it becomes another: it arranges to be signalled when its parent is gone.

    python parent_death.py <pipe> <signal> <command> …

The pipe can be written to only by the parent, which never does: its end is the parent's. The kernel
then signals this whole process group, which `PR_SET_PDEATHSIG` would not: stubs of a killed tritonserver
may wait for ever for its answer to a line of their log.
"""

import fcntl
import os
import select
import signal
import sys


def main() -> None:
    """Arrange it, unblock what the parent waits for itself, and become the command."""
    pipe, number, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, number)
    fcntl.fcntl(pipe, fcntl.F_SETFL, os.O_ASYNC)
    if select.select([pipe], [], [], 0)[0]:
        sys.exit("the parent has ended")  # before it could be noticed
    os.set_inheritable(pipe, True)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execv(command[0], command)  # noqa: S606 - this is what it is for
    except OSError as error:
        sys.exit(f"error: {command[0]} can't be started: {error.strerror}")


if __name__ == "__main__":
    main()
