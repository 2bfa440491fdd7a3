"""A live service is broken in every way that can be done here: each alert fires, reaches a receiver, and heals.

Prometheus and Alertmanager are the real ones, and so are tritonserver and the gateway; the model is a small one.
`scaled` says in what the rules differ from those that are shipped, `watch` how they are run. Every test has a
namespace of its own, by which all alerts are grouped.

What can't be broken here is in `NOT_HERE`, and tested with promtool alone (deploy/monitoring/tests).
"""

import contextlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc

from contract.canary import canary_file
from contract.version_directory import CPU_GRAPH
from gateway.settings import Settings
from tests.deploy.monitoring.asking import (
    TEXTS,
    asking,
    disagreeing_graph,
    failing_graph,
    graph_without_probabilities,
)
from tests.deploy.monitoring.conftest import Start
from tests.deploy.monitoring.watch import Watch
from tests.gateway.support.damages import DAMAGES
from tests.gateway.support.gateway_process import SECRET, GatewayProcess, running_gateway
from tests.gateway.support.limited import limit_descriptors
from tests.gateway.support.small_model import EMOTIONS, make_card, make_graph, publish
from tests.gateway.support.versions import wait_for_version
from tests.support.triton_process import TritonProcess, free_ports, running_triton
from tests.support.waiting import wait_until

pytestmark = pytest.mark.monitoring

NOT_HERE: Final = {
    "EmotionGpuLost": "there is no GPU",
    "EmotionGpuMemory": "there is no GPU",
    "EmotionGpuBusy": "there is no GPU",
}
Shared = tuple[TritonProcess, Path]


def test_no_gateway_is_known(watch: Watch, shared_triton: Shared, namespace: str, start_gateway: Start) -> None:
    watch.fire("", "EmotionGatewayAbsent")
    triton, repository = shared_triton
    with start_gateway(repository, triton):
        watch.heal("", "EmotionGatewayAbsent")
        watch.forget(namespace)
        watch.fire(namespace, "EmotionGatewayAbsent")


def test_tritons_are_forgotten(watch: Watch, shared_triton: Shared, namespace: str) -> None:
    triton, _ = shared_triton
    watch.scrape(namespace, triton=triton.metrics_port)
    watch.wait_until_scraped(namespace)
    watch.silent(namespace, "EmotionTritonAbsent")
    watch.forget(namespace)
    watch.fire(namespace, "EmotionTritonAbsent")
    watch.scrape(namespace, triton=triton.metrics_port)
    watch.heal(namespace, "EmotionTritonAbsent")


@contextlib.contextmanager
def another_triton(repository: Path, dead: TritonProcess) -> Iterator[None]:
    """In the place of one that is dead, on its ports."""
    ports = f"--grpc-port={dead.grpc_port}", f"--metrics-port={dead.metrics_port}"
    with running_triton(repository, "--metrics", *ports, poll_seconds=1, stops_cleanly=False):
        yield


def test_triton_is_killed(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start
) -> None:
    alerts = (
        "EmotionTritonDown",
        "EmotionTritonUnreachable",
        "EmotionLastLookTooOld",
        "EmotionGatewayNotReady",
        "EmotionNoGatewayReady",
        "EmotionAvailabilityBurnsFast",
        "EmotionAvailabilityBurnsSlowly",
    )
    with start_gateway(repository, triton) as gateway, asking(gateway) as statuses:
        wait_until(lambda: statuses[200] > 20)
        watch.silent(namespace, *alerts)
        os.kill(triton.triton_pid, signal.SIGKILL)
        watch.fire(namespace, *alerts)
        triton.launcher.wait()
        with another_triton(repository, triton):
            watch.heal(namespace, *alerts)


def test_triton_stands_still(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start
) -> None:
    alerts = ("EmotionTritonDown", "EmotionTextsWait", "EmotionLatencyBurnsFast", "EmotionLatencyBurnsSlowly")
    with (
        start_gateway(repository, triton, "--request-timeout=1") as gateway,
        asking(gateway, clients=8) as statuses,
    ):
        wait_until(lambda: statuses[200] > 20)
        watch.silent(namespace, *alerts)
        os.kill(triton.triton_pid, signal.SIGSTOP)
        try:
            watch.fire(namespace, *alerts)
        finally:
            os.kill(triton.triton_pid, signal.SIGCONT)
        watch.heal(namespace, *alerts)


def test_a_models_processes_stand_still(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start
) -> None:
    """Triton gives up what they compute (BACKEND, for the gateway INTERNAL); what comes meanwhile piles up."""
    alerts = ("EmotionTritonQueue", "EmotionTritonInferenceFails", "EmotionTritonFails")
    with start_gateway(repository, triton) as gateway, asking(gateway) as statuses:
        wait_until(lambda: statuses[200] > 20)
        watch.silent(namespace, *alerts)
        stubs = triton.stub_pids
        for stub in stubs:
            os.kill(stub, signal.SIGSTOP)
        client = tritonclient.grpc.InferenceServerClient(triton.grpc_url)
        tokens = tritonclient.grpc.InferInput("input_ids", [1, 3], "INT64")
        tokens.set_data_from_numpy(np.array([[2, 5, 3]]))
        ended: list[object] = []
        for _ in range(600):
            client.async_infer("emotion_rubert", [tokens], lambda result, error: ended.append(error or result))
        watch.fire(namespace, *alerts)
        wait_until(lambda: len(ended) == 600)
        client.close()
        # What an operator, or `make serve`, does: Triton is started anew.
        triton.launcher.kill()
        for process in [triton.triton_pid, *stubs] if triton.launcher.poll() is None else stubs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        triton.launcher.wait()
        wait_until(lambda: not psutil.pid_exists(stubs[0]))
        with another_triton(repository, triton):
            watch.heal(namespace, *alerts)


def test_calls_fail(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start
) -> None:
    publish(repository, 2, graph=failing_graph())
    with start_gateway(repository, triton) as gateway:
        wait_for_version(gateway, "2")
        with asking(gateway, TEXTS[:2]) as statuses:
            wait_until(lambda: statuses[200] > 20)
            watch.silent(namespace, "EmotionTritonFails")
            with asking(gateway, ["злюсь"]):
                watch.fire(namespace, "EmotionTritonFails", "EmotionAvailabilityBurnsFast")
            watch.heal(namespace, "EmotionTritonFails", "EmotionAvailabilityBurnsFast")


def test_answers_are_no_probabilities(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start
) -> None:
    publish(repository, 2, graph=graph_without_probabilities())
    with start_gateway(repository, triton) as gateway:
        wait_for_version(gateway, "2")
        watch.silent(namespace, "EmotionAnswersRefused")
        with gateway.client() as client:
            assert client.post("/v1/emotions", json={"text": "злюсь"}).status_code == 503
        watch.fire(namespace, "EmotionAnswersRefused")
        watch.heal(namespace, "EmotionAnswersRefused")


def test_a_version_is_damaged_for_one_of_two_gateways(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start, tmp_path: Path
) -> None:
    alerts = ("EmotionVersionLeftOut", "EmotionVersionsDiffer")
    copy = Path(shutil.copytree(repository, tmp_path / "copy"))
    with start_gateway(repository, triton) as gateway, start_gateway(copy, triton) as other:
        watch.silent(namespace, *alerts)
        damaged = Path(shutil.copytree(publish(tmp_path / "model_repository", 2), copy / "emotion_rubert/2"))
        DAMAGES["tokenizer-cut"].do(damaged)
        wait_for_version(gateway, "2")
        watch.fire(namespace, *alerts)
        shutil.copyfile(repository / "emotion_rubert/2/tokenizer.json", damaged / "tokenizer.json")
        wait_for_version(other, "2")
        watch.heal(namespace, *alerts)


def test_a_damaged_version_is_published(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start
) -> None:
    with start_gateway(repository, triton):
        watch.silent(namespace, "EmotionVersionLeftOut")
        version = publish(repository, 2)
        whole = (version / CPU_GRAPH).read_bytes()
        DAMAGES["graph-cut"].do(version)
        watch.fire(namespace, "EmotionVersionLeftOut")
        (version / CPU_GRAPH).write_bytes(whole)
        watch.heal(namespace, "EmotionVersionLeftOut")


def test_a_model_is_withdrawn(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start, tmp_path: Path
) -> None:
    model = repository / "emotion_xlm"
    with start_gateway(repository, triton):
        watch.silent(namespace, "EmotionModelNotServed")
        model.rename(tmp_path / "emotion_xlm")
        watch.fire(namespace, "EmotionModelNotServed")
        (tmp_path / "emotion_xlm").rename(model)
        watch.heal(namespace, "EmotionModelNotServed")


def workers(gateway: GatewayProcess) -> set[int]:
    """Their process ids."""
    found = set()
    for process in psutil.Process(gateway.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(process.cmdline()):
                found.add(process.pid)
    return found


def test_workers_are_killed(watch: Watch, shared_triton: Shared, namespace: str, start_gateway: Start) -> None:
    triton, repository = shared_triton
    with start_gateway(repository, triton, "--workers=2") as gateway:
        watch.silent(namespace, "EmotionWorkersRestart")
        for _ in range(4):
            before = workers(gateway)
            os.kill(min(before), signal.SIGKILL)
            wait_until(lambda known=before: workers(gateway) - known)
            time.sleep(1)  # it is scraped
        watch.fire(namespace, "EmotionWorkersRestart")
        watch.heal(namespace, "EmotionWorkersRestart")


def test_a_gateway_restarts_again_and_again(watch: Watch, shared_triton: Shared, namespace: str) -> None:
    triton, repository = shared_triton
    (port,) = free_ports(1)
    firing = f'ALERTS{{alertname="EmotionGatewayRestarts",namespace="{namespace}",alertstate="firing"}}'
    # Until it fires: on a slow machine the first of a few starts is over an hour ago, as these rules count.
    for _ in range(12):
        if watch.query(firing):
            break
        with running_gateway(repository, triton.grpc_url, f"--port={port}") as gateway:
            started = psutil.Process(gateway.process.pid).create_time()
            watch.scrape(namespace, gateway=gateway.url)
            new = f'process_start_time_seconds{{namespace="{namespace}"}} > {started - 1}'
            wait_until(lambda new=new: watch.query(new), gateway.log)
    watch.fire(namespace, "EmotionGatewayDown", "EmotionNoGatewayReady", "EmotionGatewayRestarts")
    with running_gateway(repository, triton.grpc_url, f"--port={port}") as gateway:
        gateway.wait_until_ready()
        watch.heal(namespace, "EmotionGatewayDown", "EmotionNoGatewayReady", "EmotionGatewayRestarts")


def test_memory_fills(watch: Watch, shared_triton: Shared, namespace: str, start_gateway: Start) -> None:
    """With bodies that never end, in a gateway that allows large ones."""
    triton, repository = shared_triton
    with start_gateway(repository, triton, "--max-body-bytes=50000000") as gateway:
        watch.silent(namespace, "EmotionGatewayMemory")
        stop = threading.Event()

        def half_a_body() -> Iterator[bytes]:
            yield b" " * 45_000_000
            stop.wait()

        def send() -> None:
            with contextlib.suppress(httpx.TransportError), gateway.client() as client:
                client.post("/v1/emotions", content=half_a_body())

        clients = [threading.Thread(target=send) for _ in range(10)]
        for thread in clients:
            thread.start()
        try:
            watch.fire(namespace, "EmotionGatewayMemory")
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        watch.heal(namespace, "EmotionGatewayMemory")


def test_the_machines_memory_is_short(watch: Watch, shared_triton: Shared, namespace: str) -> None:
    """It isn't filled: the limit falls below what is in use, and rises again."""
    triton, _ = shared_triton
    watch.scrape(namespace, triton=triton.metrics_port)
    watch.wait_until_scraped(namespace)
    watch.silent(namespace, "EmotionTritonHostMemory")
    with watch.limit(host_memory_share=0.001):
        watch.fire(namespace, "EmotionTritonHostMemory")
    watch.heal(namespace, "EmotionTritonHostMemory")


def test_file_descriptors_run_out(watch: Watch, shared_triton: Shared, namespace: str) -> None:
    triton, repository = shared_triton
    with running_gateway(repository, triton.grpc_url) as gateway:
        limit_descriptors(gateway, 120)
        gateway.wait_until_ready()
        watch.scrape(namespace, gateway=gateway.url)
        watch.wait_until_scraped(namespace)
        watch.silent(namespace, "EmotionGatewayFileDescriptors")
        with contextlib.ExitStack() as connections:
            for _ in range(75):
                client = connections.enter_context(gateway.client())
                client.get("/health/live")
            watch.fire(namespace, "EmotionGatewayFileDescriptors")
        watch.heal(namespace, "EmotionGatewayFileDescriptors")


def test_requests_are_refused(watch: Watch, shared_triton: Shared, namespace: str, start_gateway: Start) -> None:
    """One of two keys asks for more than its share, which the limits here make small."""
    triton, repository = shared_triton
    alerts = ("EmotionRequestsRefused", "EmotionKeyRefused")
    keys = f"shop:{SECRET},bank:{SECRET}-of-the-bank"
    with (
        start_gateway(repository, triton, "--max-in-flight=2", EMOTION_API_KEYS=keys) as gateway,
        asking(gateway, clients=1) as statuses,
    ):
        wait_until(lambda: statuses[200] > 20)
        watch.silent(namespace, *alerts)
        with asking(gateway, clients=12, pause=0, key=f"{SECRET}-of-the-bank"):
            watch.fire(namespace, *alerts)
        watch.heal(namespace, *alerts)


def test_somebody_tries_keys(watch: Watch, shared_triton: Shared, namespace: str, start_gateway: Start) -> None:
    triton, repository = shared_triton
    with start_gateway(repository, triton, EMOTION_API_KEYS=SECRET) as gateway:
        watch.silent(namespace, "EmotionWrongKeys")
        with asking(gateway, clients=2, key="a-key-that-nobody-gave-out"):
            watch.fire(namespace, "EmotionWrongKeys")
        watch.heal(namespace, "EmotionWrongKeys")


FOREIGN: Final = ("我今天非常高兴见到你们大家真的太好了谢谢你们 " * 3,)
"""Nothing that the model knows, and more than it reads."""


def test_clients_send_other_texts(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start
) -> None:
    alerts = ("EmotionPredictionsDrift", "EmotionUnknownTokens", "EmotionTextLength", "EmotionTextsTruncated")
    version = publish(repository, 2)
    reference = {
        "rows": "none: written for this test",
        "texts": 600,
        "predicted": dict(zip(EMOTIONS, (0.17, 0.16, 0.17, 0.16, 0.17, 0.17), strict=True)),
        "unknown_share": 0.0,
        "tokens": 9.0,
    }
    card = make_card("emotion_rubert", 3, version) | {"reference": reference}
    publish(repository, 3, card=card, graph=make_graph(2))
    with start_gateway(repository, triton) as gateway:
        wait_for_version(gateway, "3")
        with asking(gateway, clients=4) as statuses:
            wait_until(lambda: statuses[200] > 300)
            watch.silent(namespace, *alerts)
        with asking(gateway, FOREIGN, clients=4):
            watch.fire(namespace, *alerts)
        with asking(gateway, clients=4):
            watch.heal(namespace, *alerts)


def test_a_shadow_decides_otherwise(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start
) -> None:
    canary_file(repository, "emotion_rubert").write_text('{"2": "shadow", "3": "shadow"}', "utf-8")
    with start_gateway(repository, triton) as gateway, asking(gateway) as statuses:
        publish(repository, 2)
        wait_until(lambda: watch.query(f'emotion_shadow_texts_total{{namespace="{namespace}"}} > 30'))
        watch.silent(namespace, "EmotionTrialDisagrees")
        publish(repository, 3, graph=disagreeing_graph())
        watch.fire(namespace, "EmotionTrialDisagrees")
        # It is promoted: no trial any more. (Here it is known to be wrong.)
        canary_file(repository, "emotion_rubert").write_text('{"3": "off"}', "utf-8")
        wait_for_version(gateway, "3")
        watch.heal(namespace, "EmotionTrialDisagrees")
        assert statuses.keys() == {200}


def test_a_canary_fails(
    watch: Watch, repository: Path, triton: TritonProcess, namespace: str, start_gateway: Start
) -> None:
    canary_file(repository, "emotion_rubert").write_text('{"2": "100%"}', "utf-8")
    publish(repository, 2, graph=failing_graph())
    with start_gateway(repository, triton) as gateway, asking(gateway, TEXTS[:2]) as statuses:
        wait_until(lambda: watch.query(f'emotion_canary_requests_total{{namespace="{namespace}",role="canary"}} > 20'))
        watch.silent(namespace, "EmotionTrialFails")
        with asking(gateway, ["злюсь"]) as failing:
            watch.fire(namespace, "EmotionTrialFails")
        watch.heal(namespace, "EmotionTrialFails")
        # A shadow that has failed is left alone for a while: what it is not asked is counted, for a panel.
        canary_file(repository, "emotion_rubert").write_text('{"2": "shadow"}', "utf-8")
        with asking(gateway, ["злюсь"]):
            wait_until(lambda: watch.query(f'rate(emotion_shadow_dropped_total{{namespace="{namespace}"}}[6s]) > 0'))
        assert statuses.keys() == failing.keys() == {200}


def test_the_objective_is_above_what_a_request_may_take() -> None:
    """Half a second, in the rules, lies below the time after which a request is given up."""
    assert Settings.model_fields["request_timeout"].default > 0.5
