"""Several workers share the port, their figures are one, and none outlives its parent."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.gateway.support.gateway_process import GatewayProcess, environment, running_gateway
from tests.gateway.support.hanging import Hanging, standing_still
from tests.gateway.support.metrics import figure, samples, total
from tests.gateway.support.workers import workers
from tests.support.triton_process import ROOT, TritonProcess
from tests.support.waiting import SECONDS, wait_until


@pytest.fixture(scope="module")
def several(shared_repository: Path, shared_triton: TritonProcess) -> Iterator[GatewayProcess]:
    with running_gateway(shared_repository, shared_triton.grpc_url, "--workers=2") as running:
        running.wait_until_ready()
        wait_until(lambda: running.log().count("is ready") >= 2, running.log)
        yield running


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


def test_their_processes_are_measured_together(several: GatewayProcess) -> None:
    both = workers(several)
    with several.client() as client:
        memory = sum(worker.memory_info().rss for worker in both)
        assert figure(client, "process_resident_memory_bytes") == pytest.approx(memory, rel=0.1)
        seconds = sum(sum(worker.cpu_times()[:4]) for worker in both)
        assert figure(client, "process_cpu_seconds_total") == pytest.approx(seconds, abs=0.5)
        assert figure(client, "process_open_fds") == pytest.approx(sum(worker.num_fds() for worker in both), abs=4)
        assert figure(client, "process_max_fds") == sum(worker.rlimit(psutil.RLIMIT_NOFILE)[0] for worker in both)
        started = psutil.Process(several.process.pid).create_time()
        assert figure(client, "process_start_time_seconds") == pytest.approx(started, abs=2)
        assert len(samples(client, "emotion_build_info")) == 1


def test_what_a_worker_was_doing_when_it_died_it_does_no_more(
    several: GatewayProcess, shared_triton: TritonProcess
) -> None:
    gauges = ("emotion_requests_in_flight", "emotion_triton_calls_in_flight", "emotion_texts_waiting")

    def doing(client: httpx.Client) -> list[float]:
        return [total(client, name) for name in gauges]

    before = workers(several)
    # A connection for each look: whichever worker is asked, the figures are of both.
    with several.client(headers={"connection": "close"}) as client:
        with standing_still(shared_triton), Hanging(several, 16, 8) as asked:
            wait_until(lambda: doing(client)[0] == 16, lambda: doing(client))
            # One of them may have all connections.
            busy = max(before, key=psutil.Process.num_fds)
            busy.kill()
            wait_until(lambda: asked.closed() > 0)
            wait_until(lambda: doing(client)[0] == 16 - asked.closed(), lambda: (doing(client), asked.closed()))
            asked.hang_up()
            wait_until(lambda: doing(client)[2] == 0, lambda: doing(client))
        wait_until(lambda: doing(client) == [0, 0, 0], lambda: doing(client))
        last_look = figure(client, "emotion_last_look_timestamp_seconds")
        wait_until(lambda: figure(client, "emotion_last_look_timestamp_seconds") > last_look)
    wait_until(lambda: len({worker.pid for worker in workers(several)} - {busy.pid}) == 2, several.log)
    several.wait_until_ready()


def test_a_worker_that_dies_is_replaced(several: GatewayProcess) -> None:
    first = workers(several)[0]
    with several.client() as client:
        restarts = figure(client, "emotion_worker_restarts_total")
        seconds = figure(client, "process_cpu_seconds_total")
    first.kill()
    wait_until(lambda: len({worker.pid for worker in workers(several)} - {first.pid}) == 2, several.log)
    several.wait_until_ready()
    alive = {worker.pid for worker in workers(several)}
    home = Path(workers(several)[0].environ()["PROMETHEUS_MULTIPROC_DIR"])

    def counted() -> set[int]:
        return {int(file.stem.rpartition("_")[2]) for file in home.glob("gauge_live*.db")}

    wait_until(lambda: counted() == alive, lambda: (counted(), alive))
    with several.client() as client:
        assert figure(client, "emotion_worker_restarts_total") == restarts + 1
        # What the dead one has used stays counted: a counter that falls looks like one that began anew.
        assert figure(client, "process_cpu_seconds_total") >= seconds
    for _ in range(10):
        with several.client() as client:
            assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200


def test_figures_have_their_room_from_the_start(several: GatewayProcess) -> None:
    """A disk that fills up later kills nobody: prometheus_client writes to mapped files."""
    maps = Path(f"/proc/{workers(several)[0].pid}/maps").read_text()
    files = {Path(line.split()[-1]) for line in maps.splitlines() if line.endswith(".db")}
    assert len(files) == 5
    for file in files:
        found = file.stat()
        assert found.st_blocks * 512 >= found.st_size


def test_a_disk_that_is_full_is_named(shared_repository: Path) -> None:
    gateway = [sys.executable, "-m", "gateway", "--workers=2", "--port=0", f"--model-repository={shared_repository}"]
    full = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 64; exec "$@"', "sh", *gateway],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert full.returncode == 1
    assert "make room, set TMPDIR" in full.stdout + full.stderr
    assert "Traceback" not in full.stdout + full.stderr


def test_they_go_with_their_parent(shared_repository: Path, shared_triton: TritonProcess) -> None:
    with running_gateway(shared_repository, shared_triton.grpc_url, "--workers=2") as running:
        running.wait_until_ready()
        family = psutil.Process(running.process.pid).children(recursive=True)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(SECONDS)
        _, alive = psutil.wait_procs(family, timeout=SECONDS)
        assert not alive
