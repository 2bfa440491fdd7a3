"""A plain socket to the gateway: bytes as a test writes them, in packets as it wants them."""

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx

from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.raw_http import Answer

PACKET_SECONDS = 0.05
"""Between packets that must not arrive as one."""


class RawSocket:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""

    def send(self, *packets: bytes) -> None:
        for number, packet in enumerate(packets):
            if number:
                time.sleep(PACKET_SECONDS)
            self.connection.sendall(packet)

    def answer(self, *, head: bool = False) -> Answer:
        """The next one; what answers HEAD has no body."""
        while True:
            found = re.match(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n(.*?)\r\n\r\n", self._received, re.DOTALL)
            if found is not None:
                lines = (line.split(": ", 1) for line in found[2].decode("latin-1").split("\r\n"))
                headers = {name.lower(): value for name, value in lines}
                end = found.end() + (0 if head else int(headers["content-length"]))
                if len(self._received) >= end:
                    body, self._received = self._received[found.end() : end], self._received[end:]
                    return Answer(int(found[1]), headers, body)
            if found is None and (interim := re.match(rb"HTTP/1\.1 100 Continue\r\n\r\n", self._received)):
                self._received = self._received[interim.end() :]
                continue
            data = self.connection.recv(65_536)
            assert data, f"closed after {self._received!r}"
            self._received += data

    def rest(self) -> bytes:
        """Everything until the gateway closes."""
        with contextlib.suppress(ConnectionResetError):
            while data := self.connection.recv(65_536):
                self._received += data
        return self._received

    def is_quiet(self) -> bool:
        """Whether nothing more comes for a while, and the connection stays open."""
        self.connection.settimeout(4 * PACKET_SECONDS)
        try:
            self._received += self.connection.recv(65_536)
        except TimeoutError:
            return not self._received
        finally:
            self.connection.settimeout(60)
        return False


@contextlib.contextmanager
def connected(gateway: GatewayProcess) -> Iterator[RawSocket]:
    url = httpx.URL(gateway.url)
    with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield RawSocket(connection)


def post(
    body: bytes = b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}', *lines: str, path: str = "/v1/emotions", version: str = "1.1"
) -> tuple[bytes, bytes]:
    """Head and body of a request, with these header lines beside host and length."""
    head = "".join(f"{line}\r\n" for line in (f"POST {path} HTTP/{version}", "host: a", *lines))
    return f"{head}content-length: {len(body)}\r\n\r\n".encode("latin-1"), body


def problem(answer: Answer, status: int) -> dict[str, Any]:
    """Check that an answer is a problem of that status."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    found: dict[str, Any] = json.loads(answer.body)
    assert found["status"] == status
    assert found["detail"].endswith(".")
    return found
