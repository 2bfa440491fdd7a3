"""One connection to a gRPC server: HTTP/2 (RFC 9113), as far as calls with one request and one answer need it.

Frames are read and written in the event loop's own thread, so that an answer wakes nobody but the event loop. What a
server may ask for is honoured: flow control, frames of its size, pings, an announced end. What it may not send ends the
connection. How many calls it takes at once is not asked: a few are under way at most, and one refused is sent again.
"""

import asyncio
import struct
from dataclasses import dataclass, field
from typing import Final

import grpc

from gateway.errors.triton_errors import TritonError
from gateway.triton import hpack

KEEPALIVE_SECONDS: Final = 10.0
"""Without a word from the server, while a call waits, before it is asked whether it is there."""
KEEPALIVE_TIMEOUT_SECONDS: Final = 20.0
"""For its answer to that. A Triton that only stands still would see its calls cancelled if this were too short."""
_MOST_PINGS: Final = 2
"""Between two calls: gRPC servers end connections of clients that ping more often."""

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PUSH_PROMISE, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = (
    0, 1, 3, 4, 5, 6, 7, 8, 9,
)  # fmt: skip
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 1, 2, 4, 5
_PRIORITY_BYTES: Final = 5
_CANCEL: Final = 8
_REFUSED_STREAM: Final = 7
_STATUS_OF_RESET: Final = {
    _CANCEL: grpc.StatusCode.CANCELLED,
    11: grpc.StatusCode.RESOURCE_EXHAUSTED,  # ENHANCE_YOUR_CALM
    12: grpc.StatusCode.PERMISSION_DENIED,  # INADEQUATE_SECURITY
}
"""gRPC over HTTP/2, "Errors"; every other code is INTERNAL."""

_FRAME_HEAD: Final = struct.Struct(">IBI")
_HEAD_BYTES: Final = 9
_OUR_FRAME_SIZE: Final = 1 << 14
_DEFAULT_WINDOW: Final = (1 << 16) - 1
_OUR_WINDOW: Final = 1 << 20
"""Bytes of one answer at most, and of all that arrive before the server is told that they have."""
_MOST_WINDOW: Final = (1 << 31) - 1
_MOST_HEADER_BYTES: Final = 1 << 16
_LAST_STREAM: Final = (1 << 31) - 1


class UnprocessedError(TritonError):
    """UNAVAILABLE: the server has not begun with the call, so that it may be sent again at once."""

    def __init__(self, details: str) -> None:
        super().__init__(grpc.StatusCode.UNAVAILABLE, details)


class _ProtocolError(Exception):
    """What the server sent, and may not send."""


@dataclass(slots=True)
class Answer:
    """What came back on a stream."""

    fields: dict[str, str] = field(default_factory=dict)
    """Of its headers and trailers."""
    body: bytearray = field(default_factory=bytearray)


@dataclass(eq=False, slots=True)
class Stream:
    """One call's stream."""

    number: int
    window: int
    """Bytes that the server takes on it."""
    unsent: bytes
    ended: asyncio.Future[Answer]
    answer: Answer = field(default_factory=Answer)

    def expire(self) -> None:
        """Its deadline has passed."""
        if not self.ended.done():
            self.ended.set_exception(TritonError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))


class Connection(asyncio.Protocol):
    """A connection, from its preface on. Everything that fails on it is a `TritonError` with gRPC's status."""

    def __init__(self, address: str) -> None:
        """Begin; `address` is for errors."""
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._streams: dict[int, Stream] = {}
        self._next_stream = 1
        self._unread = b""
        self._headers: tuple[int, int, bytes] | None = None
        """Flags, stream and block of headers that continue in the next frame."""
        self._window = _DEFAULT_WINDOW
        """Bytes that the server takes on all streams."""
        self._stream_window = _DEFAULT_WINDOW
        self._frame_size = _OUR_FRAME_SIZE
        self._unacknowledged = 0
        """Bytes that arrived since the server's window was last opened."""
        self._heard_at = self._loop.time()
        self._asked_at: float | None = None
        """When the server was asked whether it is there, if it has not said a word since."""
        self._pings = 0
        self._watch: asyncio.TimerHandle | None = None
        self.is_open = False
        """Whether it takes new calls."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        self._transport = transport
        self.is_open = True
        settings = struct.pack(
            ">HIHIHI", _HEADER_TABLE_SIZE, 0, _ENABLE_PUSH, 0, _INITIAL_WINDOW_SIZE, _OUR_WINDOW
        )  # fmt: skip
        more = struct.pack(">I", _OUR_WINDOW - _DEFAULT_WINDOW)
        transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, more))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._end(f"the connection to {self._address} was lost{f' ({exc})' if exc else ''}")

    def open_stream(self, head: bytes, body: bytes) -> Stream:
        """Send a request, its header block and its body, as far as the server takes it now.

        Raises:
            UnprocessedError: the connection takes no new calls.
        """
        if not self.is_open:
            raise UnprocessedError(f"{self._address} takes no more calls")
        number = self._next_stream
        self._next_stream += 2
        if self._next_stream > _LAST_STREAM:
            self.is_open = False
        stream = Stream(number, self._stream_window, body, self._loop.create_future())
        if not self._streams:
            self._heard_at = self._loop.time()
        self._streams[number] = stream
        self._pings = 0
        if self._watch is None:
            self._watch = self._loop.call_later(KEEPALIVE_SECONDS, self._look)
        self._transport.write(_frame(_HEADERS, _END_HEADERS, number, head) + self._data(stream))
        return stream

    def reset(self, stream: Stream) -> None:
        """Nobody waits for a stream's answer any more."""
        if self._streams.pop(stream.number, None) is not None:
            self._send_reset(stream)
            self._close_if_done()

    def close(self) -> None:
        """End it; calls under way fail."""
        self._end("the connection was closed")

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._heard_at, self._asked_at = self._loop.time(), None
        data = self._unread + data if self._unread else data
        place = 0
        try:
            while len(data) - place >= _HEAD_BYTES:
                length_and_kind, flags, number = _FRAME_HEAD.unpack_from(data, place)
                length = length_and_kind >> 8
                if length > _OUR_FRAME_SIZE:
                    raise _ProtocolError(f"a frame of {length} bytes")
                end = place + _HEAD_BYTES + length
                if end > len(data):
                    break
                self._read(length_and_kind & 0xFF, flags, number & _LAST_STREAM, data[place + _HEAD_BYTES : end])
                place = end
        except (_ProtocolError, hpack.HeaderError, struct.error) as error:
            self._end(f"{self._address} does not speak HTTP/2: {error}")
            return
        self._unread = data[place:]

    def _read(self, kind: int, flags: int, number: int, content: bytes) -> None:
        if self._headers is not None and kind != _CONTINUATION:
            raise _ProtocolError("headers that do not continue")
        if kind == _DATA:
            self._read_data(flags, number, content)
        elif kind == _HEADERS:
            content = _without_padding(flags, content)
            self._read_headers(flags, number, content[_PRIORITY_BYTES:] if flags & _PRIORITY else content)
        elif kind == _CONTINUATION:
            if self._headers is None or self._headers[1] != number:
                raise _ProtocolError("a continuation of nothing")
            began, _, block = self._headers
            self._read_headers(began | flags, number, block + content)
        elif kind == _WINDOW_UPDATE:
            self._read_window_update(number, *struct.unpack(">I", content))
        elif kind == _PING:
            if not flags & _ACK:
                self._transport.write(_frame(_PING, _ACK, 0, content))
        elif kind == _SETTINGS:
            if not flags & _ACK:
                self._read_settings(content)
        elif kind == _RST_STREAM:
            self._read_reset(number, *struct.unpack(">I", content))
        elif kind == _GOAWAY:
            self._read_goaway(content)
        elif kind == _PUSH_PROMISE:
            raise _ProtocolError("a push, which nobody has allowed")
        # Anything else tells of priorities, or is none of HTTP/2's own.

    def _read_data(self, flags: int, number: int, content: bytes) -> None:
        self._unacknowledged += len(content)
        if self._unacknowledged > _OUR_WINDOW // 2:
            self._transport.write(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._unacknowledged)))
            self._unacknowledged = 0
        stream = self._streams.get(number)
        if stream is None:
            return  # reset meanwhile
        stream.answer.body += _without_padding(flags, content)
        if len(stream.answer.body) > _OUR_WINDOW:
            raise _ProtocolError("more than it may send")
        if flags & _END_STREAM:
            self._finish(stream)
        elif len(stream.answer.body) == _OUR_WINDOW:
            why = f"{self._address} answers more than {_OUR_WINDOW} bytes"
            self._fail(stream, TritonError(grpc.StatusCode.RESOURCE_EXHAUSTED, why))
            self._send_reset(stream)
            self._close_if_done()

    def _read_headers(self, flags: int, number: int, block: bytes) -> None:
        if not flags & _END_HEADERS:
            if len(block) > _MOST_HEADER_BYTES:
                raise _ProtocolError("headers that do not end")
            self._headers = flags & _END_STREAM, number, block
            return
        self._headers = None
        fields = hpack.decode(block)
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.answer.fields |= fields
        if flags & _END_STREAM:
            self._finish(stream)

    def _read_reset(self, number: int, code: int) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        why = f"{self._address} has reset the call with code {code}"
        if code == _REFUSED_STREAM:
            self._fail(stream, UnprocessedError(why))
        else:
            self._fail(stream, TritonError(_STATUS_OF_RESET.get(code, grpc.StatusCode.INTERNAL), why))
        self._close_if_done()

    def _read_settings(self, content: bytes) -> None:
        for identifier, value in struct.iter_unpack(">HI", content):
            if identifier == _INITIAL_WINDOW_SIZE:
                if value > _MOST_WINDOW:
                    raise _ProtocolError("a window that is too large")
                change, self._stream_window = value - self._stream_window, value
                for stream in self._streams.values():
                    stream.window += change
            elif identifier == _MAX_FRAME_SIZE:
                self._frame_size = max(value, _OUR_FRAME_SIZE)
        self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        self._send_unsent()

    def _read_goaway(self, content: bytes) -> None:
        """The server takes no new calls; those after the last that it has begun it will never answer."""
        last, code = struct.unpack(">II", content[:8])
        self.is_open = False
        words = content[8:].decode(errors="replace")
        for stream in [stream for number, stream in self._streams.items() if number > last & _LAST_STREAM]:
            why = f"{self._address} takes no more calls (code {code}{f', {words}' if words else ''})"
            self._fail(stream, UnprocessedError(why))
        self._close_if_done()

    def _read_window_update(self, number: int, more: int) -> None:
        if number == 0:
            self._window += more & _LAST_STREAM
        elif (stream := self._streams.get(number)) is not None:
            stream.window += more & _LAST_STREAM
        self._send_unsent()

    def _send_unsent(self) -> None:
        frames = b"".join(self._data(stream) for stream in self._streams.values() if stream.unsent)
        if frames:
            self._transport.write(frames)

    def _data(self, stream: Stream) -> bytes:
        """As much of a request's body as the server takes now, in frames."""
        frames: list[bytes] = []
        while stream.unsent:
            size = min(len(stream.unsent), self._frame_size, self._window, stream.window)
            if size <= 0:
                break
            self._window -= size
            stream.window -= size
            part, stream.unsent = stream.unsent[:size], stream.unsent[size:]
            frames.append(_frame(_DATA, 0 if stream.unsent else _END_STREAM, stream.number, part))
        return b"".join(frames)

    def _finish(self, stream: Stream) -> None:
        """The server has answered."""
        del self._streams[stream.number]
        if stream.unsent:  # it has read enough
            self._send_reset(stream)
        if not stream.ended.done():
            stream.ended.set_result(stream.answer)
        self._close_if_done()

    def _fail(self, stream: Stream, error: TritonError) -> None:
        del self._streams[stream.number]
        if not stream.ended.done():
            stream.ended.set_exception(error)

    def _send_reset(self, stream: Stream) -> None:
        self._transport.write(_frame(_RST_STREAM, 0, stream.number, struct.pack(">I", _CANCEL)))

    def _close_if_done(self) -> None:
        if not self.is_open and not self._streams:
            self._end("the connection was closed")

    def _end(self, why: str) -> None:
        self.is_open = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        for stream in [*self._streams.values()]:
            self._fail(stream, TritonError(grpc.StatusCode.UNAVAILABLE, why))
        self._transport.abort()

    def _look(self) -> None:
        """While calls wait: whether the server is still there."""
        self._watch = None
        if not self._streams:
            return
        now = self._loop.time()
        if self._asked_at is not None:
            if now - self._asked_at >= KEEPALIVE_TIMEOUT_SECONDS:
                self._end(f"{self._address} has not answered a ping for {KEEPALIVE_TIMEOUT_SECONDS:g} s")
                return
        elif now - self._heard_at >= KEEPALIVE_SECONDS and self._pings < _MOST_PINGS:
            self._asked_at = now
            self._pings += 1
            self._transport.write(_frame(_PING, 0, 0, b"gateway?"))
        self._watch = self._loop.call_later(KEEPALIVE_SECONDS, self._look)


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return _FRAME_HEAD.pack(len(content) << 8 | kind, flags, stream) + content


def _without_padding(flags: int, content: bytes) -> bytes:
    if not flags & _PADDED:
        return content
    if not content or content[0] >= len(content):
        raise _ProtocolError("more padding than there is")
    return content[1 : len(content) - content[0]]
