"""What an alert is made from, with a real Triton that stands still, goes, and gets other versions."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from platform import python_version

import httpx
import psutil
import pytest

from contract.labels import EMOTIONS
from contract.version_directory import CARD
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.hanging import Hanging, standing_still
from tests.gateway.support.metrics import figure, samples, total, unusable_versions
from tests.gateway.support.small_model import MAX_BATCH_SIZE, publish
from tests.support.triton_process import TritonProcess, running_triton
from tests.support.waiting import wait_until

ONE = {"model": "emotion_rubert", "version": "1"}
TWO = {"model": "emotion_rubert", "version": "2"}
GAUGES = ("emotion_texts_waiting", "emotion_triton_calls_in_flight", "emotion_requests_in_flight")
SHARES = dict(zip(EMOTIONS, (0.4, 0.2, 0.2, 0.1, 0.06, 0.04), strict=True))
REFERENCE = {"rows": "some rows", "texts": 1000, "predicted": SHARES, "unknown_share": 0.01, "tokens": 12.5}
LOOK = "emotion_last_look_timestamp_seconds"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 with a reference on its card, and version 2 without."""
    path = tmp_path_factory.mktemp("metrics") / "model_repository"
    path.mkdir()
    card = publish(path, 1) / CARD
    card.write_text(json.dumps(json.loads(card.read_text()) | {"reference": REFERENCE}))
    publish(path, 2)
    return path


@pytest.fixture(scope="module")
def triton(repository: Path) -> Iterator[TritonProcess]:
    with running_triton(repository) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(repository: Path, triton: TritonProcess) -> Iterator[GatewayProcess]:
    flags = ("--triton-calls=1", "--refresh-interval=0.2", "--max-texts-in-flight=60", "--revision=abc123")
    with running_gateway(repository, triton.grpc_url, *flags) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def hasty(repository: Path, triton: TritonProcess) -> Iterator[GatewayProcess]:
    """One that gives up after two seconds."""
    with running_gateway(repository, triton.grpc_url, "--triton-calls=1", "--request-timeout=2") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def at_rest(client: httpx.Client) -> bool:
    return [total(client, name) for name in GAUGES] == [0, 0, 0]


def wait_for(client: httpx.Client, name: str, value: float, **labels: str) -> None:
    wait_until(lambda: figure(client, name, **labels) == value, lambda: samples(client, name))


def test_texts_wait_while_a_call_is_under_way(
    gateway: GatewayProcess, triton: TritonProcess, client: httpx.Client
) -> None:
    assert at_rest(client)
    with standing_still(triton), Hanging(gateway, 1, 1) as first:
        wait_for(client, "emotion_triton_calls_in_flight", 1, **TWO)
        with Hanging(gateway, 3, 5) as others:
            wait_for(client, "emotion_texts_waiting", 15, **TWO)
            with Hanging(gateway, 2, 6) as impatient:
                wait_for(client, "emotion_texts_waiting", 27, **TWO)
                # What does not fit any more is refused, and never waits.
                assert client.post("/v1/emotions", json={"texts": ["рад"] * 20}).status_code == 429
                assert figure(client, "emotion_texts_waiting", **TWO) == 27
                impatient.hang_up()
                wait_for(client, "emotion_texts_waiting", 15, **TWO)
                wait_for(client, "emotion_requests_in_flight", 4)
            assert figure(client, "emotion_triton_calls_in_flight", **TWO) == 1
            os.kill(triton.triton_pid, signal.SIGCONT)
            assert first.statuses() + others.statuses() == [200] * 4
    wait_until(lambda: at_rest(client))
    assert total(client, "emotion_triton_failures_total") == 0


def test_nobody_waits_behind_requests_that_are_late(hasty: GatewayProcess, triton: TritonProcess) -> None:
    """The call is never cancelled: it is under way until Triton answers."""
    with hasty.client() as client:
        with standing_still(triton):
            with Hanging(hasty, 4, MAX_BATCH_SIZE) as late:
                wait_for(client, "emotion_triton_calls_in_flight", 1, **TWO)
                assert late.statuses() == [504] * 4
            wait_for(client, "emotion_texts_waiting", 0, **TWO)
            assert figure(client, "emotion_triton_calls_in_flight", **TWO) == 1
        wait_until(lambda: at_rest(client))


def test_the_last_look_ages_while_triton_tells_nothing(triton: TritonProcess, client: httpx.Client) -> None:
    wait_until(lambda: time.time() - figure(client, LOOK) < 1)
    with standing_still(triton):
        wait_until(lambda: time.time() - figure(client, LOOK) > 2)
        wait_for(client, "emotion_ready", 0)
        assert figure(client, "emotion_version_served", **TWO) == 1
    wait_until(lambda: time.time() - figure(client, LOOK) < 1)
    wait_for(client, "emotion_ready", 1)


def test_a_version_that_is_damaged_is_left_out_until_it_is_mended(repository: Path, client: httpx.Client) -> None:
    wait_for(client, "emotion_version_served", 1, **TWO)
    card = repository / "emotion_rubert/2" / CARD
    good = card.read_text()
    card.write_text("{}")
    wait_for(client, "emotion_version_served", 0, **TWO)
    assert unusable_versions(client) == {("emotion_rubert", "2", "card"): 1}
    assert figure(client, "emotion_version_served", **ONE) == 1
    card.write_text(good)
    wait_for(client, "emotion_version_served", 1, **TWO)
    assert unusable_versions(client) == {("emotion_rubert", "2", "card"): 0}


def test_what_texts_should_be_like_is_on_the_card(client: httpx.Client) -> None:
    shares = samples(client, "emotion_reference_share")
    assert {sample.labels["emotion"]: sample.value for sample in shares} == SHARES
    assert {(sample.labels["model"], sample.labels["version"]) for sample in shares} == {("emotion_rubert", "1")}
    for name, value in (("unknown_share", 0.01), ("tokens", 12.5)):
        (only,) = samples(client, f"emotion_reference_{name}")
        assert (only.labels, only.value) == (ONE, value)


def test_what_texts_are_like_is_counted_from_zero(client: httpx.Client) -> None:
    predicted = samples(client, "emotion_predicted_total", **ONE)
    assert {sample.labels["emotion"]: sample.value for sample in predicted} == dict.fromkeys(EMOTIONS, 0)
    client.post("/v1/emotions", json={"texts": ["страшно", "高 рад"], "version": "1"})
    assert figure(client, "emotion_predicted_total", **ONE, emotion="fear") == 1
    assert figure(client, "emotion_tokens_unknown_total", **ONE) == 1
    assert figure(client, "emotion_text_tokens_sum", **ONE) == 3 + 4


def test_what_runs(client: httpx.Client) -> None:
    (build,) = samples(client, "emotion_build_info")
    version = client.get("/openapi.json").json()["info"]["version"]
    assert (build.labels, build.value) == ({"version": version, "revision": "abc123", "python": python_version()}, 1)
    assert version != "0"


def test_the_only_process_is_measured(gateway: GatewayProcess, client: httpx.Client) -> None:
    process = psutil.Process(gateway.process.pid)
    assert figure(client, "process_resident_memory_bytes") == pytest.approx(process.memory_info().rss, rel=0.1)
    assert figure(client, "process_cpu_seconds_total") == pytest.approx(sum(process.cpu_times()[:2]), abs=0.5)
    assert figure(client, "process_start_time_seconds") == pytest.approx(process.create_time(), abs=2)
    assert figure(client, "process_open_fds") == pytest.approx(process.num_fds(), abs=2)
    assert figure(client, "process_max_fds") == process.rlimit(psutil.RLIMIT_NOFILE)[0]
    assert [sample.value for sample in samples(client, "emotion_worker_restarts_total")] == [0]


def test_calls_to_a_triton_that_is_gone_fail(triton: TritonProcess, client: httpx.Client) -> None:
    """The last test: there is none afterwards."""
    unavailable = {**TWO, "code": "UNAVAILABLE"}
    assert [sample.value for sample in samples(client, "emotion_triton_failures_total", **unavailable)] == [0]
    os.kill(triton.triton_pid, signal.SIGKILL)
    triton.launcher.wait()
    for _ in range(3):
        assert client.post("/v1/emotions", json={"texts": ["рад"] * 3}).status_code == 503
    assert figure(client, "emotion_triton_failures_total", **unavailable) == 3
    assert figure(client, "emotion_requests_total", status="503", endpoint="/v1/emotions") == 3
    wait_for(client, "emotion_ready", 0)
    assert at_rest(client)
