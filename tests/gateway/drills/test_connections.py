"""Clients that never finish: trailers without end, and more dripping connections than file descriptors."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.gateway.support.gateway_process import SECRET, GatewayProcess, running_gateway
from tests.gateway.support.limited import Drips, dripping, limit_descriptors
from tests.gateway.support.raw_socket import connected
from tests.support.triton_process import TritonProcess

MEGABYTE = 1024 * 1024
ENDLESS = b"POST /v1/emotions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
CROWDS = pytest.mark.parametrize(
    ("path", "key"), [("/v1/emotions", None), ("/v1/emotions", SECRET), ("/health/live", None)]
)
"""Refused with 401, let in and awaited, and refused with 405."""


@pytest.fixture
def closed(shared_repository: Path, shared_triton: TritonProcess) -> Iterator[GatewayProcess]:
    flags = ("--request-timeout=5",)
    with running_gateway(shared_repository, shared_triton.grpc_url, *flags, EMOTION_API_KEYS=SECRET) as running:
        limit_descriptors(running, 1024)
        running.wait_until_ready()
        yield running


class Others:
    """What becomes of a client that asks meanwhile."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0


@contextlib.contextmanager
def asking(gateway: GatewayProcess) -> Iterator[Others]:
    others, stop = Others(), threading.Event()

    def run() -> None:
        while not stop.is_set():
            began = time.monotonic()
            # A new connection each time: it has to be let in.
            with gateway.client(headers={"authorization": f"Bearer {SECRET}"}) as client:
                others.statuses[client.post("/v1/emotions", json={"text": "рад"}).status_code] += 1
            others.slowest = max(others.slowest, time.monotonic() - began)
            stop.wait(0.05)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield others
    finally:
        stop.set()
        thread.join()


def endless_trailers(gateway: GatewayProcess, seconds: float) -> Others:
    process = psutil.Process(gateway.process.pid)
    sent, connections, before, end = 0, 0, process.memory_info().rss, time.monotonic() + seconds
    with asking(gateway) as others:
        while time.monotonic() < end:
            connections += 1
            with connected(gateway) as raw, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                raw.send(ENDLESS)
                while time.monotonic() < end:
                    raw.connection.sendall(b"x-a: b\r\n" * 8192)
                    sent += 65_536
    grown = process.memory_info().rss - before
    print(
        f"{connections} connections sent {sent / MEGABYTE:.0f} MiB of trailers in {seconds:.0f} s: memory grew by "
        f"{grown / MEGABYTE:.1f} MiB; others: {dict(others.statuses)}, slowest {others.slowest * 1e3:.0f} ms"
    )
    assert set(others.statuses) == {200}
    assert grown < 16 * MEGABYTE
    return others


def crowd(
    gateway: GatewayProcess, connections: int, seconds: float, path: str, key: str | None
) -> tuple[Drips, Others]:
    with dripping(gateway, connections, 1, path, key) as drips, asking(gateway) as others:
        time.sleep(seconds)
    print(
        f"{connections} connections that drip at {path} for {seconds:.0f} s: {drips.opened} opened, {drips.refused} "
        f"refused, answers {dict(drips.answers)}, {psutil.Process(gateway.process.pid).num_fds()} descriptors at the "
        f"end; others: {dict(others.statuses)}, slowest {others.slowest * 1e3:.0f} ms"
    )
    assert set(others.statuses) == {200}
    assert "file descriptors" in gateway.log()
    return drips, others


def test_trailers_without_end(closed: GatewayProcess) -> None:
    endless_trailers(closed, 2)


@CROWDS
def test_a_crowd_that_drips(closed: GatewayProcess, path: str, key: str | None) -> None:
    crowd(closed, 1200, 2, path, key)


@pytest.mark.drill
def test_trailers_without_end_for_a_minute(closed: GatewayProcess) -> None:
    assert endless_trailers(closed, 60).slowest < 1


@pytest.mark.drill
@CROWDS
def test_a_crowd_that_drips_for_a_minute(closed: GatewayProcess, path: str, key: str | None) -> None:
    _, others = crowd(closed, 1200, 60, path, key)
    assert others.slowest < 2
