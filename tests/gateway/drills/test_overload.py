"""Ten times what it can carry: who is let in is answered as at full load, the rest are told at once.

Requests are heavy, with the real model's longest texts, so that a test's client on the same
machine can offer ten times as many.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.raw_http import Connection
from tests.support.triton_process import ROOT, TritonProcess

PLACES = 8
BODY = json.dumps({"texts": ["Ничего себе, вот это новость! Мне страшно и грустно. " * 20] * 4}).encode()


@dataclass
class Measured:
    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    taken: dict[int, list[float]] = field(default_factory=lambda: {200: [], 429: []})

    def note(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.taken.setdefault(status, []).append(seconds)

    def p99(self, status: int) -> float:
        return float(np.percentile(self.taken[status], 99))

    def rate(self, status: int) -> float:
        return self.statuses[status] / self.seconds


@pytest.fixture(scope="module")
def small(real_triton: TritonProcess) -> Iterator[GatewayProcess]:
    """A gateway with few places, before the real model."""
    flags = (f"--max-in-flight={PLACES}",)
    with running_gateway(ROOT / "model_repository", real_triton.grpc_url, *flags) as running:
        running.wait_until_ready()
        yield running


async def full_load(gateway: GatewayProcess, seconds: float) -> Measured:
    """As many clients as there are places, each asking without pause."""
    measured = Measured(seconds)
    end = time.monotonic() + seconds

    async def one() -> None:
        async with Connection(gateway.url) as connection:
            while (began := time.monotonic()) < end:
                answer = await connection.ask(BODY)
                measured.note(answer.status, time.monotonic() - began)

    await asyncio.gather(*(one() for _ in range(PLACES)))
    return measured


async def offer(gateway: GatewayProcess, rate: float, seconds: float) -> Measured:
    """Requests at a fixed rate, whatever becomes of those before."""
    measured = Measured(seconds)
    free: list[Connection] = []
    under_way: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        connection = free.pop() if free else Connection(gateway.url)
        answer = await connection.ask(BODY)
        free.append(connection)
        measured.note(answer.status, time.monotonic() - due)
        if answer.status == 429:
            assert answer.headers["retry-after"] == "1"

    start = time.monotonic()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        # Timed from when it is sent: a client that comes late is no fault of the gateway's.
        task = asyncio.create_task(one(time.monotonic()))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    for connection in free:
        connection.close()
    return measured


def overload(gateway: GatewayProcess, seconds: float) -> tuple[Measured, Measured]:
    asyncio.run(full_load(gateway, 1))
    full = asyncio.run(full_load(gateway, seconds))
    over = asyncio.run(offer(gateway, 10 * full.rate(200), seconds))
    for name, measured in (("full load", full), ("ten times", over)):
        print(
            f"{name}: {dict(measured.statuses)}, answered {measured.rate(200):.0f}/s with p99 "
            f"{measured.p99(200) * 1e3:.0f} ms"
            + (f", refused with p99 {measured.p99(429) * 1e3:.1f} ms" if measured.taken[429] else "")
        )
    assert set(full.statuses) == {200}
    assert set(over.statuses) == {200, 429}
    assert over.statuses[429] > over.statuses[200]
    with gateway.client() as client:
        assert client.post("/v1/emotions", content=BODY).status_code == 200
    return full, over


def test_ten_times_the_load(small: GatewayProcess) -> None:
    overload(small, 2)


@pytest.mark.drill
def test_ten_times_the_load_for_a_minute(small: GatewayProcess) -> None:
    full, over = overload(small, 60)
    assert over.p99(200) < 2 * full.p99(200)
    assert over.p99(429) < 0.05
