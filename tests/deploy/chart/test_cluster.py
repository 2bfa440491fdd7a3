"""The chart on the cluster that KUBECONFIG names, in a namespace of its own: `make test-kubernetes`.

EMOTION_TEST_VALUES names a values file with images and models that the cluster can have. Without it pods only become
ready where kubelets are made up (kwok and the like), as there are no such images. What must answer, `helm test` and a
request through the Service, is left out there.

Was not run where it was written: no control plane could be had there.
"""

import contextlib
import json
import os
import secrets
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart.charts import CHART, CI, RELEASE, TOOLS, resources
from tests.deploy.chart.test_chart import OTHERS

pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.skipif(not os.environ.get("KUBECONFIG"), reason="no cluster: KUBECONFIG names none"),
]

VALUES = Path(os.environ.get("EMOTION_TEST_VALUES", CI["s3"]))
MADE_UP = "kwok.x-k8s.io/node"
"""An annotation of nodes that nothing runs on."""
MINUTES = 10


def run(program: str, *arguments: str | Path, stdin: str | None = None, check: bool = True) -> str:
    done = subprocess.run(
        [TOOLS / "bin" / program, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
    )
    assert done.returncode == 0 or not check, f"{program} {arguments}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def get(kind: str, name: str, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("kubectl", "get", kind, name, "--namespace", namespace, "--output=json"))
    return found


def upgrade(namespace: str, *settings: str) -> None:
    """Install or upgrade, until all is ready."""
    flags = [part for setting in settings for part in ("--set", setting)]
    common = ("--namespace", namespace, "--values", VALUES, "--wait", f"--timeout={MINUTES}m")
    run("helm", "upgrade", "--install", RELEASE, CHART, *common, *flags)


def deployed(component: str, namespace: str) -> dict[str, Any]:
    return get("deployment", f"{RELEASE}-ru-emotions-{component}", namespace)


def ready(component: str, namespace: str) -> int:
    return int(deployed(component, namespace)["status"].get("readyReplicas", 0))


def wait_for_ready(component: str, count: int, namespace: str) -> None:
    deadline = time.monotonic() + 60 * MINUTES
    while ready(component, namespace) != count:
        assert time.monotonic() < deadline, run("kubectl", "describe", "pods", "--namespace", namespace)
        time.sleep(1)


@contextlib.contextmanager
def never_fewer(count: int, namespace: str) -> Iterator[None]:
    """Watch meanwhile that so many Tritons and so many gateways are ready."""
    ended, fewest = threading.Event(), {"gateway": count, "triton": count}

    def watch() -> None:
        while not ended.wait(0.5):
            for component in fewest:
                fewest[component] = min(fewest[component], ready(component, namespace))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert fewest == {"gateway": count, "triton": count}


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"ru-emotions-test-{secrets.token_hex(4)}"
    run("kubectl", "create", "namespace", name)
    try:
        yield name
    finally:
        run("kubectl", "delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def is_made_up() -> bool:
    nodes = json.loads(run("kubectl", "get", "nodes", "--output=json"))["items"]
    return all(MADE_UP in node["metadata"].get("annotations", {}) for node in nodes)


@pytest.mark.parametrize("values", CI)
def test_the_api_server_takes_it(values: str, namespace: str) -> None:
    """Without making anything; image volumes are refused by servers before 1.33."""
    known = [each for each in resources(values) if each["kind"] not in OTHERS]
    for each in known:
        each["metadata"]["namespace"] = namespace
    common = ("--namespace", namespace, "--validate=strict", "--filename=-")
    run("kubectl", "apply", "--dry-run=server", *common, stdin=yaml.safe_dump_all(known))


def test_it_is_installed_and_answers(namespace: str, is_made_up: bool) -> None:
    upgrade(namespace, "triton.replicas=2", "gateway.replicas=2")
    assert (ready("triton", namespace), ready("gateway", namespace)) == (2, 2)
    if is_made_up:
        pytest.skip("installed and ready; nothing runs on these nodes that could answer")
    print(run("helm", "test", RELEASE, "--namespace", namespace, "--logs", "--timeout=5m"))
    service = f"service/{RELEASE}-ru-emotions-gateway"
    forward = [TOOLS / "bin/kubectl", "port-forward", "--namespace", namespace, service, ":8080"]
    with subprocess.Popen(forward, stdout=subprocess.PIPE, text=True) as forwarding:
        assert forwarding.stdout is not None
        port = forwarding.stdout.readline().split(" -> ")[0].rpartition(":")[2]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=30) as answer:
                assert answer.status == 200
        finally:
            forwarding.terminate()


def test_an_upgrade_takes_none_away_before_another_is_there(namespace: str) -> None:
    before = deployed("triton", namespace)["metadata"]["generation"]
    with never_fewer(2, namespace):
        upgrade(namespace, "triton.replicas=2", "gateway.replicas=2", "models.revision=2")
    assert deployed("triton", namespace)["metadata"]["generation"] > before
    with never_fewer(2, namespace):
        run("helm", "rollback", RELEASE, "--namespace", namespace, "--wait", f"--timeout={MINUTES}m")


def test_the_budget_holds(namespace: str) -> None:
    """What a drain does: one pod goes, and the next only when another one is ready."""
    label = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=gateway"
    found = run("kubectl", "get", "pods", "--namespace", namespace, "--selector", label, "--output=name").split()
    names = [name.removeprefix("pod/") for name in found]
    assert len(names) == 2

    def evict(name: str) -> str:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
        return run("kubectl", "create", "--raw", path, "--filename=-", stdin=json.dumps(body), check=False)

    assert "disruption budget" not in evict(names[0])
    assert "disruption budget" in evict(names[1])
    wait_for_ready("gateway", 2, namespace)


def test_it_scales(namespace: str) -> None:
    for count in (3, 1):
        upgrade(namespace, f"triton.replicas={count}", f"gateway.replicas={count}")
        wait_for_ready("triton", count, namespace)
    scaled = ("autoscaling.enabled=true", "autoscaling.minReplicas=1", "autoscaling.maxReplicas=4")
    upgrade(namespace, *[f"triton.{setting}" for setting in scaled])
    scaler = get("horizontalpodautoscaler", f"{RELEASE}-ru-emotions-triton", namespace)
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (1, 4)
    # Whoever scales, an upgrade leaves the number alone.
    run("kubectl", "scale", f"deployment/{RELEASE}-ru-emotions-triton", "--replicas=2", "--namespace", namespace)
    upgrade(namespace, *[f"triton.{setting}" for setting in scaled], "triton.drainSeconds=6")
    assert deployed("triton", namespace)["spec"]["replicas"] == 2


def test_nothing_is_left(namespace: str) -> None:
    run("helm", "uninstall", RELEASE, "--namespace", namespace, "--wait", f"--timeout={MINUTES}m")
    kinds = (
        "deployments,services,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,ingresses,serviceaccounts"
    )
    left = run("kubectl", "get", kinds, "--namespace", namespace, "--output=name").split()
    assert [name for name in left if RELEASE in name] == []
