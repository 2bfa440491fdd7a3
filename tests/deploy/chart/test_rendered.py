"""What the chart makes fits together, and fits the gateway and Triton."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import app, serving
from gateway.api.routes import OPEN_PATHS
from gateway.command_line import read_settings
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics
from server.launching.tritonserver import CLOSED_PROTOCOLS
from tests.deploy.chart.charts import CHART, CI, find, pods, rendered, resources
from tests.support.triton_process import ROOT

pytestmark = pytest.mark.deploy

COMPONENTS = ("gateway", "triton")
SCALED = ("hpa", "keda", "everything")
OWN = {
    "drain", "host", "port", "triton_address", "triton_tls", "triton_tls_ca", "triton_tls_certificate",
    "triton_tls_key", "model_repository", "api_keys", "api_keys_file", "revision",
}  # fmt: skip
"""Settings of the gateway that the chart makes itself, or leaves alone."""


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def container(values: str, component: str, *settings: str) -> dict[str, Any]:
    (only,) = find(resources(values, *settings), "Deployment", component)["spec"]["template"]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize("values", CI)
def test_nobody_may_more_than_run(values: str) -> None:
    found = pods(resources(values))
    assert len(found) == 3  # both, and the pod of `helm test`
    for name, pod in found.items():
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod.keys()
        for each in containers(pod):
            security = each["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"] is not (values == "everything" and name.endswith("triton"))
            assert each["resources"]["limits"]["memory"]
            mounted = {mount["name"] for mount in each.get("volumeMounts", [])}
            assert mounted <= {volume["name"] for volume in pod.get("volumes", [])}
            # A single file of a Secret would never change in a running pod.
            assert not [mount for mount in each.get("volumeMounts", []) if "subPath" in mount]
        for volume in pod.get("volumes", []):
            assert len(volume) == 2
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""}), "it may fill the node"


@pytest.mark.parametrize("values", CI)
def test_everything_finds_its_pods_and_ports(values: str) -> None:
    found = resources(values)
    for component in COMPONENTS:
        deployment = find(found, "Deployment", component)
        template = deployment["spec"]["template"]
        labels, ports = template["metadata"]["labels"], template["spec"]["containers"][0]["ports"]
        named = {port["name"]: port["containerPort"] for port in ports}
        service = find(found, "Service", component)
        assert service["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named.keys()
        budget = find(found, "PodDisruptionBudget", component)
        policy = find(found, "NetworkPolicy", component)
        for selector in (
            deployment["spec"]["selector"],
            budget["spec"]["selector"],
            policy["spec"]["podSelector"],
            *[constraint["labelSelector"] for constraint in template["spec"]["topologySpreadConstraints"]],
        ):
            assert selector["matchLabels"] == service["spec"]["selector"]
        for monitor in [each for each in found if each["kind"] == "ServiceMonitor"]:
            if monitor["metadata"]["labels"]["app.kubernetes.io/component"] != component:
                continue
            assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
            assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
            assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == f"ru-emotions-{component}"
    variables = {each["name"]: each.get("value") for each in container(values, "gateway")["env"]}
    host, _, port = variables["EMOTION_TRITON_ADDRESS"].partition(":")
    triton = find(found, "Service", "triton")
    assert host == triton["metadata"]["name"]
    assert triton["spec"]["clusterIP"] == "None"
    assert int(port) in {each["port"] for each in triton["spec"]["ports"]}


@pytest.mark.parametrize("values", CI)
def test_the_gateway_takes_its_variables(values: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("EMOTION_")]:
        monkeypatch.delenv(name)
    keys = tmp_path / "keys"
    keys.write_text("0123456789abcdef")
    for each in container(values, "gateway")["env"]:
        here = {"EMOTION_MODEL_REPOSITORY": str(ROOT / "model_repository"), "EMOTION_API_KEYS_FILE": str(keys)}
        if each["name"].startswith("EMOTION_"):
            monkeypatch.setenv(each["name"], here.get(each["name"], each["value"]))
    settings = read_settings([])
    assert settings.port == container(values, "gateway")["ports"][0]["containerPort"]
    given = yaml.safe_load(CI[values].read_text("utf-8")).get("gateway", {}).get("settings", {})
    for name, value in given.items():
        assert getattr(settings, snake(name)) == value


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


def test_the_chart_has_every_setting_of_the_gateway() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    names = schema["properties"]["gateway"]["properties"]["settings"]["properties"]
    assert {snake(name) for name in names} == Settings.model_fields.keys() - OWN
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert values["gateway"]["settings"] == {"requestTimeout": Settings.model_fields["request_timeout"].default}


@pytest.mark.parametrize("values", CI)
def test_the_times_to_stop_add_up(values: str) -> None:
    found = pods(resources(values))
    (gateway,) = [pod for name, pod in found.items() if name.endswith("-gateway")]
    (triton,) = [pod for name, pod in found.items() if name.endswith("-triton")]
    variables = {each["name"]: each.get("value") for each in gateway["containers"][0]["env"]}
    timeout = float(variables["EMOTION_REQUEST_TIMEOUT"])
    needed = float(variables["EMOTION_DRAIN"]) + int(timeout) + serving._GRACE_SECONDS + app._GRACE_SECONDS
    assert gateway["terminationGracePeriodSeconds"] >= slept(gateway) + needed + 3
    (exit_timeout,) = re.findall(r"--exit-timeout-secs=(\d+)", str(triton["containers"][0]["args"]))
    assert triton["terminationGracePeriodSeconds"] >= slept(triton) + int(exit_timeout) + 5
    # A call that a Triton has when it is told to stop may last as long as a request.
    assert int(exit_timeout) >= timeout
    # Gateways look the name up every 3 seconds, and a cluster's name server keeps it for 5 or more.
    assert slept(triton) >= 3 + 5


def slept(pod: dict[str, Any]) -> int:
    command, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    return int(seconds)


def started(args: list[str], directory: Path) -> dict[str, str]:
    """What Triton's container starts tritonserver with, run with a stand-in on PATH."""
    stand_in = directory / "tritonserver"
    stand_in.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    here = [part.replace("rm -rf /tmp/*", "") for part in args]
    path = f"{directory}:{os.environ['PATH']}"
    shell = subprocess.run(here, env={"PATH": path}, capture_output=True, text=True, check=True, timeout=60)
    return dict(line.split("=", 1) for line in shell.stdout.splitlines())


@pytest.mark.parametrize(
    ("values", "service"), [("pvc", "triton-cpu"), ("gpu", "triton"), ("s3", "triton-cpu"), ("s3-direct", "triton-cpu")]
)
def test_triton_starts_as_under_compose(values: str, service: str, tmp_path: Path) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"][service]
    theirs = started([part.replace("$$", "$") for part in compose["command"]], tmp_path)
    ours = started(container(values, "triton")["args"], tmp_path)
    for flag in ("--http-restricted-api", "--grpc-restricted-protocol"):
        assert ours.pop(flag).partition(":")[0] == theirs.pop(flag).partition(":")[0] == ",".join(CLOSED_PROTOCOLS)
    polls = values in ("pvc", "s3")
    theirs["--model-repository"] = {
        "s3": "/repository/models",
        "s3-direct": "s3://http://minio.storage:9000/models",
    }.get(values, "/models")
    if not polls:
        # What it starts with it keeps, and all of it must be right.
        theirs |= {"--model-control-mode": "none", "--exit-on-error": "true", "--strict-readiness": "true"}
        del theirs["--repository-poll-secs"]
    assert ours == theirs
    variables = {each["name"]: each.get("value") for each in container(values, "triton")["env"]}
    # The chart takes no configuration by name: its Tritons may run on machines of several kinds.
    chosen = {name: value for name, value in compose["environment"].items() if name != "EMOTION_TRITON_CONFIG"}
    assert chosen.items() <= variables.items()


@pytest.mark.parametrize("values", CI)
def test_nobody_reaches_tritons_http(values: str) -> None:
    args = container(values, "triton")["args"]
    assert "--http-address=127.0.0.1" in args
    assert [(port["name"], port["containerPort"]) for port in container(values, "triton")["ports"]] == [
        ("grpc", 8001),
        ("metrics", 8002),
    ]
    policy = find(resources(values), "NetworkPolicy", "triton")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    grpc, metrics = policy["ingress"]
    assert (grpc["ports"], metrics["ports"]) == (
        [{"protocol": "TCP", "port": "grpc"}],
        [{"protocol": "TCP", "port": "metrics"}],
    )
    first, *others = grpc["from"]
    assert first["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    assert bool(others) is (values in ("everything", "hpa"))
    ports = [port["port"] for rule in policy["egress"] for port in rule["ports"]]
    assert ports == {"s3": [53, 53, 443, 3128], "s3-direct": [53, 53, 9000]}.get(values, [])


def test_each_probe_fits_its_failure() -> None:
    gateway, triton = container("minimal", "gateway"), container("minimal", "triton")
    # Triton is away: the gateway gets no clients, and lives on.
    assert gateway["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert gateway["livenessProbe"]["httpGet"]["path"] == gateway["startupProbe"]["httpGet"]["path"] == "/health/live"
    assert {"/health/ready", "/health/live"} <= OPEN_PATHS, "a probe shows no key"
    # The kubelet could not ask Triton from outside.
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert set(triton[probe]) & {"httpGet", "grpc", "tcpSocket"} == set()
        assert "http://127.0.0.1:8000/v2/health/" in str(triton[probe]["exec"]["command"])
    startup = triton["startupProbe"]
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert startup["periodSeconds"] * startup["failureThreshold"] >= values["triton"]["startSeconds"]


def test_what_is_published_is_all_but_metrics_and_health() -> None:
    rule = find(resources("pvc"), "Ingress", "gateway")["spec"]["rules"][0]
    paths = [(path["path"], path["pathType"]) for path in rule["http"]["paths"]]
    route = find(resources("everything"), "HTTPRoute", "gateway")["spec"]["rules"]
    matches = [(match["path"]["value"], match["path"]["type"]) for each in route for match in each["matches"]]
    assert matches == [(path, {"Prefix": "PathPrefix"}.get(kind, kind)) for path, kind in paths]
    assert all(len(each["matches"]) <= 8 for each in route)

    def is_published(asked: str) -> bool:
        return any(
            asked == path or (kind == "Prefix" and asked.startswith(path.rstrip("/") + "/")) for path, kind in paths
        )

    every = set(app._methods())
    assert {path for path in every if not is_published(path)} == {"/metrics", "/health/live", "/health/ready"}
    assert {path for path, kind in paths if kind == "Exact"} <= every


@pytest.mark.parametrize("values", CI)
def test_an_autoscaler_and_a_number_never_fight(values: str) -> None:
    found = resources(values)
    scalers = [each for each in found if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in scalers}
    assert bool(scaled) is (values in SCALED)
    for each in found:
        if each["kind"] == "Deployment":
            assert ("replicas" in each["spec"]) is (each["metadata"]["name"] not in scaled)
    for each in scalers:
        spec = each["spec"]
        least = spec.get("minReplicas", spec.get("minReplicaCount"))
        assert 1 <= least <= spec.get("maxReplicas", spec.get("maxReplicaCount"))
        assert "idleReplicaCount" not in spec


def test_what_it_scales_on_is_there() -> None:
    """Of the gateway's metrics; and the adapter's rules give each metric that is asked for."""
    names = {metric.name for metric in Metrics("0", "0")._registry.collect()}
    series = set(re.findall(r"\b(emotion_\w+?)(?:_total)?\{", rendered("keda")))
    assert series == {"emotion_texts_waiting", "emotion_requests"}
    assert series <= names
    adapter = yaml.safe_load((CHART / "examples/prometheus-adapter.yaml").read_text("utf-8"))
    given = {rule["name"]["as"] for rule in adapter["rules"]["external"]}
    asked = {
        metric["external"]["metric"]["name"]
        for each in resources("hpa")
        if each["kind"] == "HorizontalPodAutoscaler"
        for metric in each["spec"]["metrics"]
        if metric["type"] == "External"
    }
    assert asked == given == {"emotion_texts_waiting", "nv_inference_pending_request_count", "emotion_requests_refused"}


@pytest.mark.parametrize("values", ["hpa", "keda"])
def test_what_is_not_there_need_not_be_scaled_on(values: str) -> None:
    """An autoscaler takes nothing away while one of its metrics can't be had."""
    off = ("gateway.autoscaling.cpuUtilization=0", "triton.autoscaling.pendingRequests=0")
    found = resources(values, *off)
    kind = {"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}[values]
    for component, name in (("gateway", "emotion_requests"), ("triton", "emotion_texts_waiting")):
        spec = find(found, kind, component)["spec"]
        (only,) = spec.get("metrics", spec.get("triggers"))
        assert name in str(only)


@pytest.mark.parametrize("values", CI)
def test_a_drain_never_stands_still(values: str) -> None:
    found = resources(values, *[f"{component}.replicas=1" for component in COMPONENTS])
    for component in COMPONENTS:
        budget = find(found, "PodDisruptionBudget", component)["spec"]
        assert "minAvailable" not in budget
        assert str(budget["maxUnavailable"]) not in ("0", "0%")
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        # With one node they all run on it.
        pod = find(found, "Deployment", component)["spec"]["template"]["spec"]
        assert {each["whenUnsatisfiable"] for each in pod["topologySpreadConstraints"]} == {"ScheduleAnyway"}
        assert "requiredDuringSchedulingIgnoredDuringExecution" not in pod.get("affinity", {}).get(
            "podAntiAffinity", {}
        )


def test_a_cpu_asks_for_no_gpu() -> None:
    for values in CI:
        asks = "nvidia.com/gpu" in container(values, "triton")["resources"]["limits"]
        assert asks is (values == "gpu")


@pytest.mark.parametrize(
    ("values", "change"),
    [
        ("minimal", f"models.image.digest=sha256:{'a' * 64}"),
        ("cpu", "models.revision=2"),
        ("s3-direct", "models.revision=8"),
    ],
)
def test_a_new_version_replaces_the_pods(values: str, change: str) -> None:
    for component in COMPONENTS:
        before = find(resources(values), "Deployment", component)["spec"]
        after = find(resources(values, change), "Deployment", component)["spec"]
        assert before["template"] != after["template"]
        assert before["selector"] == after["selector"], "it can't be changed"
        assert before["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize("values", CI)
def test_both_read_the_models_where_they_are(values: str) -> None:
    for component in COMPONENTS:
        pod = find(resources(values), "Deployment", component)["spec"]["template"]["spec"]
        (main,) = pod["containers"]
        named = [part.partition("=")[2] for part in main.get("args", []) if part.startswith("--model-repository=")]
        named += [each["value"] for each in main["env"] if each["name"] == "EMOTION_MODEL_REPOSITORY"]
        (repository,) = named
        mounts = [mount["mountPath"] for mount in main["volumeMounts"] if mount["name"] == "models"]
        if repository.startswith("s3://"):
            assert mounts == []
            continue
        (mount,) = [each for each in main["volumeMounts"] if each["name"] == "models"]
        assert mount["readOnly"] is True
        fetchers = pod.get("initContainers", [])
        assert [each["name"] for each in fetchers] == (
            ["fetch-models", "follow-models"] if values.startswith("s3") else []
        )
        # The first must be done before anything starts; the second goes on beside it.
        assert [each.get("restartPolicy") for each in fetchers] == [None, "Always"][: len(fetchers)]
        for each in fetchers:
            command, bucket, directory, _ = each["args"]
            assert (command, directory) == ("fetch", repository)
            assert re.fullmatch(r"s3://https?://[^/]+:\d+/\S+", bucket)
        # New versions are made beside the directory and renamed into it, so both must be on one volume.
        assert mount["mountPath"] == (repository if not fetchers else str(Path(repository).parent))


def test_keys_come_as_a_directory_and_prometheus_has_one() -> None:
    found = resources("everything")
    pod = find(found, "Deployment", "gateway")["spec"]["template"]["spec"]
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "keys"]
    variables = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert variables["EMOTION_API_KEYS_FILE"] == f"{mount['mountPath']}/clients"
    (endpoint,) = find(found, "ServiceMonitor", "gateway")["spec"]["endpoints"]
    assert endpoint["authorization"] == {
        "type": "Bearer",
        "credentials": {"name": "ru-emotions-keys", "key": "prometheus"},
    }
    assert "authorization" not in find(found, "ServiceMonitor", "triton")["spec"]["endpoints"][0]


def test_the_rules_are_those_that_are_tested_and_name_their_runbooks() -> None:
    rules = [each["spec"] for each in resources("everything") if each["kind"] == "PrometheusRule"]
    files = [yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "deploy/monitoring/rules").glob("*.yml")]
    assert len(rules) == len(files) > 0

    def alerts(groups: list[dict[str, Any]]) -> dict[str, str]:
        found = [rule for each in groups for group in each["groups"] for rule in group["rules"] if "alert" in rule]
        return {rule["alert"]: rule["annotations"]["runbook_url"] for rule in found}

    prefix = "https://git.example.org/ru-emotions/blob/main/"
    assert alerts(rules) == {name: prefix + url for name, url in alerts(files).items()}
    boards = [each["data"] for each in resources("everything") if each["kind"] == "ConfigMap"]
    paths = sorted((ROOT / "deploy/monitoring/dashboards").glob("*.json"))
    shown = {name: text for board in boards for name, text in board.items()}
    assert shown == {path.name: path.read_text("utf-8") for path in paths}
