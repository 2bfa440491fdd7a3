"""A gateway with few file descriptors, and connections that drip."""

import contextlib
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import psutil

from tests.gateway.support.gateway_process import GatewayProcess


def limit_descriptors(gateway: GatewayProcess, most: int) -> None:
    """Of a gateway that nobody has asked anything yet: it looks at its limit at the first connection."""
    psutil.Process(gateway.process.pid).rlimit(resource.RLIMIT_NOFILE, (most, most))


class Drips:
    """What has become of them."""

    def __init__(self) -> None:
        self.opened = 0
        self.refused = 0
        self.answers: Counter[bytes] = Counter()
        self.closed = 0


@contextlib.contextmanager
def dripping(
    gateway: GatewayProcess, connections: int, seconds: float, path: str, key: str | None = None
) -> Iterator[Drips]:
    """So many connections whose bodies come a byte at a time; those that are closed are opened again."""
    url, seen, stop = httpx.URL(gateway.url), Drips(), threading.Event()
    lines = [f"POST {path} HTTP/1.1", "host: a", "content-length: 100000"]
    lines += [] if key is None else [f"authorization: Bearer {key}"]
    head = "".join(f"{line}\r\n" for line in (*lines, "")).encode()

    def opened() -> socket.socket | None:
        connection = socket.socket()
        connection.settimeout(5)
        try:
            connection.connect((url.host, url.port or 0))
            connection.sendall(head)
        except OSError:
            connection.close()
            seen.refused += 1
            return None
        connection.setblocking(False)
        seen.opened += 1
        return connection

    def alive(connection: socket.socket) -> bool:
        try:
            if (answer := connection.recv(4096)) == b"":
                seen.closed += 1
                return False
            seen.answers[answer[9:12]] += 1
        except BlockingIOError:
            pass
        except OSError:
            seen.closed += 1
            return False
        with contextlib.suppress(OSError):
            connection.send(b" ")
        return True

    def run() -> None:
        held: list[socket.socket] = []
        while not stop.is_set():
            began = time.monotonic()
            kept = []
            for connection in held:
                if alive(connection):
                    kept.append(connection)
                else:
                    connection.close()
            new = [connection for _ in range(connections - len(kept)) if (connection := opened()) is not None]
            held = kept + new
            stop.wait(max(seconds - (time.monotonic() - began), 0.05))
        for connection in held:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        while seen.opened + seen.refused < connections:
            time.sleep(0.05)
            assert thread.is_alive()
        yield seen
    finally:
        stop.set()
        thread.join()
