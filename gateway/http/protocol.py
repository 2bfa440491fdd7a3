"""uvicorn's HTTP protocol for clients as they are: bounds on what a request may consist of and on the time its
head may take, upgrades to other protocols ignored, malformed requests answered like all others, connections
closed whose requests never end, and word of a client that hangs up."""

import asyncio
import math
from email.utils import formatdate
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.errors.problems import DEFAULT_HEADERS, SECURITY_HEADERS, Problem
from gateway.http import heads
from gateway.http.connections import process_connections
from gateway.http.draining import process_draining
from gateway.http.heads import MOST_HEAD_BYTES, MOST_TRAILER_BYTES
from gateway.http.request_state import ConnectionState, RequestState, begin_request
from gateway.http.transport import CoalescingTransport

HEAD_SECONDS: Final = 5.0
"""From the connection, or the head's first byte on a connection in use, to the head's end."""
HALF_CLOSED_SECONDS: Final = 0.5
"""What is asked on a connection whose client sends no more is answered within this time, or not at all."""
_UNFINISHED_WEIGHT: Final = 10
"""A client whose request is on its way should hurry more than one that has nothing to ask."""
_FIELD_OVERHEAD: Final = len(b": \r\n")


def _problem(error: httptools.HttpParserError, data: bytes) -> Problem:
    # Not in the frame that holds the data: with the exception in it too, both would outlive the connection.
    cause = error.__context__
    return cause.problem if isinstance(cause, _MalformedError) else heads.malformed(str(error), data)


class _MalformedError(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class HttpProtocol(HttpToolsProtocol):
    """One connection.

    httptools stops at an upgrade to another protocol, skips the request's body and takes it for the next request.
    So what was parsed of such a request is forgotten, and a new parser gets its head without the upgrade.
    """

    transport: CoalescingTransport

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """See uvicorn."""
        super().__init__(*arguments, **options)
        self._overhead_bytes = 0
        """Bytes of the request that are not its body, less those that are."""
        self._bytes_since_body = 0
        """Bytes since the last of its body."""
        self._trailer_bytes = 0
        self._segment_bytes = 0
        self._in_head = True
        self._in_body = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._connection = ConnectionState()
        self._request: RequestState
        """Of the request whose head or body arrives, or arrived last."""
        self._malformed = False
        """Whether nothing is read any more: what came was malformed."""
        self._pending_refusal: Problem | None = None
        """Of a malformed head, while requests before it are being answered."""
        self._half_closed = False
        """Whether the client sends no more."""
        self._waiting_since = self.loop.time()
        """When the client began to be waited for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(CoalescingTransport(transport, self.loop, lambda: self._in_body or self._malformed))
        self._await_head()
        process_connections().add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        process_connections().discard(self)
        self._stop_timer()
        self._unset_keepalive_if_required()
        self.transport.connection_lost()
        super().connection_lost(exc)
        if self._connection.on_lost is not None:
            self._connection.on_lost()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. It may still read (RFC 9112, 9.6), or have hung up, which looks the same."""
        self.transport.flush()
        if self._in_body or self._is_idle() or self.transport.is_closing():
            return False
        self._half_closed = True
        self.loop.call_later(HALF_CLOSED_SECONDS, self.transport.abort)
        return True

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._malformed or self.transport.is_closing():
            self.transport.discarded(len(data))
            return
        self._unset_keepalive_if_required()
        self._segment_bytes = len(data)
        self._overhead_bytes += self._segment_bytes
        self._bytes_since_body += self._segment_bytes
        try:
            self._parse(data)
        except _MalformedError as refused:
            self._refuse(refused.problem)
            return
        except httptools.HttpParserError as error:
            self._refuse(_problem(error, data))
            return
        if self._in_body:
            if self._bytes_since_body > MOST_TRAILER_BYTES:
                self._refuse(heads.trailers_too_large())
            elif self._overhead_bytes > MOST_HEAD_BYTES:
                self._refuse(heads.framing_too_large())
        elif self._in_head and self._overhead_bytes > MOST_HEAD_BYTES:
            self._refuse(heads.head_too_large())
        elif self._head_timer is None and (self._in_head or self._is_idle()):
            # Idle: empty lines before a request, which are none of its head yet.
            self._await_head()

    def on_message_begin(self) -> None:
        """A head's first byte."""
        super().on_message_begin()
        self._request = begin_request(self.scope, self._connection)  # type: ignore[arg-type]
        self._in_head, self._in_body = True, False
        # A chunk in which a head only begins may hold another request's end.
        self._overhead_bytes = self._bytes_since_body = self._trailer_bytes = 0
        self._waiting_since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: nothing here knows any, so none is kept (RFC 9110, 6.5.1)."""
        if not self._in_body:
            # As uvicorn does; one call less for every header of every request.
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))
            return
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > MOST_TRAILER_BYTES:
            raise _MalformedError(heads.trailers_too_large())

    def on_headers_complete(self) -> None:
        """A head's last byte."""
        if self.parser.should_upgrade():
            return
        if self._segment_bytes > MOST_HEAD_BYTES or self._overhead_bytes:
            size = len(self.url) + sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in self.headers)
            if size > MOST_HEAD_BYTES:
                raise _MalformedError(heads.head_too_large())
        self._in_head, self._in_body = False, True
        self._stop_timer()
        super().on_headers_complete()
        if process_draining().begun:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        # Twice: what frames a body may take as much as the body.
        self._overhead_bytes -= 2 * len(body)
        self._bytes_since_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request's last byte."""
        if self.parser.should_upgrade():
            return
        self._in_body = False
        self._request.complete = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is written."""
        self._waiting_since = self.loop.time()
        last = not self.pipeline
        if last and self._in_body:
            # What is left of its body is nobody's; an answer from elsewhere than the middleware has not said so.
            self.transport.linger()
        super().on_response_complete()
        if last and self._pending_refusal is not None:
            self._send_refusal(self._pending_refusal)
        elif last and self._half_closed:
            self.transport.close()

    def seconds_waiting(self) -> float | None:
        """See `ConnectionLimit`: what is unfinished counts several times what is idle, what only lingers most."""
        if self.transport.lingers:
            return math.inf
        waited = self.loop.time() - self._waiting_since
        if self._in_head or self._in_body:
            return _UNFINISHED_WEIGHT * waited
        return waited if self._is_idle() else None

    def evict(self) -> None:
        """See `ConnectionLimit`."""
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
            except httptools.HttpParserUpgrade as upgrade:
                data = memoryview(data)[upgrade.args[0] :]
            # Not while the upgrade is handled: what goes wrong would be said to come of it.
            self._parse_without_upgrade()

    def _parse_without_upgrade(self) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise _MalformedError(heads.connect_refused())
        head = heads.without_upgrade(method, self.url, self.parser.get_http_version(), self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(head)

    def _refuse(self, problem: Problem) -> None:
        """Answer what is malformed, and read nothing any more."""
        self._malformed = True
        self._stop_timer()
        if self._in_body:
            # Its own request's answer, which will say so, unless it has been given already.
            self._request.malformed = problem
            self.cycle.message_event.set()
        elif self._is_idle():
            self._send_refusal(problem)
        else:
            self._pending_refusal = problem

    def _send_refusal(self, problem: Problem) -> None:
        response = problem.response()
        headers = [
            *response.raw_headers,
            *SECURITY_HEADERS,
            *DEFAULT_HEADERS,
            (b"date", formatdate(usegmt=True).encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[response.status_code] + lines + b"\r\n" + bytes(response.body))
        self._unset_keepalive_if_required()
        self.transport.linger()

    def _is_idle(self) -> bool:
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

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
