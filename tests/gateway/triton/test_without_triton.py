"""Triton not there, gone, hanging, and back: the gateway says so and recovers by itself."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.load import running_load
from tests.support.triton_process import free_ports, running_triton
from tests.support.waiting import SECONDS, wait_until


def test_triton_comes_after_the_gateway_is_killed_and_comes_again(repository: Path) -> None:
    (port,) = free_ports(1)
    at = f"127.0.0.1:{port}"
    with running_gateway(repository, at) as gateway, gateway.client() as client:
        assert client.get("/health/live").status_code == 200
        check_not_ready(gateway)
        for path in ("/v1/emotions", "/v1/models"):
            method = "POST" if path == "/v1/emotions" else "GET"
            response = client.request(method, path, json={"text": "рад"})
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"

        with running_triton(repository, f"--grpc-port={port}", stops_cleanly=False) as triton:
            gateway.wait_until_ready()
            with running_load(gateway) as load:
                os.kill(triton.triton_pid, signal.SIGKILL)
                gateway.wait_until_ready(status=503)
                assert client.get("/health/live").status_code == 200
                triton.launcher.wait(SECONDS)
                with running_triton(repository, f"--grpc-port={port}"):
                    gateway.wait_until_ready()
                    load.wait_for(50)
                # Stopped in order this time.
                gateway.wait_until_ready(status=503)
            assert set(load.statuses) <= {200, 503, 504}
            assert load.statuses[503] > 0
        log = gateway.log()
        assert log.count(f"Triton at {at} is ready") == 2
        assert log.count("not ready: ") == 3


def check_not_ready(gateway: GatewayProcess) -> None:
    with gateway.client() as client:
        response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "1"
    assert "Triton" in response.json()["detail"]


def test_triton_hangs_and_goes_on(repository: Path) -> None:
    with (
        running_triton(repository) as triton,
        running_gateway(repository, triton.grpc_url, "--request-timeout=1.5") as gateway,
        gateway.client() as client,
    ):
        gateway.wait_until_ready()
        server = psutil.Process(triton.triton_pid)
        server.suspend()
        try:
            # It has stopped for good: who answers is the gateway.
            assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 504
            assert client.get("/health/live").status_code == 200
            check_not_ready(gateway)
        finally:
            server.resume()
        gateway.wait_until_ready()
        # On a busy machine an answer may take longer than this gateway waits.
        wait_until(lambda: client.post("/v1/emotions", json={"text": "рад"}).status_code == 200, gateway.log)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_without_triton(repository: Path, number: int) -> None:
    (port,) = free_ports(1)
    with running_gateway(repository, f"127.0.0.1:{port}") as gateway:
        gateway.process.send_signal(number)
        assert gateway.process.wait(SECONDS) == 0


def test_a_full_queue(repository: Path) -> None:
    configuration = repository / "emotion_rubert/configs/cpu.pbtxt"
    policy = "dynamic_batching { max_queue_delay_microseconds: 1000000 default_queue_policy { max_queue_size: 2 } }"
    text = configuration.read_text("utf-8")
    assert "dynamic_batching { }" in text
    configuration.write_text(text.replace("dynamic_batching { }", policy), "utf-8")
    with (
        running_triton(repository) as triton,
        # Single texts in as many calls, or they would fit the queue together.
        running_gateway(repository, triton.grpc_url, "--triton-calls=32") as gateway,
        ThreadPoolExecutor(32) as pool,
        gateway.client() as client,
    ):
        gateway.wait_until_ready()
        asked = [pool.submit(client.post, "/v1/emotions", json={"text": "рад"}) for _ in range(32)]
        answers = [each.result() for each in asked]
        statuses = {answer.status_code for answer in answers}
        assert statuses == {200, 503}
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["detail"] == "Triton is not there, or can't take more at the moment: try again."
        assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200
