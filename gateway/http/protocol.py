"""uvicorn's HTTP protocol for clients as they are: bounds on what a request may consist of and on the time its
head may take, offers of other protocols ignored, malformed requests answered like all others, connections
closed whose requests never end, and word of a client that hangs up."""

import asyncio
import math
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Final

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.errors.problems import SECURITY_HEADERS, UNLESS_SET, Problem
from gateway.http import heads
from gateway.http.connections import of_this_process
from gateway.http.heads import MOST_HEAD_BYTES, MOST_TRAILER_BYTES
from gateway.http.transport import Transport

HEAD_SECONDS: Final = 5.0
"""From the connection, or the head's first byte on a connection in use, to the head's end."""
HALF_CLOSED_SECONDS: Final = 0.5
"""What is asked on a connection whose client sends no more is answered within this time, or not at all."""
_UNFINISHED: Final = 10
"""A client whose request is on its way should hurry more than one that has nothing to ask."""
_BESIDE_A_FIELD: Final = len(b": \r\n")
CONNECTION: Final = "emotion.connection"
"""Where in the scope a request finds its `Connection`."""
BROKEN: Final = "emotion.broken"
"""Where in the scope a request whose body turns out to be malformed has the problem."""


class Connection:
    """What a request may know of its connection."""

    def __init__(self, is_read: Callable[[Scope], bool]) -> None:
        self.hung_up: Callable[[], None] | None = None
        """Who is to be told when it is lost: the request being answered on it, if there is one."""
        self.is_read = is_read
        """Whether a request, by its scope, has been received to its end."""


def _problem(error: httptools.HttpParserError, data: bytes) -> Problem:
    # Not in the frame that holds the data: with the exception in it too, both would outlive the connection.
    cause = error.__context__
    return cause.problem if isinstance(cause, _RefusedError) else heads.malformed(str(error), data)


def _is_over(_: Scope) -> bool:
    return True


class _RefusedError(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class HttpProtocol(HttpToolsProtocol):
    """One connection.

    httptools stops at an offer of another protocol, skips the request's body and takes it for the next request.
    So what was parsed of such a request is forgotten, and a new parser gets its head without the offer.
    """

    transport: Transport

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """See uvicorn."""
        super().__init__(*arguments, **options)
        self._beside = 0
        """Bytes of the request that are not its body, less those that are."""
        self._between = 0
        """Bytes since the last of its body."""
        self._trailers = 0
        self._packet = 0
        self._in_head = True
        self._in_body = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._connection = Connection(self._is_read)
        self._stopped = False
        """Whether nothing is read any more: what came was malformed."""
        self._refusal: Problem | None = None
        """Of a malformed head, while requests before it are being answered."""
        self._ended = False
        """Whether the client sends no more."""
        self._since = self.loop.time()
        """When the client began to be waited for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(Transport(transport, self.loop, lambda: self._in_body or self._stopped))
        self._await_head()
        of_this_process().add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        of_this_process().discard(self)
        self._stop_timer()
        self._unset_keepalive_if_required()
        self.transport.lost()
        super().connection_lost(exc)
        if self._connection.hung_up is not None:
            self._connection.hung_up()
        # It knows this by a method, and the collector looks for such circles seldom.
        self._connection.is_read = _is_over

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. It may still read (RFC 9112, 9.6), or have hung up, which looks the same."""
        self.transport.flush()
        if self._in_body or self._is_idle() or self.transport.is_closing():
            return False
        self._ended = True
        self.loop.call_later(HALF_CLOSED_SECONDS, self.transport.abort)
        return True

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._stopped or self.transport.is_closing():
            self.transport.drained(len(data))
            return
        self._unset_keepalive_if_required()
        self._packet = len(data)
        self._beside += self._packet
        self._between += self._packet
        try:
            self._parse(data)
        except _RefusedError as refused:
            self._refuse(refused.problem)
            return
        except httptools.HttpParserError as error:
            self._refuse(_problem(error, data))
            return
        if self._in_body:
            if self._between > MOST_TRAILER_BYTES:
                self._refuse(heads.trailers_too_large())
            elif self._beside > MOST_HEAD_BYTES:
                self._refuse(heads.framing_too_large())
        elif self._in_head and self._beside > MOST_HEAD_BYTES:
            self._refuse(heads.head_too_large())
        elif self._head_timer is None and (self._in_head or self._is_idle()):
            # Idle: empty lines before a request, which are none of its head yet.
            self._await_head()

    def on_message_begin(self) -> None:
        """A head's first byte."""
        super().on_message_begin()
        self.scope[CONNECTION] = self._connection  # type: ignore[typeddict-unknown-key]
        self._in_head, self._in_body = True, False
        # A chunk in which a head only begins may hold another request's end.
        self._beside = self._between = self._trailers = 0
        self._since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: nothing here knows any, so none is kept (RFC 9110, 6.5.1)."""
        if not self._in_body:
            # As uvicorn does; one call less for every header of every request.
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))
            return
        self._trailers += len(name) + len(value)
        if self._trailers > MOST_TRAILER_BYTES:
            raise _RefusedError(heads.trailers_too_large())

    def on_headers_complete(self) -> None:
        """A head's last byte."""
        if self.parser.should_upgrade():
            return
        if self._packet > MOST_HEAD_BYTES or self._beside:
            size = len(self.url) + sum(len(name) + len(value) + _BESIDE_A_FIELD for name, value in self.headers)
            if size > MOST_HEAD_BYTES:
                raise _RefusedError(heads.head_too_large())
        self._in_head, self._in_body = False, True
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        # Twice: what frames a body may take as much as the body.
        self._beside -= 2 * len(body)
        self._between = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request's last byte."""
        if self.parser.should_upgrade():
            return
        self._in_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is written."""
        self._since = self.loop.time()
        last = not self.pipeline
        if last and self._in_body:
            # What is left of its body is nobody's; an answer from elsewhere than `Front` has not said so.
            self.transport.linger()
        super().on_response_complete()
        if last and self._refusal is not None:
            self._send_refusal(self._refusal)
        elif last and self._ended:
            self.transport.close()

    def waited(self) -> float | None:
        """See `Connections`: what is unfinished counts several times what is idle, what only lingers most."""
        if self.transport.lingers:
            return math.inf
        waited = self.loop.time() - self._since
        if self._in_head or self._in_body:
            return _UNFINISHED * waited
        return waited if self._is_idle() else None

    def give_way(self) -> None:
        """See `Connections`."""
        self.transport.abort()

    def shutdown(self) -> None:
        """See uvicorn."""
        if self.transport.lingers:
            self.transport.abort()
        else:
            super().shutdown()

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
            # Not while the offer is handled: what goes wrong would be said to come of it.
            self._parse_without_offer()

    def _parse_without_offer(self) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise _RefusedError(heads.no_tunnel())
        head = heads.without_offer(method, self.url, self.parser.get_http_version(), self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(head)

    def _refuse(self, problem: Problem) -> None:
        """Answer what is malformed, and read nothing any more."""
        self._stopped = True
        self._stop_timer()
        if self._in_body:
            # Its own request's answer, which will say so, unless it has been given already.
            self.scope[BROKEN] = problem  # type: ignore[typeddict-unknown-key]
            self.cycle.message_event.set()
        elif self._is_idle():
            self._send_refusal(problem)
        else:
            self._refusal = problem

    def _send_refusal(self, problem: Problem) -> None:
        response = problem.response()
        headers = [
            *response.raw_headers,
            *SECURITY_HEADERS,
            *UNLESS_SET,
            (b"date", formatdate(usegmt=True).encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[response.status_code] + lines + b"\r\n" + bytes(response.body))
        self._unset_keepalive_if_required()
        self.transport.linger()

    def _is_idle(self) -> bool:
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _is_read(self, scope: Scope) -> bool:
        return not (self._in_body and scope is self.scope)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_idle():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
