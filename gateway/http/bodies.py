"""Taking a request in: its body, and its client's patience."""

import asyncio
from functools import partial
from typing import Final, Self

from fastapi import Request
from starlette.types import Scope

from gateway.errors import problems
from gateway.http.protocol import BROKEN, CONNECTION, Connection

_DIGITS: Final = 15
"""Of a Content-Length that is worth reading as a number."""
_BODIES: Final = 32
"""Of the largest size, held at once while they arrive."""


class ClientGoneError(Exception):
    """The client has hung up: nobody waits for the answer."""


class CrowdedOutError(Exception):
    """The memory is needed for bodies that arrive faster."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of a name, given in lower case."""
    # Not Starlette's own look-up: there a header that is missing, as most are, costs an exception.
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def refuse_content_encoding(scope: Scope) -> None:
    """Bodies are read as they come.

    Raises:
        Problem: 415, this one is compressed.
    """
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise problems.content_encoding(value.decode("latin-1"))


class Patience:
    """How long a request is worked on: until its deadline, or until its client hangs up.

    Everything in `with` is cancelled then. A timer and the connection's own word do it: a listener for the
    hang-up, as ASGI has it, would be a second task for every request.

    Raises:
        TimeoutError: the deadline has passed.
        ClientGoneError: the client has gone.
        CrowdedOutError: its body took too long, see `Receiving`.
    """

    def __init__(self, request: Request, seconds: float) -> None:
        self._connection: Connection = request.scope[CONNECTION]
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + seconds
        """On the event loop's clock."""
        self._lost: type[TimeoutError | ClientGoneError | CrowdedOutError] | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task(self._loop)
        assert task is not None  # noqa: S101 - always true in a coroutine
        self._task = task
        self._timer = self._loop.call_at(self.deadline, self.lose, TimeoutError)
        self._connection.hung_up = partial(self.lose, ClientGoneError)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        self._connection.hung_up = None
        if self._lost is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise self._lost from None

    def lose(self, reason: type[TimeoutError | ClientGoneError | CrowdedOutError]) -> None:
        """Cancel what is under way, for the first reason given."""
        if self._lost is None:
            self._lost = reason
            self._task.cancel()


class Receiving:
    """The bodies that are not there whole yet. They hold no place among the requests being answered, but memory."""

    def __init__(self, limit: int) -> None:
        """Begin with none.

        Args:
            limit: bytes that one body may have.
        """
        self._limit = limit
        self._most = _BODIES * limit
        self._held = 0
        self._sizes: dict[Patience, int] = {}

    async def body(self, request: Request, patience: Patience) -> bytes:
        """The whole body, if it has at most `limit` bytes; no more than that is ever held.

        Raises:
            Problem: 413, it has more; 400 or 431, it is malformed.
            ClientGoneError: the client has hung up before the end.
        """
        declared = header(request.scope, b"content-length") or ""
        if declared.isdecimal() and (len(declared) > _DIGITS or int(declared) > self._limit):
            raise problems.body_too_large(self._limit)
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                if BROKEN in request.scope:
                    # Taken out: the scope would hold it, and it, by its traceback, the scope.
                    raise request.scope.pop(BROKEN)
                chunk: bytes = message["body"]
                size += len(chunk)
                if size > self._limit:
                    raise problems.body_too_large(self._limit)
                if not message["more_body"]:
                    return b"".join((*chunks, chunk)) if chunks else chunk
                chunks.append(chunk)
                self._hold(patience, len(chunk))
        finally:
            if chunks:
                self._let_go(patience)

    def _hold(self, patience: Patience, size: int) -> None:
        self._sizes[patience] = self._sizes.get(patience, 0) + size
        self._held += size
        while self._held > self._most:
            # The one that began first: the others came to more in less time.
            slowest = next(iter(self._sizes))
            slowest.lose(CrowdedOutError)
            self._let_go(slowest)

    def _let_go(self, patience: Patience) -> None:
        self._held -= self._sizes.pop(patience, 0)
