"""Waiting for what has to happen some time, up to a limit that a slow machine does not reach."""

import time
from collections.abc import Callable
from typing import TypeVar

Read = TypeVar("Read")

SECONDS = 120.0
"""Costs nothing where all is well."""


def wait_until(holds: Callable[[], object], told: Callable[[], object] = str, seconds: float = SECONDS) -> None:
    """Wait until something holds; fails with what is told then."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {told()}"
        time.sleep(0.05)


def settled(read: Callable[[], Read]) -> Read:
    """What is read once it stands still: Triton counts a little later than it answers."""
    found = [read()]

    def stands_still() -> bool:
        time.sleep(0.1)
        found.append(read())
        return found[-4:] == 4 * [found[-1]]

    wait_until(stands_still, lambda: found[-4:])
    return found[-1]
