"""Several workers share the port, their figures are one, and none outlives its parent."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.metrics import figure
from tests.support.triton_process import TritonProcess
from tests.support.waiting import SECONDS, wait_until


@pytest.fixture(scope="module")
def several(shared_repository: Path, shared_triton: TritonProcess) -> Iterator[GatewayProcess]:
    with running_gateway(shared_repository, shared_triton.grpc_url, "--workers=2") as running:
        running.wait_until_ready()
        wait_until(lambda: running.log().count("is ready") >= 2, running.log)
        yield running


def workers(gateway: GatewayProcess) -> list[psutil.Process]:
    family = psutil.Process(gateway.process.pid).children(recursive=True)
    found = []
    for process in family:
        # NoSuchProcess: ended meanwhile, or waits to be buried.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_their_figures_are_one(several: GatewayProcess) -> None:
    assert len(workers(several)) == 2
    labels = {"endpoint": "/v1/emotions", "status": "200"}
    with several.client() as client:
        asked = figure(client, "emotion_requests_total", **labels)
        joyful = figure(client, "emotion_predicted_total", version="2", emotion="joy")
    for _ in range(40):
        # A connection each, so that both workers get some.
        with several.client() as client:
            assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200
    with several.client() as client:
        for _ in range(5):
            assert figure(client, "emotion_requests_total", **labels) == asked + 40
        assert figure(client, "emotion_predicted_total", version="2", emotion="joy") == joyful + 40
        assert figure(client, "emotion_ready") == 1


def test_a_worker_that_dies_is_replaced(several: GatewayProcess) -> None:
    first = workers(several)[0]
    first.kill()
    wait_until(lambda: len({worker.pid for worker in workers(several)} - {first.pid}) == 2, several.log)
    several.wait_until_ready()
    alive = {worker.pid for worker in workers(several)}
    home = Path(workers(several)[0].environ()["PROMETHEUS_MULTIPROC_DIR"])

    def counted() -> set[int]:
        return {int(file.stem.rpartition("_")[2]) for file in home.glob("gauge_live*.db")}

    wait_until(lambda: counted() == alive, lambda: (counted(), alive))
    for _ in range(10):
        with several.client() as client:
            assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200


def test_they_go_with_their_parent(shared_repository: Path, shared_triton: TritonProcess) -> None:
    with running_gateway(shared_repository, shared_triton.grpc_url, "--workers=2") as running:
        running.wait_until_ready()
        family = psutil.Process(running.process.pid).children(recursive=True)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(SECONDS)
        _, alive = psutil.wait_procs(family, timeout=SECONDS)
        assert not alive
