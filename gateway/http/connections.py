"""How many connections there may be, and which give way when that is too few.

Every connection takes a file descriptor. A process that has none left accepts nobody, so the connections
that have waited for their clients longest are closed before it comes to that.
"""

import asyncio
import logging
import resource
from functools import cache
from typing import Final, Protocol

logger = logging.getLogger("gateway")

_MOST: Final = 8192
_FEWEST: Final = 16
_SHARE: Final = 20
"""One in so many is closed at a time: looking for them is then no work to speak of."""
_SAID_SECONDS: Final = 10.0


class EvictableConnection(Protocol):
    """What is asked of a connection."""

    def seconds_waiting(self) -> float | None:
        """Seconds for which it has waited for its client; None while its request is being answered."""

    def evict(self) -> None:
        """Close."""


def raise_descriptor_limit() -> None:
    """Take as many file descriptors as are of use, if this process may have them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST * 4 // 3
    if hard != resource.RLIM_INFINITY:
        wanted = min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class ConnectionLimit:
    """Those of one process."""

    def __init__(self) -> None:
        self._descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        # A quarter is for what is no client (Triton, the log, metrics, the files of a version), and for clients
        # that come before those that gave way for them are gone.
        few = self._descriptors != resource.RLIM_INFINITY
        self._most = max(min(_MOST, self._descriptors * 3 // 4), _FEWEST) if few else _MOST
        self._open: set[EvictableConnection] = set()
        self._said = -_SAID_SECONDS

    def add(self, connection: EvictableConnection, loop: asyncio.AbstractEventLoop) -> None:
        """One more; others may have to give way."""
        self._open.add(connection)
        if len(self._open) > self._most:
            self._evict_some(loop)

    def discard(self, connection: EvictableConnection) -> None:
        """One is gone."""
        self._open.discard(connection)

    def _evict_some(self, loop: asyncio.AbstractEventLoop) -> None:
        found = [(waited, each) for each in self._open if (waited := each.seconds_waiting()) is not None]
        found.sort(key=lambda pair: pair[0], reverse=True)
        for _, connection in found[: max(self._most // _SHARE, 1)]:
            self._open.discard(connection)
            connection.evict()
        if loop.time() - self._said >= _SAID_SECONDS:
            self._said = loop.time()
            logger.warning(
                "more than %d connections, and %d file descriptors carry no more: those that have waited for their "
                "clients longest are closed; raise the limit (ulimit -n) if all of these are wanted",
                self._most,
                self._descriptors,
            )


@cache
def process_connections() -> ConnectionLimit:
    """All connections of this process, whose limit is looked up at the first of them."""
    return ConnectionLimit()
