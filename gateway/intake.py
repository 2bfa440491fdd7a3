"""Taking a request in: a place among those in flight, its body, and its client's patience."""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Final, Self

from fastapi import Request
from starlette.types import Scope

from gateway import problems
from gateway.http import HANG_UP, HangUp
from gateway.metrics import Metrics

_DIGITS: Final = 15
"""Of a Content-Length that is worth reading as a number."""


class ClientGoneError(Exception):
    """The client has hung up: nobody waits for the answer."""


class Admission:
    """Counts requests in flight, and refuses those beyond the limit at once."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._metrics = metrics
        self.in_flight = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place for one request, for as long as the context lasts.

        Raises:
            Problem: 429, all places are taken.
        """
        if self.in_flight >= self._limit:
            raise problems.too_many_requests(self._limit)
        self.in_flight += 1
        self._metrics.in_flight(self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1
            self._metrics.in_flight(self.in_flight)


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a name, given in lower case."""
    # Not Starlette's own look-up: there a header that is missing, as most are, costs an exception.
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, if it has at most `limit` bytes; no more than that is ever held.

    Raises:
        Problem: 413, it has more.
        ClientGoneError: the client has hung up before the end.
    """
    declared = header(request.scope, b"content-length") or ""
    if declared.isdecimal() and (len(declared) > _DIGITS or int(declared) > limit):
        raise problems.body_too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk: bytes = message["body"]
        size += len(chunk)
        if size > limit:
            raise problems.body_too_large(limit)
        chunks.append(chunk)
        if not message["more_body"]:
            return b"".join(chunks)


class Patience:
    """How long a request is worked on: until its deadline, or until its client hangs up.

    Everything in `with` is cancelled then. A timer and the connection's own word do it: a listener for the
    hang-up, as ASGI has it, would be a second task for every request.

    Raises:
        TimeoutError: the deadline has passed.
        ClientGoneError: the client has gone.
    """

    def __init__(self, request: Request, seconds: float) -> None:
        self._hang_up: HangUp = request.scope[HANG_UP]
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + seconds
        """On the event loop's clock."""
        self._lost: type[TimeoutError | ClientGoneError] | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task(self._loop)
        assert task is not None  # noqa: S101 - always true in a coroutine
        self._task = task
        self._timer = self._loop.call_at(self.deadline, self._lose, TimeoutError)
        self._hang_up.listener = partial(self._lose, ClientGoneError)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        self._hang_up.listener = None
        if self._lost is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise self._lost from None

    def _lose(self, reason: type[TimeoutError | ClientGoneError]) -> None:
        if self._lost is None:
            self._lost = reason
            self._task.cancel()
