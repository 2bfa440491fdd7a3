"""Requests at a steady rate to several gateways, as a balancer sends them: in turn to those that are ready.

    python -m tests.deploy.network.load --rate 40 --seconds 300 http://10.87.0.13:8080 http://10.87.0.14:8080

Every request is sent at its time, however long others take, and once: nothing is tried again, so what fails is seen.
Each is a line of JSON on standard output: when it was sent (CLOCK_MONOTONIC), how long it took, and what came. Ends
after `--seconds`, or when standard input does.
"""

import argparse
import asyncio
import json
import sys
import time

import httpx

TEXTS = ("Как же я рад тебя видеть!", "Мне страшно.", "Ого, вот это да", "Злюсь на всех", "Дождь идёт", "Грустно")
ANSWER_SECONDS = 10.0
"""Longer than a gateway takes to give up."""
LOOK_SECONDS = 0.5
"""Between two looks at each gateway's readiness."""


class Balancer:
    """Which gateways are ready."""

    def __init__(self, client: httpx.AsyncClient, urls: list[str]) -> None:
        self._client = client
        self._urls = urls
        self._ready: list[str] = []

    async def watch(self, url: str) -> None:
        """Look again and again; one look that fails is enough, as is one that succeeds."""
        while True:
            try:
                answer = await self._client.get(f"{url}/health/ready", timeout=1.0, headers={"connection": "close"})
                is_ready = answer.status_code == 200
            except httpx.HTTPError:
                is_ready = False
            if is_ready != (url in self._ready):
                self._ready = [each for each in self._urls if (is_ready if each == url else each in self._ready)]
            await asyncio.sleep(LOOK_SECONDS)

    def next(self) -> str | None:
        """The next one in turn; None if none is ready."""
        if not self._ready:
            return None
        self._ready.append(self._ready.pop(0))
        return self._ready[-1]


async def ask(client: httpx.AsyncClient, url: str | None, text: str) -> None:
    began = time.monotonic()
    if url is None:
        outcome = "no gateway is ready"
    else:
        try:
            answer = await client.post(f"{url}/v1/emotions", json={"text": text}, timeout=ANSWER_SECONDS)
            outcome = str(answer.status_code)
            if answer.status_code == 200:
                outcome = "200" if answer.json()["results"][0]["emotion"] else "no emotion"
            else:
                outcome += f" {answer.json().get('detail', '')[:80]}"
        except httpx.HTTPError as error:
            outcome = type(error).__name__
    print(json.dumps({"at": began, "seconds": time.monotonic() - began, "outcome": outcome, "url": url}), flush=True)


async def main(urls: list[str], rate: float, seconds: float) -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30)
    loop = asyncio.get_running_loop()
    told = loop.run_in_executor(None, sys.stdin.read)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as client:
        balancer = Balancer(client, urls)
        watching = [asyncio.create_task(balancer.watch(url)) for url in urls]
        await asyncio.sleep(2 * LOOK_SECONDS)
        asked: set[asyncio.Task[None]] = set()
        began, number = loop.time(), 0
        while loop.time() - began < seconds and not told.done():
            task = asyncio.create_task(ask(client, balancer.next(), TEXTS[number % len(TEXTS)]))
            asked.add(task)
            task.add_done_callback(asked.discard)
            number += 1
            await asyncio.sleep(max(began + number / rate - loop.time(), 0))
        if asked:
            await asyncio.wait(asked)
        for each in watching:
            each.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parsed = parser.parse_args()
    asyncio.run(main(parsed.urls, parsed.rate, parsed.seconds))
