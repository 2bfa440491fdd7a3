"""Gauges come back to zero, whatever became of what they counted: answered, late, refused, hung up, killed."""

import asyncio
import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import figure, total
from tests.gateway.support.raw_http import Connection
from tests.gateway.support.small_model import publish
from tests.gateway.support.workers import workers
from tests.support.triton_process import running_triton
from tests.support.waiting import wait_until

SECONDS = float(os.environ.get("EMOTION_DRILL_SECONDS", "600")) / 5
GAUGES = ("emotion_texts_waiting", "emotion_triton_calls_in_flight", "emotion_requests_in_flight")
CLIENTS = 24
BODIES = [json.dumps({"texts": ["рад"] * texts}).encode() for texts in (1, 1, 1, 8, 40)]
HEAD = b"POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


async def ask(gateway: GatewayProcess, stop: threading.Event, seen: Counter[str]) -> None:
    """Ask again and again; of four requests one hangs up."""
    url = httpx.URL(gateway.url)
    while not stop.is_set():
        body = random.choice(BODIES)  # noqa: S311
        try:
            if random.random() < 0.25:  # noqa: S311
                _, writer = await asyncio.open_connection(url.host, url.port)
                writer.write(HEAD % len(body) + body)
                await asyncio.sleep(random.uniform(0.002, 0.2))  # noqa: S311
                writer.transport.abort()
                seen["hung up"] += 1
                continue
            async with Connection(gateway.url) as connection:
                seen[str((await connection.ask(body)).status)] += 1
        except (OSError, AssertionError, EOFError):
            seen["lost"] += 1  # Its worker was killed.
            await asyncio.sleep(0.1)


@contextlib.contextmanager
def running_clients(gateway: GatewayProcess, seen: Counter[str]) -> Iterator[None]:
    stop = threading.Event()

    async def run() -> None:
        await asyncio.gather(*(ask(gateway, stop, seen) for _ in range(CLIENTS)))

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wait_for_rest(gateway: GatewayProcess) -> None:
    def doing() -> list[float]:
        # A connection each time, so that either worker is asked.
        with gateway.client() as client:
            return [total(client, name) for name in GAUGES]

    wait_until(lambda: all(doing() == [0, 0, 0] for _ in range(6)), doing)


def restarts(gateway: GatewayProcess, count: int) -> bool:
    with gateway.client() as client:
        return figure(client, "emotion_worker_restarts_total") == count


def renewed(gateway: GatewayProcess, old: set[psutil.Process]) -> bool:
    now = set(workers(gateway))
    return len(now) == 2 and not now & old


@pytest.mark.drill
@pytest.mark.timeout(SECONDS + 300)
def test_gauges_come_back_to_zero(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    repository.mkdir()
    publish(repository, 1)
    flags = ("--workers=2", "--triton-calls=2", "--request-timeout=0.5", "--max-in-flight=16", "--refresh-interval=0.2")
    seen: Counter[str] = Counter()
    with running_triton(repository) as triton, running_gateway(repository, triton.grpc_url, *flags) as gateway:
        gateway.wait_until_ready()
        end, killed = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            with running_clients(gateway, seen):
                for _ in range(3):
                    time.sleep(1)
                    os.kill(triton.triton_pid, signal.SIGSTOP)
                    time.sleep(random.uniform(0.2, 1.5))  # noqa: S311
                    os.kill(triton.triton_pid, signal.SIGCONT)
                random.choice(workers(gateway)).kill()  # noqa: S311
                killed += 1
                # One that is renewed before its death is noticed would not be counted.
                wait_until(partial(restarts, gateway, killed))
                old = set(workers(gateway))
                # New workers take the old ones' place, one after the other.
                gateway.process.send_signal(signal.SIGHUP)
                time.sleep(3)
            wait_for_rest(gateway)
            wait_until(partial(renewed, gateway, old))
        assert restarts(gateway, killed)
        with running_clients(gateway, seen):
            psutil.Process(triton.triton_pid).kill()
            time.sleep(3)
        wait_for_rest(gateway)
    print(f"{SECONDS:g} s: {dict(seen)}, {killed} workers killed")
    assert {"200", "429", "503", "504", "hung up", "lost"} <= set(seen)
