"""Clients that hang up, and requests whose deadline passes, on a busy machine: Triton lives, and nobody else fails.

tritonserver 2.51 dies of calls that end at the client's side first, by a race in its gRPC frontend: on a
machine that was busy a gateway that cancelled them killed it within a minute.
"""

import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import wait_for_in_flight
from tests.gateway.support.raw_http import Connection
from tests.support.triton_process import ROOT, TritonProcess

DRILL_SECONDS = float(os.environ.get("EMOTION_DRILL_SECONDS", "600"))
"""How long the drill of hang-ups takes; that of deadlines takes a fifth of it."""
SHORT_SECONDS = 6.0
HANG_UPS = 12
"""Connections that do nothing else."""
OTHERS = 4
"""Clients that wait for their answers."""
BODY = json.dumps({"texts": ["рад вас видеть " * 3] * 4}, ensure_ascii=False).encode()


def burn(seconds: float) -> None:
    """Compute in bursts, so that threads lose the processor at every moment."""
    chance, end = random.Random(os.getpid()), time.monotonic() + seconds  # noqa: S311
    while time.monotonic() < end:
        burst = time.monotonic() + chance.uniform(0.001, 0.02)
        while time.monotonic() < burst:
            hashlib.sha256(b"a" * 4096).digest()
        time.sleep(chance.uniform(0, 0.01))


@contextlib.contextmanager
def busy_machine(seconds: float) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    burning = [context.Process(target=burn, args=(seconds,), daemon=True) for _ in range(3 * (os.cpu_count() or 1))]
    for process in burning:
        process.start()
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.join()


async def hang_up(gateway: GatewayProcess, end: float, seen: Counter[str]) -> None:
    """Send a good request and go away 2 to 30 ms later, again and again."""
    url = httpx.URL(gateway.url)
    head = b"POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    while time.monotonic() < end:
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(head % len(BODY) + BODY)
        await asyncio.sleep(random.uniform(0.002, 0.03))  # noqa: S311
        writer.transport.abort()
        seen["hung up"] += 1


async def wait_for_answers(gateway: GatewayProcess, end: float, seen: Counter[str]) -> None:
    async with Connection(gateway.url) as connection:
        while time.monotonic() < end:
            answer = await connection.ask(BODY)
            seen[str(answer.status)] += 1


def drill(gateway: GatewayProcess, triton: TritonProcess, seconds: float, hang_ups: int) -> Counter[str]:
    """That many that hang up among some that don't; gives what they saw."""
    seen: Counter[str] = Counter()
    pid = triton.triton_pid

    async def run() -> None:
        end = time.monotonic() + seconds
        await asyncio.gather(
            *(hang_up(gateway, end, seen) for _ in range(hang_ups)),
            *(wait_for_answers(gateway, end, seen) for _ in range(OTHERS)),
        )

    with busy_machine(seconds + 30):
        asyncio.run(run())
    print(f"{seconds:g} s: {dict(seen)}")
    assert triton.launcher.poll() is None, triton.log()
    assert triton.triton_pid == pid
    assert gateway.readiness() == 200
    return seen


def check_hang_ups(triton: TritonProcess, seconds: float) -> None:
    repository, timeout = ROOT / "model_repository", "--request-timeout=120"
    with running_gateway(repository, triton.grpc_url, timeout) as gateway:
        gateway.wait_until_ready()
        seen = drill(gateway, triton, seconds, HANG_UPS)
        assert set(seen) == {"hung up", "200"}
        with gateway.client() as client:
            wait_for_in_flight(client, 0)


def check_deadlines(triton: TritonProcess, seconds: float) -> None:
    repository, timeout = ROOT / "model_repository", "--request-timeout=0.01"
    with running_gateway(repository, triton.grpc_url, timeout) as gateway:
        gateway.wait_until_ready()
        seen = drill(gateway, triton, seconds, 0)
        assert seen["504"] > 0
        # A body may come too late as well.
        assert set(seen) <= {"200", "504", "408"}


def test_hang_ups(real_triton: TritonProcess) -> None:
    check_hang_ups(real_triton, SHORT_SECONDS)


def test_deadlines_that_pass(real_triton: TritonProcess) -> None:
    check_deadlines(real_triton, SHORT_SECONDS)


@pytest.mark.drill
@pytest.mark.timeout(DRILL_SECONDS + 300)
def test_hang_ups_for_minutes(real_triton: TritonProcess) -> None:
    check_hang_ups(real_triton, DRILL_SECONDS)


@pytest.mark.drill
@pytest.mark.timeout(DRILL_SECONDS + 300)
def test_deadlines_that_pass_for_minutes(real_triton: TritonProcess) -> None:
    check_deadlines(real_triton, DRILL_SECONDS / 5)
