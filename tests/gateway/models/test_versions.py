"""Versions come and go under load, and no request fails."""

import shutil
import time
from pathlib import Path

from tests.gateway.support.gateway_process import running_gateway
from tests.gateway.support.load import ready_all_the_time, running_load
from tests.gateway.support.metrics import unusable_versions
from tests.gateway.support.small_model import publish, withdraw
from tests.gateway.support.versions import wait_for_version, wait_until_left_out
from tests.support.plain_triton import plain_triton
from tests.support.triton_process import running_triton
from tests.support.waiting import wait_until


def test_versions_come_and_go_under_load(repository: Path) -> None:
    with (
        running_triton(repository, poll_seconds=1) as triton,
        running_gateway(repository, triton.grpc_url) as gateway,
    ):
        gateway.wait_until_ready()
        with running_load(gateway) as load:
            publish(repository, 2)
            wait_for_version(gateway, "2")
            load.wait_for(50)
            with gateway.client() as client:
                pinned = client.post("/v1/emotions", json={"text": "рад", "version": "1"})
                assert pinned.json()["version"] == "1"
            publish(repository, 3)
            wait_for_version(gateway, "3")
            load.wait_for(50)
            # Rolled back: the newest is unloaded under the requests that ask for no version.
            withdraw(repository, 3)
            wait_for_version(gateway, "2")
            load.wait_for(50)
            with gateway.client() as client:
                gone = client.post("/v1/emotions", json={"text": "рад", "version": "3"})
                assert gone.status_code == 404
        assert list(load.statuses) == [200]
        assert set(load.versions) == {"1", "2", "3"}


def test_a_version_is_found_by_the_request_that_asks_for_it(repository: Path) -> None:
    with (
        running_triton(repository, poll_seconds=1) as triton,
        running_gateway(repository, triton.grpc_url, "--refresh-interval=3600") as gateway,
        gateway.client() as client,
    ):
        gateway.wait_until_ready()
        asked = {"text": "рад", "version": "2"}
        assert client.post("/v1/emotions", json=asked).status_code == 404
        publish(repository, 2)
        wait_until(lambda: client.post("/v1/emotions", json=asked).status_code == 200, gateway.log)
        assert client.post("/v1/emotions", json={"text": "рад"}).json()["version"] == "2"


def test_a_version_that_does_not_load_changes_nothing(repository: Path, tmp_path: Path) -> None:
    with (
        running_triton(repository, poll_seconds=1, stops_cleanly=False) as triton,
        running_gateway(repository, triton.grpc_url) as gateway,
    ):
        gateway.wait_until_ready()
        with running_load(gateway, clients=2) as load:
            damaged = shutil.copytree(repository / "emotion_rubert/1", tmp_path / "damaged")
            (damaged / "model.cpu.onnx").write_bytes(b"half a model")
            damaged.rename(repository / "emotion_rubert/2")
            triton.wait_for("failed to load 'emotion_rubert'")
            load.wait_for(50)
            assert gateway.readiness() == 200
            # Triton tells nothing of it, and the gateway does.
            with gateway.client() as client:
                reason = wait_until_left_out(client, "emotion_rubert", "2")
                assert "model.cpu.onnx is not the file its card describes" in reason
                assert unusable_versions(client) == {("emotion_rubert", "2", "graph"): 1.0}
        assert list(load.statuses) == [200]
        assert list(load.versions) == ["1"]


def test_the_newest_version_is_removed_file_by_file(repository: Path) -> None:
    """Triton serves it until its next poll: every request is answered, so it is ready all the time."""
    newest = publish(repository, 2)
    with (
        running_triton(repository, poll_seconds=1) as triton,
        running_gateway(repository, triton.grpc_url) as gateway,
    ):
        gateway.wait_until_ready()
        with running_load(gateway) as load, ready_all_the_time(gateway):
            shutil.rmtree(newest)
            wait_for_version(gateway, "1")
            load.wait_for(100)
        assert list(load.statuses) == [200]


def test_the_repository_is_gone_for_seconds(repository: Path, tmp_path: Path) -> None:
    with running_triton(repository, poll_seconds=1) as triton, running_gateway(repository, triton.grpc_url) as gateway:
        gateway.wait_until_ready()
        with running_load(gateway) as load:
            repository.rename(tmp_path / "away")
            time.sleep(4)
            assert gateway.readiness() == 200
            (tmp_path / "away").rename(repository)
            load.wait_for(50)
        assert set(load.statuses) == {200}


def test_triton_unloads_a_repository_that_is_gone_for_seconds(repository: Path, tmp_path: Path) -> None:
    """Without our launcher it does, at a poll: that is 503 until the next one that succeeds, and never 500."""
    with plain_triton(repository) as triton, running_gateway(repository, triton.url) as gateway:
        gateway.wait_until_ready()
        with running_load(gateway) as load:
            repository.rename(tmp_path / "away")
            gateway.wait_until_ready(status=503)
            time.sleep(2)
            (tmp_path / "away").rename(repository)
            gateway.wait_until_ready()
            load.wait_for(50)
        assert set(load.statuses) == {200, 503}
