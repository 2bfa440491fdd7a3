"""The time between SIGTERM and the stop, in which whoever sends requests here learns to send them elsewhere.

A balancer looks at readiness every few seconds, and on Kubernetes the rules that bring requests here change on every
node by itself. Until they have, requests go on coming, and a gateway that stopped at once would refuse them.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

logger = logging.getLogger("gateway")


class Draining:
    """Of one process."""

    def __init__(self) -> None:
        self.begun = False
        """Whether readiness says no, and connections are closed after their answers."""

    @contextmanager
    def on_sigterm(self, seconds: float) -> Iterator[None]:
        """Put off what SIGTERM does by some seconds; a second one, and SIGINT, stop at once.

        Args:
            seconds: 0 leaves SIGTERM as it is.
        """
        if not seconds or threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        stop: Any = signal.getsignal(signal.SIGTERM)

        def drain(number: int, frame: Any) -> None:
            if self.begun:
                stop(number, frame)
                return
            self.begun = True
            logger.info("stopping in %g s: not ready from now on, requests are still answered", seconds)
            loop.call_soon_threadsafe(loop.call_later, seconds, stop, number, None)

        signal.signal(signal.SIGTERM, drain)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, stop)
            self.begun = False


@cache
def process_draining() -> Draining:
    """This process's."""
    return Draining()
