"""Requests that end tritonserver's HTTP server, sent to every port of a `make serve` as it is by default."""

import socket
from collections.abc import Iterator

import pytest

from tests.integration.serving import Serving
from tests.support.triton_process import is_listening

NESTED = b'{"inputs":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
REQUESTS = {
    "very many chunks": (
        b"POST /v2/repository/index HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        [b"1\r\nA\r\n" * 10_000] * 60 + [b"0\r\n\r\n"],
    ),
    "deeply nested JSON": (
        b"POST /v2/models/emotion_rubert/infer HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\n"
        b"content-length: %d\r\n\r\n" % len(NESTED),
        [NESTED],
    ),
    "a head without end": (b"GET /metrics HTTP/1.1\r\nhost: a\r\n", [b"x: a\r\n" * 10_000] * 60),
    "garbage": (b"\x16\x03\x01\x00\xc8", [bytes(range(256)) * 100]),
}


def parts(head: bytes, body: list[bytes]) -> Iterator[bytes]:
    yield head
    yield from body


@pytest.mark.parametrize("what", REQUESTS)
def test_nothing_dies(serving: Serving, what: str) -> None:
    tritonserver = serving.child("tritonserver").pid
    http, grpc, metrics, gateway = serving.ports
    assert not is_listening(http)
    assert not is_listening(metrics)
    for port in (grpc, gateway):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.settimeout(60)
            try:
                for part in parts(*REQUESTS[what]):
                    connection.sendall(part)
                connection.recv(100)
            except OSError:
                pass  # closed under our hands, which is as good an answer as any
    assert serving.ask().status_code == 200
    assert serving.child("tritonserver").pid == tritonserver
    assert "ended by itself" not in serving.log()
