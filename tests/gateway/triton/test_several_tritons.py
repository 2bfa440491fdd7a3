"""Several Tritons behind one address: shared, and one that joins, leaves, dies, hangs or turns calls away."""

import contextlib
import threading
import time
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
from tests.gateway.support.load import running_load
from tests.triton_process import running_triton


def ask(client: httpx.Client) -> int:
    return client.post("/v1/emotions", json={"text": "рад"}).status_code


@pytest.fixture
def fakes() -> Iterator[list[FakeTriton]]:
    with running_fake_triton() as first, running_fake_triton() as second:
        yield [first, second]


@pytest.fixture
def two(fakes: list[FakeTriton], repository: Path) -> Iterator[GatewayProcess]:
    addresses = ",".join(fake.address for fake in fakes)
    with running_gateway(repository, addresses, "--request-timeout=1") as running:
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


def test_one_that_hangs_is_left_out(fakes: list[FakeTriton], two: GatewayProcess) -> None:
    calls: Counter[int] = Counter()
    counting(fakes[1], 1, calls)
    freed = threading.Event()

    def hang(request: Any, _: grpc.ServicerContext) -> Any:
        freed.wait(60)
        return answer(request)

    fakes[0].infer = hang
    with two.client() as client, ThreadPoolExecutor(8) as pool:
        deadline = time.monotonic() + 60
        while True:
            # Enough calls to judge by, and the seconds that judging takes.
            statuses = list(pool.map(lambda _: ask(client), range(24)))
            assert set(statuses) <= {200, 504}
            # In turn every other one would meet the one that hangs.
            if [ask(client) for _ in range(10)] == [200] * 10:
                break
            assert time.monotonic() < deadline
    freed.set()


def test_a_name_will_do(repository: Path) -> None:
    with running_fake_triton() as fake:
        fake.infer = lambda request, _: answer(request)
        port = fake.address.rpartition(":")[2]
        with running_gateway(repository, f"localhost:{port}") as gateway:
            gateway.wait_until_ready()
            with gateway.client() as client:
                assert ask(client) == 200


def test_one_of_two_real_tritons_dies_and_comes_back(repository: Path) -> None:
    with (
        running_triton(repository) as stays,
        running_triton(repository, stops_cleanly=False) as goes,
        running_gateway(repository, f"{stays.grpc_url},{goes.grpc_url}") as gateway,
    ):
        gateway.wait_until_ready()
        with running_load(gateway) as load:
            psutil.Process(goes.triton_pid).kill()
            load.wait_for(100)
            assert gateway.readiness() == 200
            goes.launcher.wait(10)
            with running_triton(repository, f"--grpc-port={goes.grpc_port}", "--metrics") as back:
                deadline = time.monotonic() + 30
                while served(back.metrics_port) < 10:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
        # What was in the dead one's hands is lost or sent again; nothing else is.
        assert set(load.statuses) <= {200, 503}
        assert load.statuses[503] <= 8


def served(metrics_port: int, host: str = "127.0.0.1") -> float:
    text = httpx.get(f"http://{host}:{metrics_port}/metrics", trust_env=False).text
    return sum(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("nv_inference_request_success")
    )


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


def test_one_of_two_real_tritons_stands_still(repository: Path) -> None:
    """SIGSTOP: its connection stays open, and it answers nothing."""
    with (
        running_triton(repository) as well,
        running_triton(repository, "--metrics") as still,
        running_gateway(repository, f"{well.grpc_url},{still.grpc_url}", "--request-timeout=3") as gateway,
    ):
        gateway.wait_until_ready()
        server = psutil.Process(still.triton_pid)
        with running_load(gateway) as load, ready_all_the_time(gateway):
            server.suspend()
            load.wait_for(200)
            # What it had in hand is answered late, by nobody.
            assert set(load.statuses) <= {200, 504}
            assert load.statuses[504] <= 16
            late = load.statuses[504]
            load.wait_for(200)
            assert load.statuses[504] <= late + 8
            server.resume()
            before = served(still.metrics_port)
            deadline = time.monotonic() + 30
            while served(still.metrics_port) < before + 20:
                assert time.monotonic() < deadline
                time.sleep(0.1)


NAME = "tritons.test"
WITH_A_NAME = """\
import runpy, socket, sys
asked = socket.getaddrinfo
def getaddrinfo(host, port, *rest, **options):
    if host != {name!r}:
        return asked(host, port, *rest, **options)
    with open({hosts!r}) as hosts:
        return [found for host in hosts.read().split() for found in asked(host, port, *rest, **options)]
socket.getaddrinfo = getaddrinfo
runpy.run_module("gateway", run_name="__main__", alter_sys=True)
"""
"""The gateway, in a process for which a name has the addresses that a file lists: in place of a name server."""


def has(hosts: Path, *addresses: str) -> None:
    """Give the name these addresses."""
    new = hosts.with_suffix(".new")
    new.write_text("\n".join(addresses))
    new.rename(hosts)


def test_real_tritons_join_and_leave_a_name(repository: Path, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    program = ("-c", WITH_A_NAME.format(name=NAME, hosts=str(hosts)))
    with running_triton(repository, "--metrics") as first:
        port = first.grpc_port
        has(hosts, "127.0.0.1")
        with (
            running_triton(repository, "--host=127.0.0.2", f"--grpc-port={port}", "--metrics") as second,
            running_gateway(repository, f"{NAME}:{port}", program=program) as gateway,
        ):
            gateway.wait_until_ready()
            with running_load(gateway, clients=16) as load, ready_all_the_time(gateway):
                load.wait_for(100)
                assert served(second.metrics_port, "127.0.0.2") == 0
                has(hosts, "127.0.0.1", "127.0.0.2")
                deadline = time.monotonic() + 30
                while served(second.metrics_port, "127.0.0.2") == 0:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                before = served(first.metrics_port), served(second.metrics_port, "127.0.0.2")
                load.wait_for(400)
                after = served(first.metrics_port), served(second.metrics_port, "127.0.0.2")
                rows = after[0] - before[0], after[1] - before[1]
                # Its share.
                assert 0.35 < rows[1] / sum(rows) < 0.65
                has(hosts, "127.0.0.2")
                while "has the address 127.0.0.1" not in gateway.log() or "no more" not in gateway.log():
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                load.wait_for(50)
                gone = served(first.metrics_port)
                load.wait_for(100)
                assert served(first.metrics_port) == gone
            assert list(load.statuses) == [200]


def test_a_name_that_has_no_address_yet(repository: Path, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    program = ("-c", WITH_A_NAME.format(name=NAME, hosts=str(hosts)))
    with running_fake_triton() as fake:
        fake.infer = lambda request, _: answer(request)
        port = fake.address.rpartition(":")[2]
        with running_gateway(repository, f"{NAME}:{port}", program=program) as gateway, gateway.client() as client:
            gateway.wait_until_ready(status=503)
            assert ask(client) == 503
            assert f"{NAME} can't be looked up" in client.get("/health/ready").json()["detail"]
            has(hosts, "127.0.0.1")
            gateway.wait_until_ready()
            assert ask(client) == 200
