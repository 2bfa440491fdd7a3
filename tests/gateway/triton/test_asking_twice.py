"""What one Triton holds for long, or turns away, another one answers."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.gateway.support.fake_triton import FakeTriton, answer, running_fake_triton
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.support.waiting import SECONDS

AT_ONCE = 16
MOST_ROWS = 8
"""The fake's max_batch_size."""
SECONDS_OF_A_REQUEST = 30


@pytest.fixture
def fakes() -> Iterator[list[FakeTriton]]:
    with running_fake_triton() as first, running_fake_triton() as second:
        yield [first, second]


@pytest.fixture
def two(fakes: list[FakeTriton], repository: Path) -> Iterator[GatewayProcess]:
    for fake in fakes:
        fake.infer = lambda request, _: answer(request)
    addresses, timeout = ",".join(fake.address for fake in fakes), f"--request-timeout={SECONDS_OF_A_REQUEST}"
    with running_gateway(repository, addresses, timeout) as running:
        running.wait_until_ready()
        with running.client() as client:
            for _ in range(10):  # connected to both
                assert ask(client) == 200
        yield running


def ask(client: Any) -> int:
    return int(client.post("/v1/emotions", json={"text": "рад"}).status_code)


def ask_at_once(gateway: GatewayProcess, requests: int) -> Counter[int]:
    with gateway.client() as client, ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(lambda _: ask(client), range(requests)))


def test_what_one_holds_the_other_answers(fakes: list[FakeTriton], two: GatewayProcess) -> None:
    """The silence of a network, or SIGSTOP: no error, and nobody waits for the deadline."""
    freed = threading.Event()

    def hang(request: Any, _: grpc.ServicerContext) -> Any:
        freed.wait(SECONDS)
        return answer(request)

    fakes[0].infer = hang
    began = time.monotonic()
    statuses = ask_at_once(two, 200)
    seconds = time.monotonic() - began
    freed.set()
    assert statuses == {200: 200}
    assert seconds < SECONDS_OF_A_REQUEST - 5
    # Late answers are dropped, and do not disturb what comes after them.
    assert ask_at_once(two, 50) == {200: 50}


def test_the_late_answer_counts_if_the_other_fails(fakes: list[FakeTriton], two: GatewayProcess) -> None:
    def late(request: Any, _: grpc.ServicerContext) -> Any:
        time.sleep(2)
        return answer(request)

    def fails(_: Any, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.INTERNAL, "not here")

    fakes[0].infer = late
    with two.client() as client, ThreadPoolExecutor(1) as pool:
        asked = []
        while not asked or not _is_held(asked[-1]):
            asked.append(pool.submit(ask, client))
        fakes[1].infer = fails
        assert asked[-1].result() == 200


def _is_held(asked: Any) -> bool:
    try:
        asked.result(timeout=0.4)
    except TimeoutError:
        return True
    return False


def test_load_is_not_doubled(fakes: list[FakeTriton], two: GatewayProcess) -> None:
    """While all are slow nobody is asked twice."""
    calls: Counter[int] = Counter()
    lock = threading.Lock()

    def slow(number: int) -> Any:
        def infer(request: Any, _: grpc.ServicerContext) -> Any:
            with lock:
                calls[number] += request.inputs[0].shape[0]
            time.sleep(1.5)
            return answer(request)

        return infer

    for number, fake in enumerate(fakes):
        fake.infer = slow(number)
    statuses = ask_at_once(two, AT_ONCE)
    assert statuses == {200: AT_ONCE}
    # The first call of one may be slow a moment before that of the other is, and carry all that came at once.
    assert sum(calls.values()) <= AT_ONCE + MOST_ROWS


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.NOT_FOUND])
def test_what_is_turned_away_goes_to_one_that_has_enough(
    fakes: list[FakeTriton], two: GatewayProcess, code: grpc.StatusCode
) -> None:
    """One goes down with its calls while the other has as many slow ones as it should have."""
    slow, gone = threading.Event(), threading.Event()
    lock, held = threading.Lock(), Counter[int]()

    def busy(request: Any, _: grpc.ServicerContext) -> Any:
        with lock:
            held[1] += 1
        slow.wait(SECONDS)
        return answer(request)

    def goes(_: Any, context: grpc.ServicerContext) -> None:
        with lock:
            held[0] += 1
        gone.wait(SECONDS)
        context.abort(code, "going down")

    fakes[0].infer, fakes[1].infer = goes, busy
    with two.client() as client, ThreadPoolExecutor(128) as pool:
        asked = []
        # Calls that have become slow leave room for others, up to four at each.
        while held[0] < 4 or held[1] < 4:
            asked.append(pool.submit(ask, client))
            time.sleep(0.03)
            assert len(asked) < 128, held
        gone.set()
        time.sleep(0.2)
        slow.set()
        assert {each.result() for each in asked} == {200}
