"""Clients that ask without pause while a test does something to what they ask."""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.small_model import expected
from tests.support.waiting import wait_until

TEXTS = ("рад", "мне страшно", "ого, вот это да", "грустно мне, дом мой пуст", "злюсь")


class Load:
    """What the clients have seen so far."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.versions: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest = 0.0

    def wait_for(self, answers: int) -> None:
        """Until that many more requests have been answered with 200."""
        goal = self.statuses[200] + answers
        wait_until(lambda: self.statuses[200] >= goal, lambda: self.statuses)


@contextlib.contextmanager
def running_load(gateway: GatewayProcess, clients: int = 8) -> Iterator[Load]:
    """Clients in a thread of their own, until the context ends."""
    load, stop = Load(), threading.Event()
    right = {(text, v): expected(text, v)["joy"] for text in TEXTS for v in (1, 2, 3)}

    async def one(number: int) -> None:
        async with gateway.async_client() as client:
            while not stop.is_set():
                text = TEXTS[number % len(TEXTS)]
                number += 1
                start = time.monotonic()
                response = await client.post("/v1/emotions", json={"text": text})
                load.slowest = max(load.slowest, time.monotonic() - start)
                load.statuses[response.status_code] += 1
                # The test machine has other things to do; and who is refused waits, as a client would.
                await asyncio.sleep(0.01 if response.status_code == 200 else 0.05)
                if response.status_code != 200:
                    continue
                answer = response.json()
                load.versions[answer["version"]] += 1
                joy = answer["results"][0]["probabilities"]["joy"]
                if abs(joy - right[text, int(answer["version"])]) > 1e-5:
                    load.wrong.append(response.text)

    async def run() -> None:
        await asyncio.gather(*(one(number) for number in range(clients)))

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        load.wait_for(20)
        yield load
    finally:
        stop.set()
        thread.join()
    assert not load.wrong


@contextlib.contextmanager
def ready_all_the_time(gateway: GatewayProcess) -> Iterator[None]:
    """Asked again and again while the context lasts, readiness never says no."""
    seen: Counter[int] = Counter()
    stop = threading.Event()

    def ask_again_and_again() -> None:
        with gateway.client() as client:
            while not stop.wait(0.05):
                seen[client.get("/health/ready").status_code] += 1

    thread = threading.Thread(target=ask_again_and_again)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert list(seen) == [200], seen
