"""Clients whose requests cost hundreds of times what others' do, and whether those others still get their answers."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.raw_http import Connection
from tests.support.triton_process import ROOT, TritonProcess

HEAVY_CLIENTS = 8
HEAVY = json.dumps({"texts": ["Ничего себе, вот это новость! " * 130] * 256}, ensure_ascii=False).encode()
SLOW_SENTENCES = json.dumps({"texts": ["! " * 5000] * 150, "parts": "sentences"}).encode()
"""Each takes razdel as long as a text can."""
LIGHT = json.dumps({"text": "Как же я рад тебя видеть!"}).encode()


@pytest.fixture(scope="module")
def real(real_triton: TritonProcess) -> Iterator[GatewayProcess]:
    with running_gateway(ROOT / "model_repository", real_triton.grpc_url, "--request-timeout=20") as running:
        running.wait_until_ready()
        yield running


def heavy_load(
    gateway: GatewayProcess, seconds: float, body: bytes = HEAVY
) -> tuple[list[float], Counter[int], Counter[int]]:
    """A light client's times, and what it and the heavy ones were answered."""
    times: list[float] = []
    light: Counter[int] = Counter()
    heavy: Counter[int] = Counter()
    end = time.monotonic() + seconds

    async def ask_much() -> None:
        async with Connection(gateway.url) as connection:
            while time.monotonic() < end:
                answer = await connection.ask(body)
                heavy[answer.status] += 1
                if answer.status == 429:
                    await asyncio.sleep(float(answer.headers["retry-after"]))

    async def ask_little() -> None:
        async with Connection(gateway.url) as connection:
            while (began := time.monotonic()) < end:
                answer = await connection.ask(LIGHT)
                times.append(time.monotonic() - began)
                light[answer.status] += 1
                await asyncio.sleep(0.02)

    async def run() -> None:
        await asyncio.gather(*(ask_much() for _ in range(HEAVY_CLIENTS)), ask_little())

    asyncio.run(run())
    print(
        f"{HEAVY_CLIENTS} clients with bodies of {len(body) / 1e6:.1f} MB: {dict(heavy)}; a light one: {dict(light)}, "
        f"median {np.median(times) * 1e3:.0f} ms, p99 {np.percentile(times, 99) * 1e3:.0f} ms"
    )
    return times, light, heavy


def test_heavy_clients_leave_room_for_a_light_one(real: GatewayProcess) -> None:
    assert 1.7e6 < len(HEAVY) < 2 * 1024 * 1024
    _, light, heavy = heavy_load(real, 3)
    assert set(light) == {200}
    assert heavy[200] > 0
    assert set(heavy) <= {200, 429, 504}


@pytest.mark.drill
def test_sentences_that_take_long_to_find_leave_room_for_a_light_one(real_triton: TritonProcess) -> None:
    with running_gateway(ROOT / "model_repository", real_triton.grpc_url, "--request-timeout=5") as gateway:
        gateway.wait_until_ready()
        times, light, heavy = heavy_load(gateway, 20, SLOW_SENTENCES)
    assert set(light) == {200}
    assert np.percentile(times, 99) < 1
    assert set(heavy) <= {200, 429, 504}


@pytest.mark.drill
def test_heavy_clients_for_a_minute(real: GatewayProcess) -> None:
    times, light, heavy = heavy_load(real, 60)
    assert set(light) == {200}
    assert heavy[200] > 0
    assert np.percentile(times, 99) < 1
