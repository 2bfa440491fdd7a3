"""What people really set: other names, other networks, quotas, variables of their own."""

import re
from typing import Any

import pytest
import yaml

from gateway.settings import Settings
from tests.deploy.chart.charts import CHART, CI, Resource, find, helm, pods, resources

pytestmark = pytest.mark.deploy

SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""As Kubernetes takes it."""


def named(release: str) -> list[Resource]:
    done = helm("template", release, CHART, "--namespace", "emotions", "--values", CI["hpa"])
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.mark.parametrize("release", ["emotions", "ru-emotions", "2024-emotions", "9", "emotions.v2", "x" * 53])
def test_every_release_has_names_that_kubernetes_takes(release: str) -> None:
    found = named(release)
    for each in found:
        assert SERVICE_NAME.fullmatch(each["metadata"]["name"])
        for value in each["metadata"]["labels"].values():
            assert len(value) <= 63
    gateway = find(found, "Deployment", "gateway")["spec"]["template"]["spec"]["containers"][0]
    triton = find(found, "Service", "triton")["metadata"]["name"]
    assert {"name": "EMOTION_TRITON_ADDRESS", "value": f"{triton}:8001"} in gateway["env"]


def test_two_releases_share_no_name() -> None:
    alike = ["x" * 52 + "a", "x" * 52 + "b", "emotions.v2", "emotions-v2", "emotions", "x" * 50]
    names = [{(each["kind"], each["metadata"]["name"]) for each in named(release)} for release in alike]
    assert len(set().union(*names)) == sum(map(len, names))


def test_a_name_that_looks_like_something_else_stays_a_name() -> None:
    """YAML takes 1234, 1e3, true and null for no text, and *.example.org for a reference."""
    import kubernetes_validate

    names = ("imagePullSecrets[0].name", "keys.existingSecret", "triton.priorityClassName", "serviceAccount.name")
    flags = {
        "pvc": ("models.pvc.claim", "gateway.ingress.className", "gateway.ingress.tlsSecret"),
        "s3": ("models.s3.existingSecret",),
        "gpu": ("triton.gpu.runtimeClassName", "keys.metricsFile", "keys.file"),
    }
    for text in ("1234", "1e3", "true", "null", "on"):
        for values, others in flags.items():
            given = [part for name in (*names, *others) for part in ("--set-string", f"{name}={text}")]
            given += ["--set", "gateway.ingress.enabled=true", "--set-string", "gateway.ingress.host=*.example.org"]
            done = helm("template", text, CHART, "--values", CI[values], *given)
            assert done.returncode == 0, done.stderr
            for each in yaml.safe_load_all(done.stdout):
                kubernetes_validate.validate(each, "1.35", strict=True)
                assert isinstance(each["metadata"]["labels"]["app.kubernetes.io/instance"], str)


def test_an_ipv6_cluster_reaches_both() -> None:
    for ipv6, host, metrics in (("true", "::", "ipv6:::"), ("false", "0.0.0.0", "0.0.0.0")):  # noqa: S104
        found = resources("minimal", f"ipv6={ipv6}")
        gateway = find(found, "Deployment", "gateway")["spec"]["template"]["spec"]["containers"][0]
        triton = find(found, "Deployment", "triton")["spec"]["template"]["spec"]["containers"][0]
        assert {"name": "EMOTION_HOST", "value": host} in gateway["env"]
        assert f"--metrics-address={metrics}" in triton["args"]


def test_a_quota_for_every_resource_can_be_met() -> None:
    """A ResourceQuota for limits.cpu takes no container without such a limit."""
    limits = [f"{name}.resources.limits.cpu=4" for name in ("gateway", "triton", "models.s3.fetch")]
    for pod in pods(resources("s3", *limits)).values():
        for each in [*pod.get("initContainers", []), *pod["containers"]]:
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= each["resources"][kind].keys()


def test_a_number_of_cpus_may_be_a_number() -> None:
    triton = find(resources("minimal", "triton.resources.requests.cpu=3"), "Deployment", "triton")
    assert str(triton["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]) == "3"


def test_variables_come_after_the_charts_own() -> None:
    found = resources("everything")
    for component, name in (("gateway", "POD_NAME"), ("triton", "TZ")):
        variables = find(found, "Deployment", component)["spec"]["template"]["spec"]["containers"][0]["env"]
        assert variables[-1]["name"] == name
        assert len({each["name"] for each in variables}) == len(variables)
    fetcher, *_ = find(resources("s3"), "Deployment", "gateway")["spec"]["template"]["spec"]["initContainers"]
    assert fetcher["env"][-1]["name"] == "HTTPS_PROXY"


def test_an_annotation_may_be_the_charts_own() -> None:
    for values, given in (("everything", "kubectl\\.kubernetes\\.io/default-container"), ("everything", "team")):
        found = resources(values, f"gateway.annotations.{given}=mine")
        annotations = find(found, "Deployment", "gateway")["spec"]["template"]["metadata"]["annotations"]
        assert annotations[given.replace("\\", "")] == "mine"
        assert annotations["ru-emotions/models-revision"] == "8"


def test_labels_are_the_pods_and_no_selectors() -> None:
    for component in ("gateway", "triton"):
        spec = find(resources("everything"), "Deployment", component)["spec"]
        assert spec["template"]["metadata"]["labels"]["example.org/cost"] == "42"
        assert "example.org/cost" not in spec["selector"]["matchLabels"], "it can't be changed"


@pytest.mark.parametrize("values", ["s3", "minimal"])
def test_what_else_may_be_reached(values: str) -> None:
    rule = "networkPolicy.egress[0].ports[0].port=3128"
    for component in ("gateway", "triton"):
        egress = find(resources(values, rule), "NetworkPolicy", component)["spec"]["egress"]
        assert [port["port"] for port in egress[0]["ports"]] == [53, 53], "names must be asked first"
        assert egress[-1]["ports"][0]["port"] == 3128


def test_the_test_runs_where_gateways_run() -> None:
    found = pods(resources("everything"))
    (gateway,) = [pod for name, pod in found.items() if name.endswith("-gateway")]
    (test,) = [pod for name, pod in found.items() if name.endswith("-test")]
    assert test["nodeSelector"] == gateway["nodeSelector"]
    assert test["tolerations"] == gateway["tolerations"]


def test_tritons_own_queue_counts_where_others_ask_it() -> None:
    """An autoscaler scales nothing down while one of its metrics can't be had."""

    def asked(*settings: str) -> set[str]:
        scaler = find(resources("hpa", *settings), "HorizontalPodAutoscaler", "triton")
        return {metric["external"]["metric"]["name"] for metric in scaler["spec"]["metrics"]}

    both = {"emotion_texts_waiting", "nv_inference_pending_request_count"}
    assert asked() == both
    assert asked("networkPolicy.tritonFrom=null") == {"emotion_texts_waiting"}
    assert asked("networkPolicy.tritonFrom=null", "networkPolicy.enabled=false") == both


def test_keda_takes_the_cpu_alone() -> None:
    """Its webhook refuses a fallback where no other trigger is."""

    def scaled(*settings: str) -> Any:
        return find(resources("keda", *settings), "ScaledObject", "gateway")["spec"]

    assert "fallback" in scaled()
    assert "fallback" not in scaled("gateway.autoscaling.refusedPerSecond=0")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("canary", ("off", "shadow", "5%", "0.25%", "100%"), ("101%", "5", "half", "5.00001%", "%")),
        ("corsOrigins", ("*", "https://example.org", "http://a:1\\, https://b.example"), ("a.b", "https://a/b")),
        ("otlpEndpoint", ("http://collector:4317",), ("collector:4317", "http://c/v1", "grpc://c:1")),
    ],
)
def test_settings_are_taken_as_the_gateway_takes_them(name: str, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    field = re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)
    for value in (*good, *bad):
        done = helm("template", "rel", CHART, "--values", CI["cpu"], "--set-string", f"gateway.settings.{name}={value}")
        assert (done.returncode == 0) is (value in good), value
        here = {field: value.replace("\\", ""), "model_repository": CHART}
        if value in good:
            Settings(**here)
        else:
            with pytest.raises(ValueError, match=field):
                Settings(**here)
