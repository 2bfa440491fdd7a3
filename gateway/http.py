"""uvicorn's HTTP protocol, with bounds on the head of a request (its size, the time it may take), answers
that leave in one piece, and word of a client that hangs up."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES: Final = 65_536
HEAD_SECONDS: Final = 5.0
"""From the connection, or the head's first byte on a connection in use, to the head's end."""
HANG_UP: Final = "emotion.hang_up"
"""Where in the scope a request finds its connection's `HangUp`."""


class HangUp:
    """Who is to be told when a connection is lost: the request being answered on it, if there is one."""

    def __init__(self) -> None:
        self.listener: Callable[[], None] | None = None


class _Joining(asyncio.Transport):
    """A transport that sends what is written in one turn of the event loop together."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def _send(self) -> None:
        # To a client that is gone already nothing can be sent.
        if self._waiting and not self._transport.is_closing():
            self._transport.write(b"".join(self._waiting))
        self._waiting.clear()


class HeadLimitedProtocol(HttpToolsProtocol):
    """Without it one connection could send headers for ever, all of them kept, or never send any.

    uvicorn writes an answer's head and its body apart: two system calls here and two for the client, on
    which a small answer spends more time than on its JSON.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """See uvicorn."""
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._hang_up = HangUp()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(_Joining(transport, self.loop))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_timer()
        super().connection_lost(exc)
        if self._hang_up.listener is not None:
            self._hang_up.listener()

    def on_message_begin(self) -> None:
        """A head's first byte."""
        super().on_message_begin()
        self.scope[HANG_UP] = self._hang_up  # type: ignore[typeddict-unknown-key]
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """A head's last byte."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        was_in_head = self._in_head
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        if self._head_timer is None:
            self._await_head()
        if not was_in_head:
            # A chunk in which a head only begins may hold another request's end.
            return
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self.send_400_response(f"The head of the request is larger than {MOST_HEAD_BYTES} bytes.")

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
