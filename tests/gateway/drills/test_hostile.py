"""Random and hostile requests: only the right refusals, flat memory, and right answers between them."""

import asyncio
import json
import random
import string
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.raw_http import Connection
from tests.gateway.support.small_model import WORDS, expected
from tests.support.triton_process import TritonProcess

MEGABYTE = 1024 * 1024
ODD = ["\0", "\u202e", "\u200f", "😀", "👩‍👩‍👧", "ы\u0301", "\ufeff", "\u2028", "[SEP]", "<s>", "﷽", "\x7f", "\\", '"']
Attack = tuple[bytes, set[int]]
"""A body, and the statuses that are right."""


def _random_bytes(chance: random.Random) -> Attack:
    return b"\xff" + chance.randbytes(chance.randint(0, 300)), {400}


def _nested(chance: random.Random) -> Attack:
    depth = chance.choice([10, 150, 1000, 100_000])
    opening, closing = chance.choice([("[", "]"), ('{"text":', "}")])
    return (opening * depth + "1" + closing * depth * chance.randint(0, 1)).encode(), {400, 422}


def _wrong_types(chance: random.Random) -> Attack:
    wrong = chance.choice([1, 0.5, None, True, {}, [], [1], {"a": "b"}, -1e300])
    field = chance.choice(["text", "texts"])
    return json.dumps({field: wrong}).encode(), {422}


def _unknown_fields(chance: random.Random) -> Attack:
    name = "".join(chance.choices(string.printable + "яё/~%", k=chance.randint(1, 50))) + "x"
    return json.dumps({"text": "рад", name: 1}).encode(), {422}


def _unknown_names(chance: random.Random) -> Attack:
    field = chance.choice(["model", "version"])
    name = "".join(chance.choices(string.printable + "яё", k=chance.randint(6, 150)))
    return json.dumps({"text": "рад", field: name}).encode(), {404}


def _surrogates(chance: random.Random) -> Attack:
    half = f"\\u{chance.randint(0xD800, 0xDFFF):04x}"
    return f'{{"text": "рад {half}"}}'.encode(), {422}


def _huge_body(chance: random.Random) -> Attack:
    return b'{"text": "' + b"a" * (2 * MEGABYTE + chance.randint(0, MEGABYTE)) + b'"}', {413}


def _huge_text(chance: random.Random) -> Attack:
    return json.dumps({"text": chance.choice("aя😀") * (MEGABYTE // 4)}, ensure_ascii=False).encode(), {422}


def _many_texts(chance: random.Random) -> Attack:
    return json.dumps({"texts": ["рад"] * chance.randint(257, 5000)}).encode(), {422}


def _many_fields(chance: random.Random) -> Attack:
    return json.dumps({f"field{number}": 1 for number in range(chance.randint(200, 2000))}).encode(), {422}


def _odd_texts(chance: random.Random) -> Attack:
    text = "".join(chance.choices([*ODD, *WORDS, " "], k=chance.randint(0, 100)))
    return json.dumps({"text": text}, ensure_ascii=chance.random() < 0.5).encode(), {200}


def _thresholds(chance: random.Random) -> Attack:
    value = chance.choice(["NaN", "Infinity", "-1", "2", '"0.5"', "1e999", "[0.5]"])
    return f'{{"text": "рад", "threshold": {value}}}'.encode(), {400, 422}


COMMON: list[Callable[[random.Random], Attack]] = [
    _random_bytes, _nested, _wrong_types, _unknown_fields, _unknown_names, _surrogates, _many_texts, _many_fields,
    _odd_texts, _thresholds,
]  # fmt: skip
RARE: list[Callable[[random.Random], Attack]] = [_huge_body, _huge_text]


def attack(gateway: GatewayProcess, requests: int, clients: int = 16) -> Counter[int]:
    """Send that many from many connections, every tenth a good one; gives what came back."""
    statuses: Counter[int] = Counter()
    right = {text: expected(text, 2)["joy"] for text in [*WORDS, "рад рад страшно", "дом"]}
    process = psutil.Process(gateway.process.pid)
    memory: list[int] = []

    async def one(number: int) -> None:
        chance = random.Random(number)  # noqa: S311
        async with Connection(gateway.url) as connection:
            for sent in range(requests // clients):
                if sent % 10 == 0:
                    text = chance.choice(list(right))
                    answer = await connection.ask(json.dumps({"text": text}).encode())
                    assert answer.status == 200
                    joy = json.loads(answer.body)["results"][0]["probabilities"]["joy"]
                    assert joy == pytest.approx(right[text], abs=1e-5)
                    continue
                body, wanted = chance.choice(RARE if chance.random() < 0.01 else COMMON)(chance)
                answer = await connection.ask(body)
                assert answer.status in wanted, (answer, body[:500])
                statuses[answer.status] += 1
                if number == 0 and sent % 10 == 5:
                    memory.append(process.memory_info().rss)

    async def run() -> None:
        await asyncio.gather(*(one(number) for number in range(clients)))

    began = time.monotonic()
    asyncio.run(run())
    # From a tenth on, when every kind has been met once.
    settled = memory[len(memory) // 10 :]
    quarter = len(settled) // 4
    growth = max(settled[-quarter:]) - max(settled[:quarter])
    print(
        f"{requests} requests in {time.monotonic() - began:.0f} s: {dict(statuses)}; "
        f"memory {max(settled) / MEGABYTE:.0f} MiB at most, grown by {growth / MEGABYTE:.1f} MiB"
    )
    assert growth < 24 * MEGABYTE
    return statuses


@pytest.fixture(scope="module")
def attacked(shared_repository: Path, shared_triton: TritonProcess) -> Iterator[GatewayProcess]:
    # Hundreds of megabytes of bodies on a busy machine: a body may take its time here.
    with running_gateway(shared_repository, shared_triton.grpc_url, "--request-timeout=60") as running:
        running.wait_until_ready()
        yield running


def test_hostile_requests(attacked: GatewayProcess) -> None:
    statuses = attack(attacked, 3_200)
    assert set(statuses) == {200, 400, 404, 413, 422}


@pytest.mark.drill
def test_a_hundred_thousand_hostile_requests(attacked: GatewayProcess) -> None:
    attack(attacked, 100_000)
