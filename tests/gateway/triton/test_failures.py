"""What Triton does wrong, and what a client of the gateway then sees."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.gateway.support.fake_triton import FakeTriton, answer, answer_of, running_fake_triton
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import in_flight, wait_for_in_flight
from tests.gateway.support.raw_socket import connected
from tests.gateway.support.small_model import publish
from tests.support.waiting import SECONDS, wait_until


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeTriton]:
    with running_fake_triton() as running:
        yield running


@pytest.fixture(scope="module")
def fake_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fake") / "model_repository"
    path.mkdir()
    publish(path, 1)
    return path


@pytest.fixture(scope="module")
def gateway(fake: FakeTriton, fake_repository: Path) -> Iterator[GatewayProcess]:
    """With a deadline that no test reaches."""
    with running_gateway(fake_repository, fake.address, "--request-timeout=120", "--max-in-flight=4") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def hurried(fake: FakeTriton, fake_repository: Path) -> Iterator[GatewayProcess]:
    """Before the same fake, with a deadline of a second."""
    with running_gateway(fake_repository, fake.address, "--request-timeout=1") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def ask(client: httpx.Client, **fields: object) -> httpx.Response:
    return client.post("/v1/emotions", json={"text": "рад", **fields})


BUG = "Triton could not compute this request; the gateway's log says more."
LATE = "There was no answer from Triton within 120 s."
BUSY = "Triton is not there, or can't take more at the moment: try again."
GONE = "Triton has just unloaded this model version: try again."
REFUSED = "Triton does not let the gateway in: its operator has to look at the settings."
WRONG = "Triton answered numbers that are no probabilities, twice: try again."
UNABLE = "What answers at Triton's address can't serve this model in the way the gateway asks."
ANSWERS = [
    (grpc.StatusCode.CANCELLED, 503, BUSY),
    (grpc.StatusCode.UNKNOWN, 500, BUG),
    (grpc.StatusCode.INVALID_ARGUMENT, 500, BUG),
    (grpc.StatusCode.DEADLINE_EXCEEDED, 504, LATE),
    (grpc.StatusCode.NOT_FOUND, 503, GONE),
    (grpc.StatusCode.ALREADY_EXISTS, 500, BUG),
    (grpc.StatusCode.PERMISSION_DENIED, 503, REFUSED),
    (grpc.StatusCode.UNAUTHENTICATED, 503, REFUSED),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, 503, BUSY),
    (grpc.StatusCode.FAILED_PRECONDITION, 503, BUSY),
    (grpc.StatusCode.ABORTED, 503, BUSY),
    (grpc.StatusCode.OUT_OF_RANGE, 500, BUG),
    (grpc.StatusCode.UNIMPLEMENTED, 503, UNABLE),
    (grpc.StatusCode.INTERNAL, 500, BUG),
    (grpc.StatusCode.UNAVAILABLE, 503, BUSY),
    (grpc.StatusCode.DATA_LOSS, 503, WRONG),
]
"""gRPC status of Triton, HTTP status of the gateway, and the sentence its client reads."""


def test_every_failure_is_tested() -> None:
    assert {code for code, _, _ in ANSWERS} == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize(("code", "status", "sentence"), ANSWERS, ids=lambda value: getattr(value, "name", ""))
def test_every_failure_has_its_answer(
    fake: FakeTriton, gateway: GatewayProcess, client: httpx.Client, code: grpc.StatusCode, status: int, sentence: str
) -> None:
    def fail(_: Any, context: grpc.ServicerContext) -> None:
        context.abort(code, "words for the log")

    fake.infer = fail
    for fields in ({}, {"texts": ["рад", "а " * 20], "text": None}):
        response = ask(client, **fields)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
        assert response.json()["detail"] == sentence
        assert response.headers.get("retry-after") == ("1" if status == 503 else None)
    assert (f"{code.name}: words for the log" in gateway.log()) == (status == 500)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (answer_of([0.5] * 5, [1, 6]), "bytes that are not what it says"),
        (answer_of([0.5] * 5, [1, 5]), "FP32 [1, 5]"),
        (answer_of([0.5] * 12, [2, 6]), "FP32 [2, 6]"),
        (answer_of([0.5] * 6, [6]), "FP32 [6]"),
        (answer_of([0.5] * 6, [1, 6], datatype="INT32"), "INT32 [1, 6]"),
        (answer_of([0.5] * 6, [1, 6], datatype="BYTES"), "BYTES [1, 6]"),
        (answer_of([0.5] * 6, [1, 6], name="logits"), "none"),
        (answer_of([], [1, 6]), "bytes that are not what it says"),
    ],
)
def test_answers_of_the_wrong_size_or_type_are_no_answers(
    fake: FakeTriton, gateway: GatewayProcess, client: httpx.Client, wrong: Any, said: str
) -> None:
    fake.infer = lambda *_: wrong
    before = len(gateway.log())
    response = ask(client)
    assert response.status_code == 500
    assert response.json()["detail"] == "Triton could not compute this request; the gateway's log says more."
    logged = gateway.log()[before:]
    assert f"answered as probabilities {said}" in logged
    assert "FP32 [1, 6] expected" in logged


def test_answers_that_are_no_numbers_are_no_answers(
    fake: FakeTriton, gateway: GatewayProcess, client: httpx.Client
) -> None:
    fake.infer = lambda request, _: answer(request, value=float("nan"))
    response = ask(client)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.json()["detail"] == "Triton answered numbers that are no probabilities, twice: try again."
    assert "not all finite" in gateway.log()


def test_triton_gets_a_deadline_that_hardly_ever_passes(fake: FakeTriton, client: httpx.Client) -> None:
    seen: list[float] = []

    def see(request: Any, context: grpc.ServicerContext) -> Any:
        seen.append(context.time_remaining())
        return answer(request)

    fake.infer = see
    assert ask(client).status_code == 200
    # A minute more than the request has; without a deadline it would be years.
    assert 120 < seen[0] < 182


class Hanging:
    """A `ModelInfer` that answers when it is let go, and sees whether its calls are cancelled."""

    def __init__(self, fake: FakeTriton) -> None:
        self.calls = 0
        self.arrived, self.freed, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.cancelled = 0
        fake.infer = self.infer

    def infer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.calls += 1
        self.arrived.set()
        self.freed.wait(SECONDS)
        self.cancelled += not context.is_active()
        self.ended.set()
        return answer(request)


@pytest.fixture
def hanging(fake: FakeTriton) -> Iterator[Hanging]:
    triton = Hanging(fake)
    yield triton
    triton.freed.set()
    assert triton.ended.wait(SECONDS)


def test_a_slow_triton_costs_no_more_than_the_deadline(hurried: GatewayProcess, hanging: Hanging) -> None:
    with hurried.client() as client:
        start = time.monotonic()
        response = ask(client)
        assert response.status_code == 504
        assert response.json()["detail"] == "There was no answer from Triton within 1 s."
        assert time.monotonic() - start > 0.9
        # While Triton still hangs: the request is over, its call goes on.
        assert in_flight(client) == 0
    hanging.freed.set()
    assert hanging.ended.wait(SECONDS)
    assert hanging.cancelled == 0


def hang_up(gateway: GatewayProcess, hanging: Hanging) -> None:
    """A request whose client goes away when Triton has it."""
    with connected(gateway) as raw:
        raw.send(b'POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-length: 13\r\n\r\n{"text": "a"}')
        assert hanging.arrived.wait(SECONDS)


def test_a_client_that_hangs_up_cancels_nothing(
    gateway: GatewayProcess, client: httpx.Client, hanging: Hanging
) -> None:
    hang_up(gateway, hanging)
    wait_for_in_flight(client, 1)
    # Longer than a client that has closed its sending end is waited for: 0.5 s.
    time.sleep(1)
    # The client is not waited for any more; the work is.
    assert in_flight(client) == 1
    hanging.freed.set()
    assert hanging.ended.wait(SECONDS)
    assert hanging.cancelled == 0
    wait_for_in_flight(client, 0)
    assert ask(client).status_code == 200
    assert 'status="499"' in client.get("/metrics").text


def test_hang_ups_pile_up_no_work(gateway: GatewayProcess, client: httpx.Client, hanging: Hanging) -> None:
    for _ in range(30):
        hang_up(gateway, hanging)
    # Four calls at most are under way at once, and nothing waits for one any more.
    wait_until(lambda: in_flight(client) <= 4, lambda: in_flight(client))
    assert 1 <= in_flight(client) <= 4
    assert 1 <= hanging.calls <= 4
    hanging.freed.set()
    wait_for_in_flight(client, 0)
    assert hanging.calls <= 4
    assert ask(client).status_code == 200
    assert hanging.cancelled == 0


def test_more_in_flight_than_allowed_are_refused_at_once(
    fake: FakeTriton, gateway: GatewayProcess, client: httpx.Client
) -> None:
    waiting = threading.Semaphore(0)
    freed = threading.Event()

    def hang(request: Any, _: grpc.ServicerContext) -> Any:
        waiting.release(request.inputs[0].shape[0])  # Those that arrive at once share a call.
        freed.wait(SECONDS)
        return answer(request)

    def one(_: int) -> int:
        with gateway.client() as its_own:
            return ask(its_own).status_code

    fake.infer = hang
    with ThreadPoolExecutor(4) as pool:
        asked = pool.map(one, range(4))
        assert all(waiting.acquire(timeout=SECONDS) for _ in range(4))
        # While none of the four is answered.
        refused = ask(client)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert client.get("/health/live").status_code == 200
        freed.set()
        assert list(asked) == [200] * 4
    assert ask(client).status_code == 200


def test_a_body_that_does_not_arrive(hurried: GatewayProcess) -> None:
    def drip() -> Iterator[bytes]:
        yield b'{"text": '
        time.sleep(1.3)
        yield b'"a"}'

    with hurried.client() as client:
        response = client.post("/v1/emotions", content=drip())
    assert response.status_code == 408
    assert response.json()["detail"] == "The body did not arrive whole within 1 s."


def test_admitted_requests_are_answered_when_it_stops(fake: FakeTriton, fake_repository: Path) -> None:
    arrived = threading.Event()

    def slow(request: Any, _: grpc.ServicerContext) -> Any:
        arrived.set()
        time.sleep(0.7)
        return answer(request)

    fake.infer = slow
    with running_gateway(fake_repository, fake.address) as stopping, ThreadPoolExecutor(1) as pool:
        stopping.wait_until_ready()
        with stopping.client() as client:
            asked = pool.submit(ask, client)
            assert arrived.wait(SECONDS)
            stopping.process.terminate()
            assert asked.result().status_code == 200
        assert stopping.process.wait(SECONDS) == 0
