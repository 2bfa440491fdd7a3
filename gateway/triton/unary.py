"""Calls of one gRPC method, with one request and one answer each, on one connection (gRPC over HTTP/2).

gRPC's own library for Python hands every call to threads of its own, and its answer back to the event loop by another:
four times the CPU, and five more threads to wake for each. docs/design.md has the measurement.
"""

import asyncio
import contextlib
import ssl
import urllib.parse
from collections.abc import Mapping
from typing import Final

import grpc

from gateway.errors.triton_errors import TritonError
from gateway.triton import hpack
from gateway.triton.http2 import Answer, Connection, UnprocessedError

_CONNECT_SECONDS: Final = 1.0
_BACKOFF_SECONDS: Final = 0.2
"""After a failed attempt, before the next."""
_PREFIX_BYTES: Final = 5
"""Of a message: whether it is compressed, and its length."""
_STATUS_CODES: Final = {int(code.value[0]): code for code in grpc.StatusCode}
_STATUS_OF_HTTP: Final = {
    "400": grpc.StatusCode.INTERNAL,
    "401": grpc.StatusCode.UNAUTHENTICATED,
    "403": grpc.StatusCode.PERMISSION_DENIED,
    "404": grpc.StatusCode.UNIMPLEMENTED,
    "429": grpc.StatusCode.UNAVAILABLE,
    "502": grpc.StatusCode.UNAVAILABLE,
    "503": grpc.StatusCode.UNAVAILABLE,
    "504": grpc.StatusCode.UNAVAILABLE,
}
"""What a proxy's own answers mean (gRPC's http-grpc-status-mapping); UNKNOWN, if it is none of these."""


class UnaryChannel:
    """Calls one method of one server. Make and close it within one event loop; connects at the first call."""

    def __init__(self, address: str, method: str, authority: str, tls: ssl.SSLContext | None) -> None:
        """Nothing is sent yet.

        Args:
            address: IP address and port.
            method: such as `/inference.GRPCInferenceService/ModelInfer`.
            authority: host and port that the server is told, and whose certificate it must have.
            tls: None for a connection without TLS.
        """
        self._address = address
        self._authority = authority
        self._tls = tls
        self._head = hpack.encode(
            (
                (":method", "POST"),
                (":scheme", "https" if tls else "http"),
                (":path", method),
                (":authority", authority),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("user-agent", "emotion-gateway"),
            )
        )
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._failed: tuple[float, TritonError] | None = None
        """The last attempt to connect: when it failed, and how."""

    async def call(self, message: bytes, seconds: float, headers: Mapping[str, str]) -> bytes:
        """The answer to a message; whoever cancels this cancels the call.

        Args:
            message: serialized.
            seconds: the deadline.
            headers: of this call, their names in lower case.

        Raises:
            TritonError: there is no connection, it was lost, the deadline passed, or the server says what failed.
        """
        head = self._head + hpack.encode((("grpc-timeout", f"{round(1000 * seconds)}m"), *headers.items()))
        body = b"\x00" + len(message).to_bytes(4) + message
        try:
            return self._message(await self._answer(head, body, seconds))
        except UnprocessedError:
            return self._message(await self._answer(head, body, seconds))

    async def close(self) -> None:
        """Close the connection; calls under way fail."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if self._connection is not None:
            self._connection.close()

    async def _answer(self, head: bytes, body: bytes, seconds: float) -> Answer:
        connection = self._connection
        if connection is None or not connection.is_open:
            connection = await self._connect()
        stream = connection.open_stream(head, body)
        timer = stream.ended.get_loop().call_later(seconds, stream.expire)
        try:
            return await stream.ended
        finally:
            timer.cancel()
            connection.reset(stream)

    async def _connect(self) -> Connection:
        """The connection, which calls that come meanwhile share.

        Raises:
            TritonError: UNAVAILABLE; nobody is there, or was a moment ago.
        """
        loop = asyncio.get_running_loop()
        if self._failed is not None and loop.time() < self._failed[0] + _BACKOFF_SECONDS:
            raise TritonError(self._failed[1].code, self._failed[1].details)
        if self._connecting is None:
            self._connecting = loop.create_task(self._open())
            self._connecting.add_done_callback(self._connected)
        try:
            return await asyncio.shield(self._connecting)
        except TritonError as error:
            raise TritonError(error.code, error.details) from None  # one exception for each call

    async def _open(self) -> Connection:
        host, _, port = self._address.rpartition(":")
        name = self._authority.rpartition(":")[0].strip("[]") if self._tls else None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                transport, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._address), host.strip("[]"), int(port), ssl=self._tls, server_hostname=name
                )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            why = f"can't connect to {self._address}: {error or f'no answer within {_CONNECT_SECONDS:g} s'}"
            raise TritonError(grpc.StatusCode.UNAVAILABLE, why) from None
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != "h2":
            connection.close()
            raise TritonError(grpc.StatusCode.UNAVAILABLE, f"{self._address} does not speak HTTP/2 over TLS")
        return connection

    def _connected(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        with contextlib.suppress(asyncio.CancelledError):
            if isinstance(error := task.exception(), TritonError):
                self._failed = asyncio.get_running_loop().time(), error
            elif error is None:
                self._failed, self._connection = None, task.result()

    def _message(self, answer: Answer) -> bytes:
        """The message of an answer.

        Raises:
            TritonError: it has none, but a status.
        """
        fields, body = answer.fields, answer.body
        number = fields.get("grpc-status", "")
        if not number.isdecimal():
            http = fields.get(":status", "none")
            status = _STATUS_OF_HTTP.get(http, grpc.StatusCode.UNKNOWN)
            raise TritonError(status, f"{self._address} answered without a gRPC status (HTTP status {http})")
        if (status := _STATUS_CODES.get(int(number), grpc.StatusCode.UNKNOWN)) is not grpc.StatusCode.OK:
            raise TritonError(status, urllib.parse.unquote(fields.get("grpc-message", "")))
        if len(body) < _PREFIX_BYTES or body[0] or int.from_bytes(body[1:_PREFIX_BYTES]) != len(body) - _PREFIX_BYTES:
            raise TritonError(grpc.StatusCode.INTERNAL, f"{self._address} answered bytes that are not one message")
        return bytes(memoryview(body)[_PREFIX_BYTES:])
