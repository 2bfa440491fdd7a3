"""What Triton does wrong, and what a client of the gateway then sees."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gateway.errors.triton_errors import FAILURES
from gateway.http.protocol import HALF_CLOSED_SECONDS
from tests.gateway.support.fake_triton import FakeTriton, answer, running_fake_triton
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.small_model import publish


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


def before_fake(fake: FakeTriton, repository: Path, request_timeout: int) -> Iterator[GatewayProcess]:
    flags = (f"--request-timeout={request_timeout}", "--max-in-flight=4")
    with running_gateway(repository, fake.address, *flags) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def gateway(fake: FakeTriton, fake_repository: Path) -> Iterator[GatewayProcess]:
    yield from before_fake(fake, fake_repository, 1)


@pytest.fixture(scope="module")
def patient(fake: FakeTriton, fake_repository: Path) -> Iterator[GatewayProcess]:
    """Before the same fake, with a deadline that no test reaches."""
    yield from before_fake(fake, fake_repository, 120)


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def ask(client: httpx.Client, **fields: object) -> httpx.Response:
    return client.post("/v1/emotions", json={"text": "рад", **fields})


def test_the_table_has_every_failure() -> None:
    assert set(FAILURES) == set(grpc.StatusCode) - {grpc.StatusCode.OK}
    assert {status for status, _ in FAILURES.values()} == {500, 503, 504}
    assert all(bool(sentence) == (status == 503) for status, sentence in FAILURES.values())


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
def test_every_line_of_the_table(
    fake: FakeTriton, gateway: GatewayProcess, client: httpx.Client, code: grpc.StatusCode
) -> None:
    def fail(_: Any, context: grpc.ServicerContext) -> None:
        context.abort(code, "words for the log")

    fake.infer = fail
    status, sentence = FAILURES[code]
    for fields in ({}, {"texts": ["рад", "а " * 20], "text": None}):
        response = ask(client, **fields)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
        assert sentence in response.json()["detail"]
        assert "words for the log" not in response.text
        assert response.headers.get("retry-after") == ("1" if status == 503 else None)
    assert (f"{code.name}: words for the log" in gateway.log()) == (status == 500)


def test_answers_of_the_wrong_size_are_no_answers(
    fake: FakeTriton, gateway: GatewayProcess, client: httpx.Client
) -> None:
    fake.infer = lambda request, _: answer(request, missing=1)
    assert ask(client).status_code == 500
    assert "answered 20 bytes of probabilities for 1 rows, 24 expected" in gateway.log()


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
    # gRPC rounds up a little; without a deadline it would be years.
    assert 60 < seen[0] < 61.1


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
        self.freed.wait(60)
        self.cancelled += not context.is_active()
        self.ended.set()
        return answer(request)


@pytest.fixture
def hanging(fake: FakeTriton) -> Iterator[Hanging]:
    triton = Hanging(fake)
    yield triton
    triton.freed.set()
    assert triton.ended.wait(20)


def in_flight(client: httpx.Client) -> float:
    text = client.get("/metrics").text
    return float(next(line for line in text.splitlines() if line.startswith("emotion_requests_in_flight ")).split()[1])


def wait_for_in_flight(client: httpx.Client, number: int) -> None:
    deadline = time.monotonic() + 20
    while in_flight(client) != number:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_slow_triton_costs_no_more_than_the_deadline(client: httpx.Client, hanging: Hanging) -> None:
    start = time.monotonic()
    response = ask(client)
    assert response.status_code == 504
    assert response.json()["detail"] == "There was no answer from Triton within 1 s."
    assert time.monotonic() - start > 0.9
    # While Triton still hangs: the request is over, its call goes on.
    assert in_flight(client) == 0
    hanging.freed.set()
    assert hanging.ended.wait(20)
    assert hanging.cancelled == 0


def hang_up(gateway: GatewayProcess, hanging: Hanging) -> None:
    """A request whose client goes away when Triton has it."""
    url = httpx.URL(gateway.url)
    with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
        connection.sendall(b'POST /v1/emotions HTTP/1.1\r\nhost: a\r\ncontent-length: 13\r\n\r\n{"text": "a"}')
        assert hanging.arrived.wait(20)


def test_a_client_that_hangs_up_cancels_nothing(patient: GatewayProcess, hanging: Hanging) -> None:
    hang_up(patient, hanging)
    with patient.client() as client:
        wait_for_in_flight(client, 1)
        time.sleep(HALF_CLOSED_SECONDS + 0.5)
        # Its client is gone, and is not waited for any more; the work is not.
        assert in_flight(client) == 1
        hanging.freed.set()
        assert hanging.ended.wait(20)
        assert hanging.cancelled == 0
        wait_for_in_flight(client, 0)
        assert ask(client).status_code == 200
        assert 'status="499"' in client.get("/metrics").text


def test_hang_ups_pile_up_no_work(patient: GatewayProcess, hanging: Hanging) -> None:
    for _ in range(30):
        hang_up(patient, hanging)
    with patient.client() as client:
        # Four calls at most are under way at once, and nothing waits for one any more.
        deadline = time.monotonic() + 20
        while (count := in_flight(client)) > 4:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert 1 <= count <= 4
        assert 1 <= hanging.calls <= 4
        hanging.freed.set()
        wait_for_in_flight(client, 0)
        assert hanging.calls <= 4
        assert ask(client).status_code == 200
    assert hanging.cancelled == 0


def test_more_in_flight_than_allowed_are_refused_at_once(fake: FakeTriton, patient: GatewayProcess) -> None:
    waiting = threading.Semaphore(0)
    freed = threading.Event()

    def hang(request: Any, _: grpc.ServicerContext) -> Any:
        waiting.release(request.inputs[0].shape[0])  # Those that arrive at once share a call.
        freed.wait(60)
        return answer(request)

    fake.infer = hang
    statuses: list[int] = []

    def one() -> None:
        with patient.client() as client:
            statuses.append(ask(client).status_code)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert all(waiting.acquire(timeout=20) for _ in threads)
    with patient.client() as client:
        # While none of the four is answered.
        refused = ask(client)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert client.get("/health/live").status_code == 200
    freed.set()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 4
    with patient.client() as client:
        assert ask(client).status_code == 200


def test_a_body_that_does_not_arrive(gateway: GatewayProcess) -> None:
    def drip() -> Iterator[bytes]:
        yield b'{"text": '
        time.sleep(1.3)
        yield b'"a"}'

    with gateway.client() as client:
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
    statuses: list[int] = []
    with running_gateway(fake_repository, fake.address) as stopping:
        stopping.wait_until_ready()

        def one() -> None:
            with stopping.client() as client:
                statuses.append(ask(client).status_code)

        thread = threading.Thread(target=one)
        thread.start()
        assert arrived.wait(20)
        stopping.process.terminate()
        thread.join()
        assert stopping.process.wait(20) == 0
    assert statuses == [200]
