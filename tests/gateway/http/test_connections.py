"""How long connections are kept, and what gives way when there are more than can be."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gateway.http.connections import ConnectionLimit
from tests.gateway.support.gateway_process import SECRET, GatewayProcess, running_gateway
from tests.gateway.support.limited import dripping, limit_descriptors
from tests.gateway.support.raw_socket import connected, post, problem
from tests.support.triton_process import TritonProcess


def test_a_connection_is_kept_as_long_as_is_set(shared_repository: Path, shared_triton: TritonProcess) -> None:
    with running_gateway(shared_repository, shared_triton.grpc_url, "--keep-alive=2") as short:
        short.wait_until_ready()
        with connected(short) as raw:
            began = time.monotonic()
            raw.send(b"".join(post()))
            assert raw.answer().status == 200
            assert raw.rest() == b""
            assert time.monotonic() - began > 1.9


@pytest.mark.parametrize("offer", [(), ("connection: upgrade", "upgrade: h2c")])
def test_a_client_that_sends_no_more_is_answered(gateway: GatewayProcess, offer: tuple[str, ...]) -> None:
    """As `nc -N` does it: it has closed its sending end."""
    with connected(gateway) as raw:
        raw.send(b"".join(post(b'{"text": "a"}', *offer)) * 3)
        raw.connection.shutdown(socket.SHUT_WR)
        assert [raw.answer().status for _ in range(3)] == [200, 200, 200]
        assert raw.rest() == b""


def test_a_connection_can_be_used_again_after_a_pause(gateway: GatewayProcess) -> None:
    with connected(gateway) as raw:
        raw.send(b"".join(post()))
        assert raw.answer().status == 200
        # Longer than uvicorn's own 5 s.
        time.sleep(6)
        raw.send(b"".join(post()))
        assert raw.answer().status == 200


def test_a_body_that_does_not_come_is_408(shared_repository: Path, shared_triton: TritonProcess) -> None:
    with running_gateway(shared_repository, shared_triton.grpc_url, "--request-timeout=3", "--max-in-flight=1") as one:
        one.wait_until_ready()
        with connected(one) as slow, connected(one) as other:
            head, body = post()
            slow.send(head, body[:1])
            # It holds no place meanwhile.
            other.send(head + body)
            assert other.answer().status == 200
            answer = slow.answer()
            problem(answer, 408)
            assert answer.headers["connection"] == "close"
            assert slow.rest() == b""


def test_slow_bodies_hold_no_memory_that_others_need(shared_repository: Path, shared_triton: TritonProcess) -> None:
    # 32 bodies of the largest size are held; of forty the first give way.
    flags = ("--max-body-bytes=200000", "--request-timeout=60")
    with running_gateway(shared_repository, shared_triton.grpc_url, *flags) as small, contextlib.ExitStack() as stack:
        small.wait_until_ready()
        slow = [stack.enter_context(connected(small)) for _ in range(40)]
        head = b"POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n"
        for raw in slow:
            raw.send(head, b" " * 190_000)
        problem(slow[0].answer(), 408)
        with small.client() as client:
            assert client.post("/v1/emotions", json={"text": "рад" + " " * 100_000}).status_code in (200, 422)
        last = slow[-1]
        last.send(b'{"text": "\xd1\x80\xd0\xb0\xd0\xb4"}'.ljust(10_000))
        assert last.answer().status == 200


@pytest.fixture
def few(shared_repository: Path, shared_triton: TritonProcess) -> Iterator[GatewayProcess]:
    with running_gateway(shared_repository, shared_triton.grpc_url, EMOTION_API_KEYS=SECRET) as running:
        limit_descriptors(running, 96)
        running.wait_until_ready()
        yield running


@pytest.mark.parametrize(("path", "key"), [("/v1/emotions", None), ("/v1/emotions", SECRET), ("/health/live", None)])
def test_more_dripping_connections_than_descriptors(few: GatewayProcess, path: str, key: str | None) -> None:
    with (
        dripping(few, 120, 0.2, path, key) as drips,
        # A connection each time: one kept without a request may give way while the next request is on its way.
        few.client(headers={"authorization": f"Bearer {SECRET}", "connection": "close"}) as client,
    ):
        for _ in range(30):
            assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200
            time.sleep(0.02)
    assert drips.opened > 72
    assert psutil.Process(few.process.pid).num_fds() < 96
    assert "file descriptors" in few.log()


def test_who_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (40, 40))
    gone: list[str] = []

    class One:
        def __init__(self, name: str, waited: float | None) -> None:
            self.name, self._waited = name, waited

        def seconds_waiting(self) -> float | None:
            return self._waited

        def evict(self) -> None:
            gone.append(self.name)

    loop = asyncio.new_event_loop()
    connections = ConnectionLimit()
    try:
        for number in range(27):
            connections.add(One(f"answered {number}", None), loop)
        for name, waited in (("idle", 5.0), ("slow", 8.0), ("slower", 9.0)):
            connections.add(One(name, waited), loop)
        assert gone == []
        for name in ("new", "newer", "newest"):
            connections.add(One(name, 0.0), loop)
    finally:
        loop.close()
    assert gone == ["slower", "slow", "idle"]
