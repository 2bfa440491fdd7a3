"""A connection's sending end: answers that leave in one piece, and a close that lets the client read them."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

LINGER_SECONDS: Final = 3.0
"""How long a client that is still sending may take to notice its answer."""
MOST_LINGER_BYTES: Final = 16 * 1024 * 1024
"""What it may send meanwhile; all of it is thrown away."""


class CoalescingTransport(asyncio.Transport):
    """Sends what is written in one turn of the event loop together.

    uvicorn writes an answer's head and its body apart: two system calls here and two for the client, on
    which a small answer spends more time than on its JSON.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, is_unread: Callable[[], bool]
    ) -> None:
        """Begin.

        Args:
            transport: uvloop's.
            loop: whose it is.
            is_unread: whether the client has more to send of what it has begun.
        """
        super().__init__()
        self._transport = transport
        self._is_unread = is_unread
        self._loop = loop
        self._unsent: list[bytes] = []
        self._discarded = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes) -> None:  # type: ignore[override]
        """See asyncio."""
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent.append(data)

    def close(self) -> None:
        """Send what is written, and end; slowly, if the client is still sending."""
        if self._is_unread():
            self.linger()
            return
        self.flush()
        self._transport.close()

    def linger(self) -> None:
        """Send what is written and end, for a client that has not sent everything yet.

        Closed at once, a connection on which something still arrives is reset, and what the client has not
        read of its answer by then is lost (RFC 9112, 9.6). So only this side is closed at first; what still
        comes is thrown away, for a few seconds at most.
        """
        if self.is_closing():
            return
        self.flush()
        self._timer = self._loop.call_later(LINGER_SECONDS, self.abort)
        self._transport.resume_reading()
        self._transport.write_eof()

    def discarded(self, size: int) -> None:
        """So many bytes came after the answer, and were thrown away."""
        self._discarded += size
        if self._discarded > MOST_LINGER_BYTES:
            self.abort()

    def connection_lost(self) -> None:
        """The connection is gone; nothing is kept that keeps what made it."""
        if self._timer is not None:
            self._timer.cancel()
        self._is_unread = bool

    def abort(self) -> None:
        """End at once; what is not sent yet is lost."""
        self._transport.abort()

    @property
    def lingers(self) -> bool:
        """Whether the answer is sent, and nothing is read any more."""
        return self._timer is not None

    def is_closing(self) -> bool:
        """See asyncio; nothing is to be sent any more."""
        return self._timer is not None or self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See asyncio."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """See asyncio."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See asyncio."""
        self._transport.resume_reading()

    def flush(self) -> None:
        """Send what is written now, not at the end of this turn."""
        # To a client that is gone already nothing can be sent.
        if self._unsent and not self._transport.is_closing():
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()
