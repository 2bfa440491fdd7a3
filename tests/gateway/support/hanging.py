"""Requests that nobody reads the answers of yet: several on their way at once, and some that hang up."""

import json
import socket
from typing import Self

import httpx

from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.raw_socket import RawSocket, post


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

    def hang_up(self) -> None:
        for connection in self._open:
            connection.close()
