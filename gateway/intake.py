"""Taking a request in: a place among those in flight, its body, and its client's patience."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any, Final, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from gateway import problems
from gateway.metrics import Metrics

Answer = TypeVar("Answer")
_DIGITS: Final = 15
"""Of a Content-Length that is worth reading as a number."""
_PATIENCE_SECONDS: Final = 0.05
"""How long after the body a hang-up goes unnoticed."""


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


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, if it has at most `limit` bytes; no more than that is ever held.

    Raises:
        Problem: 413, it has more.
        ClientGoneError: the client has hung up before the end.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > _DIGITS or int(declared) > limit):
        raise problems.body_too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise problems.body_too_large(limit)
            chunks.append(chunk)
    except ClientDisconnect:
        raise ClientGoneError from None
    return b"".join(chunks)


async def until_hang_up(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run `work`, and cancel it when the client goes away. The body must have been read.

    Raises:
        ClientGoneError: the client has gone, and the work has been cancelled.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - always true in a coroutine
    watcher: asyncio.Task[None] | None = None

    async def watch() -> None:
        # After the body the only message left is the hang-up.
        await request.receive()
        task.cancel()

    def begin() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(watch())

    # Most answers are there before anybody loses patience: watching costs as much as
    # reading the request.
    timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, begin)
    try:
        return await work
    except asyncio.CancelledError:
        if watcher is not None and watcher.done() and not watcher.cancelled() and task.uncancel() == 0:
            raise ClientGoneError from None
        raise
    finally:
        timer.cancel()
        if watcher is not None:
            watcher.cancel()
