"""Several Tritons behind one address: shared, and one that joins, leaves, dies, hangs or turns calls away."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest

from tests.gateway.support.fake_triton import FakeTriton, answer, running_fake_triton
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.host_name import NAME, HostName
from tests.gateway.support.load import ready_all_the_time, running_load
from tests.gateway.support.metrics import requests_served
from tests.gateway.support.small_model import publish
from tests.support.triton_process import TritonProcess, running_triton
from tests.support.waiting import SECONDS, wait_until


def ask(client: httpx.Client) -> int:
    return client.post("/v1/emotions", json={"text": "рад"}).status_code


@pytest.fixture
def fakes() -> Iterator[list[FakeTriton]]:
    with running_fake_triton() as first, running_fake_triton() as second:
        yield [first, second]


@pytest.fixture
def addresses(fakes: list[FakeTriton]) -> str:
    return ",".join(fake.address for fake in fakes)


@pytest.fixture
def two(addresses: str, repository: Path) -> Iterator[GatewayProcess]:
    with running_gateway(repository, addresses) as running:
        running.wait_until_ready()
        yield running


def counting(fake: FakeTriton, number: int, calls: Counter[int]) -> None:
    def infer(request: Any, _: grpc.ServicerContext) -> Any:
        calls[number] += 1
        return answer(request)

    fake.infer = infer


def test_the_work_is_shared(fakes: list[FakeTriton], two: GatewayProcess) -> None:
    calls: Counter[int] = Counter()
    for number, fake in enumerate(fakes):
        counting(fake, number, calls)
    with two.client() as client:
        while len(calls) < 2:
            # Connected to one so far.
            assert ask(client) == 200
        calls.clear()
        assert {ask(client) for _ in range(40)} == {200}
    assert calls == {0: 20, 1: 20}


def test_a_call_turned_away_goes_to_the_other(fakes: list[FakeTriton], two: GatewayProcess) -> None:
    calls: Counter[int] = Counter()
    counting(fakes[1], 1, calls)

    def away(_: Any, context: grpc.ServicerContext) -> None:
        calls[0] += 1
        context.abort(grpc.StatusCode.UNAVAILABLE, "not loaded here yet")

    fakes[0].infer = away
    with two.client() as client:
        assert {ask(client) for _ in range(6)} == {200}
    assert calls[0] >= 1
    assert calls[1] == 6


def test_one_that_hangs_is_left_out(fakes: list[FakeTriton], addresses: str, repository: Path) -> None:
    calls: Counter[int] = Counter()
    counting(fakes[1], 1, calls)
    freed = threading.Event()

    def hang(request: Any, _: grpc.ServicerContext) -> Any:
        freed.wait(SECONDS)
        return answer(request)

    fakes[0].infer = hang
    with (
        running_gateway(repository, addresses, "--request-timeout=1") as hasty,
        hasty.client() as client,
        ThreadPoolExecutor(8) as pool,
    ):
        hasty.wait_until_ready()

        def left_out() -> bool:
            # Enough calls to judge by, and the seconds that judging takes.
            assert set(pool.map(lambda _: ask(client), range(24))) <= {200, 504}
            # In turn every other one would meet the one that hangs.
            return [ask(client) for _ in range(10)] == [200] * 10

        wait_until(left_out)
        freed.set()


def test_a_name_will_do(repository: Path) -> None:
    with running_fake_triton() as fake:
        fake.infer = lambda request, _: answer(request)
        port = fake.address.rpartition(":")[2]
        with running_gateway(repository, f"localhost:{port}") as gateway:
            gateway.wait_until_ready()
            with gateway.client() as client:
                assert ask(client) == 200


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, TritonProcess, TritonProcess]]:
    """Two Tritons of one repository, on one port of two addresses."""
    repository = tmp_path_factory.mktemp("pair") / "model_repository"
    repository.mkdir()
    publish(repository, 1)
    with (
        running_triton(repository, "--metrics") as first,
        running_triton(repository, "--host=127.0.0.2", f"--grpc-port={first.grpc_port}", "--metrics") as second,
    ):
        yield repository, first, second


def test_one_of_two_real_tritons_dies_and_comes_back(pair: tuple[Path, TritonProcess, TritonProcess]) -> None:
    repository, stays, _ = pair
    with (
        running_triton(repository, stops_cleanly=False) as goes,
        running_gateway(repository, f"{stays.grpc_url},{goes.grpc_url}") as gateway,
    ):
        gateway.wait_until_ready()
        with running_load(gateway) as load:
            psutil.Process(goes.triton_pid).kill()
            load.wait_for(100)
            assert gateway.readiness() == 200
            goes.launcher.wait(SECONDS)
            with running_triton(repository, f"--grpc-port={goes.grpc_port}", "--metrics") as back:
                wait_until(lambda: requests_served(back.metrics_port) >= 10)
        # What was in the dead one's hands is lost or sent again; nothing else is.
        assert set(load.statuses) <= {200, 503}
        assert load.statuses[503] <= 8


def test_one_of_two_real_tritons_stands_still(pair: tuple[Path, TritonProcess, TritonProcess]) -> None:
    """SIGSTOP: its connection stays open, and it answers nothing."""
    repository, first, _ = pair
    addresses = f"127.0.0.1:{first.grpc_port},127.0.0.2:{first.grpc_port}"
    with running_gateway(repository, addresses, "--request-timeout=3") as gateway:
        gateway.wait_until_ready()
        server = psutil.Process(first.triton_pid)
        with running_load(gateway) as load, ready_all_the_time(gateway):
            server.suspend()
            try:
                load.wait_for(200)
                # What it had in hand is answered late, by nobody.
                assert set(load.statuses) <= {200, 504}
                assert load.statuses[504] <= 16
                late = load.statuses[504]
                load.wait_for(200)
                assert load.statuses[504] <= late + 8
            finally:
                server.resume()
            before = requests_served(first.metrics_port)
            wait_until(lambda: requests_served(first.metrics_port) >= before + 20)


def test_real_tritons_join_and_leave_a_name(pair: tuple[Path, TritonProcess, TritonProcess], tmp_path: Path) -> None:
    repository, first, second = pair
    name, port = HostName(tmp_path), first.grpc_port

    def served() -> tuple[float, float]:
        return requests_served(first.metrics_port), requests_served(second.metrics_port, "127.0.0.2")

    name.set_addresses("127.0.0.1")
    with running_gateway(repository, f"{NAME}:{port}", program=name.program) as gateway:
        gateway.wait_until_ready()
        with running_load(gateway, clients=16) as load, ready_all_the_time(gateway):
            start = served()
            load.wait_for(100)
            assert served()[1] == start[1]
            name.set_addresses("127.0.0.1", "127.0.0.2")
            wait_until(lambda: served()[1] > start[1])
            before = served()
            load.wait_for(400)
            after = served()
            rows = after[0] - before[0], after[1] - before[1]
            # Its share.
            assert 0.35 < rows[1] / sum(rows) < 0.65
            name.set_addresses("127.0.0.2")
            wait_until(lambda: f"has the address 127.0.0.1:{port} no more" in gateway.log(), gateway.log)
            load.wait_for(50)
            gone = served()[0]
            load.wait_for(100)
            assert served()[0] == gone
        assert list(load.statuses) == [200]


def test_a_name_that_has_no_address_yet(repository: Path, tmp_path: Path) -> None:
    name = HostName(tmp_path)
    with running_fake_triton() as fake:
        fake.infer = lambda request, _: answer(request)
        port = fake.address.rpartition(":")[2]
        with running_gateway(repository, f"{NAME}:{port}", program=name.program) as gateway, gateway.client() as client:
            gateway.wait_until_ready(status=503)
            assert ask(client) == 503
            assert f"{NAME} can't be looked up" in client.get("/health/ready").json()["detail"]
            name.set_addresses("127.0.0.1")
            gateway.wait_until_ready()
            assert ask(client) == 200
