"""Waiting for what has to happen some time, up to a limit that a slow machine does not reach."""

import time
from collections.abc import Callable

SECONDS = 120.0
"""Costs nothing where all is well."""


def wait_until(holds: Callable[[], object], told: Callable[[], object] = str, seconds: float = SECONDS) -> None:
    """Wait until something holds; fails with what is told then."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {told()}"
        time.sleep(0.05)
