"""How long a request is worked on: until its deadline, or until nobody waits for its answer."""

import asyncio
from functools import partial
from typing import Self

from gateway.http.request_state import ConnectionState


class ClientDisconnectedError(Exception):
    """The client has hung up: nobody waits for the answer."""


class BodyEvictedError(Exception):
    """The memory is needed for bodies that arrive faster."""


class RequestDeadline:
    """Cancels everything in `with` at the deadline, or when the client hangs up.

    A timer and the connection's own word do it: a listener for the hang-up, as ASGI has it, would be a
    second task for every request.

    Raises:
        TimeoutError: the deadline has passed.
        ClientDisconnectedError: the client has gone.
        BodyEvictedError: its body took too long, see `BodyReader`.
    """

    def __init__(self, connection: ConnectionState, seconds: float) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self.at = self._loop.time() + seconds
        """On the event loop's clock."""
        self._reason: type[TimeoutError | ClientDisconnectedError | BodyEvictedError] | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task(self._loop)
        assert task is not None  # noqa: S101 - always true in a coroutine
        self._task = task
        self._timer = self._loop.call_at(self.at, self.cancel, TimeoutError)
        self._connection.on_lost = partial(self.cancel, ClientDisconnectedError)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        self._connection.on_lost = None
        if self._reason is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise self._reason from None

    def cancel(self, reason: type[TimeoutError | ClientDisconnectedError | BodyEvictedError]) -> None:
        """Cancel what is under way; the first reason given is the one that is raised."""
        if self._reason is None:
            self._reason = reason
            self._task.cancel()
