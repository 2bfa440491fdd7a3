"""Triton killed, versions published and the gateway stopped, again and again under load.

The short forms are in triton/test_without_triton, models/test_versions and below.
"""

import asyncio
import json
import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.load import TEXTS, running_load
from tests.gateway.support.raw_http import Connection
from tests.gateway.support.small_model import expected, publish
from tests.gateway.support.versions import wait_for_version
from tests.support.triton_process import free_ports, running_triton
from tests.support.waiting import SECONDS


def stop_under_load(repository: Path, triton: str, clients: int, *flags: str) -> Counter[str]:
    """SIGTERM while many ask: whatever was admitted is answered, and rightly; gives what became of requests."""
    right = {text: expected(text)["joy"] for text in TEXTS}
    seen: Counter[str] = Counter()
    with running_gateway(repository, triton, *flags) as gateway:
        gateway.wait_until_ready()

        async def one(number: int) -> None:
            connection = Connection(gateway.url)
            text = TEXTS[number % len(TEXTS)]
            body = json.dumps({"text": text}).encode()
            while True:
                try:
                    answer = await connection.ask(body)
                except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
                    # Not taken any more: the port is closed, or an idle connection was.
                    seen["not admitted"] += 1
                    return
                except asyncio.IncompleteReadError as error:
                    seen["broken off" if error.partial else "not admitted"] += 1
                    return
                assert answer.status == 200, answer
                joy = json.loads(answer.body)["results"][0]["probabilities"]["joy"]
                assert joy == pytest.approx(right[text], abs=1e-5)
                seen["answered"] += 1

        async def run() -> None:
            asks = [asyncio.create_task(one(number)) for number in range(clients)]
            while seen["answered"] < 10 * clients:
                await asyncio.sleep(0.01)
            gateway.process.terminate()
            await asyncio.gather(*asks)

        asyncio.run(run())
        assert gateway.process.wait(SECONDS) == 0
    assert not seen["broken off"]
    return seen


def test_sigterm_under_load(repository: Path) -> None:
    with running_triton(repository) as triton:
        stop_under_load(repository, triton.grpc_url, 16)


@pytest.mark.drill
def test_sigterm_under_load_again_and_again(repository: Path) -> None:
    with running_triton(repository) as triton:
        for flags in ((), ("--workers=2",)):
            for _ in range(10):
                print(flags, dict(stop_under_load(repository, triton.grpc_url, 64, *flags)))


def seconds_until_ready(gateway: GatewayProcess) -> float:
    began = time.monotonic()
    gateway.wait_until_ready()
    return time.monotonic() - began


@pytest.mark.drill
def test_triton_is_killed_under_load_again_and_again(repository: Path) -> None:
    (port,) = free_ports(1)
    with running_gateway(repository, f"127.0.0.1:{port}") as gateway:
        recoveries = []
        for number in range(5):
            with running_triton(repository, f"--grpc-port={port}", stops_cleanly=False) as triton:
                recoveries.append(seconds_until_ready(gateway))
                with running_load(gateway, clients=32) as load:
                    os.kill(triton.triton_pid, signal.SIGKILL)
                    gateway.wait_until_ready(status=503)
                    triton.launcher.wait(SECONDS)
                    with running_triton(repository, f"--grpc-port={port}", stops_cleanly=False):
                        recoveries.append(seconds_until_ready(gateway))
                        load.wait_for(200)
            print(f"kill {number + 1}: {dict(load.statuses)}, slowest {load.slowest:.2f} s")
            # running_load has checked that no answer is wrong.
            assert set(load.statuses) <= {200, 503, 504}
        print("seconds from Triton's readiness to the gateway's:", [round(seconds, 2) for seconds in recoveries])
        assert max(recoveries) < 3
        assert gateway.process.poll() is None


@pytest.mark.drill
def test_versions_are_published_under_load_again_and_again(repository: Path) -> None:
    with (
        running_triton(repository, poll_seconds=1) as triton,
        running_gateway(repository, triton.grpc_url) as gateway,
    ):
        gateway.wait_until_ready()
        began = time.monotonic()
        with running_load(gateway, clients=32) as load:
            for _ in range(5):
                publish(repository, 2)
                wait_for_version(gateway, "2")
                publish(repository, 3)
                wait_for_version(gateway, "3")
                load.wait_for(100)
                for version in (3, 2):
                    home = repository / "emotion_rubert"
                    shutil.rmtree((home / str(version)).rename(repository.parent / "withdrawn"))
                    wait_for_version(gateway, str(version - 1))
        print(f"{dict(load.statuses)} by version {dict(load.versions)} in {time.monotonic() - began:.0f} s")
        assert list(load.statuses) == [200]
