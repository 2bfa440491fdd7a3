"""Bodies of requests: how large one may be, and how much of all of them is held while they arrive.

FastAPI's `max_body_size` (Starlette's `RequestBodyLimitMiddleware`) bounds one body too. It takes no account of
the bodies of all requests together, so that a few hundred slow clients could fill the memory, knows no time
limit, answers in plain text, and adds 7 µs to a request whose empty endpoint takes 17 µs.
"""

from typing import Final

from starlette.requests import Request
from starlette.types import Scope

from gateway.errors import problems
from gateway.http.deadline import BodyEvictedError, ClientDisconnectedError, RequestDeadline
from gateway.http.heads import header
from gateway.http.request_state import request_state

_DIGITS: Final = 15
"""Of a Content-Length that is worth reading as a number."""
_BODIES: Final = 32
"""Of the largest size, held at once while they arrive."""


def refuse_content_encoding(scope: Scope) -> None:
    """Bodies are read as they come.

    Raises:
        Problem: 415, this one is compressed.
    """
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise problems.content_encoding(value.decode("latin-1"))


class BodyReader:
    """Reads bodies. One that is not there whole yet takes no admission slot, but memory, and that is bounded."""

    def __init__(self, limit: int) -> None:
        """Begin with none.

        Args:
            limit: bytes that one body may have.
        """
        self._limit = limit
        self._most_held = _BODIES * limit
        self._held = 0
        self._sizes: dict[RequestDeadline, int] = {}

    async def read(self, request: Request, deadline: RequestDeadline) -> bytes:
        """The whole body, if it has at most `limit` bytes; no more than that is ever held.

        Raises:
            Problem: 413, it has more; 400 or 431, it is malformed.
            ClientDisconnectedError: the client has hung up before the end.
        """
        declared = header(request.scope, b"content-length") or ""
        if declared.isdecimal() and (len(declared) > _DIGITS or int(declared) > self._limit):
            raise problems.body_too_large(self._limit)
        state = request_state(request.scope)
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnectedError
                if state.malformed is not None:
                    raise state.take_malformed()
                chunk: bytes = message["body"]
                size += len(chunk)
                if size > self._limit:
                    raise problems.body_too_large(self._limit)
                if not message["more_body"]:
                    return b"".join((*chunks, chunk)) if chunks else chunk
                chunks.append(chunk)
                self._hold(deadline, len(chunk))
        finally:
            if chunks:
                self._release(deadline)

    def _hold(self, deadline: RequestDeadline, size: int) -> None:
        self._sizes[deadline] = self._sizes.get(deadline, 0) + size
        self._held += size
        while self._held > self._most_held:
            # The one that began first: the others came to more in less time.
            slowest = next(iter(self._sizes))
            slowest.cancel(BodyEvictedError)
            self._release(slowest)

    def _release(self, deadline: RequestDeadline) -> None:
        self._held -= self._sizes.pop(deadline, 0)
