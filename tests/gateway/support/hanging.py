"""Requests that nobody reads the answers of yet: several on their way at once, and some that hang up."""

import json
import os
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import httpx

from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.raw_socket import RawSocket, post
from tests.support.triton_process import TritonProcess


@contextmanager
def standing_still(triton: TritonProcess) -> Iterator[None]:
    """A Triton that answers nothing, and goes on afterwards."""
    pid = triton.triton_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Hanging:
    """So many connections, each with one request of so many texts."""

    def __init__(self, gateway: GatewayProcess, requests: int, texts: int, *lines: str) -> None:
        url, body = httpx.URL(gateway.url), json.dumps({"texts": ["рад"] * texts}).encode()
        self._open = [socket.create_connection((url.host, url.port or 0), timeout=120) for _ in range(requests)]
        for connection in self._open:
            connection.sendall(b"".join(post(body, *lines)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def statuses(self) -> list[int]:
        """Of the answers, once all are there; 0 of a connection that was closed without one."""
        found = []
        for connection in self._open:
            try:
                found.append(RawSocket(connection).answer().status)
            except (AssertionError, ConnectionResetError):
                found.append(0)
        return found

    def closed(self) -> int:
        """How many the gateway has closed."""
        return sum(not _is_open(connection) for connection in self._open)

    def hang_up(self) -> None:
        for connection in self._open:
            connection.close()


def _is_open(connection: socket.socket) -> bool:
    # With a timeout Python waits before it asks, whatever the flags.
    if not select.select([connection], [], [], 0)[0]:
        return True
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except ConnectionResetError:
        return False
