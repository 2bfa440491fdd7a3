"""A gateway that is to go tells whoever sends requests here first, and answers meanwhile."""

import signal
import time
from pathlib import Path

import pytest

from tests.gateway.support.gateway_process import running_gateway
from tests.gateway.support.raw_socket import connected, post
from tests.support.triton_process import TritonProcess
from tests.support.waiting import SECONDS, wait_until

DRAIN = 3


@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_not_ready_and_answers_on(shared_repository: Path, shared_triton: TritonProcess, workers: int) -> None:
    flags = (f"--drain={DRAIN}", f"--workers={workers}")
    with running_gateway(shared_repository, shared_triton.grpc_url, *flags) as gateway:
        gateway.wait_until_ready()
        with connected(gateway) as raw:
            raw.send(b"".join(post()))
            assert raw.answer().status == 200
            gateway.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            gateway.wait_until_ready(status=503)
            assert time.monotonic() - began < DRAIN

            def answered_last() -> bool:
                raw.send(b"".join(post()))
                answer = raw.answer()
                assert answer.status == 200
                return answer.headers.get("connection") == "close"  # the next request is for another gateway

            # The worker that was not ready may be the other one, which heard of it a moment before.
            wait_until(answered_last)
            assert raw.rest() == b""
        with gateway.client() as client:
            while time.monotonic() - began < DRAIN / 2:
                assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200
            assert client.get("/health/live").status_code == 200
        assert gateway.process.wait(SECONDS) == 0
        assert DRAIN - 0.5 < time.monotonic() - began < DRAIN + 10


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_stops_at_once(shared_repository: Path, shared_triton: TritonProcess, workers: int) -> None:
    flags = ("--drain=60", f"--workers={workers}")
    with running_gateway(shared_repository, shared_triton.grpc_url, *flags) as gateway:
        gateway.wait_until_ready()
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_until_ready(status=503)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(SECONDS) == 0
