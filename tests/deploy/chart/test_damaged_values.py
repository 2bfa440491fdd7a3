"""Values that make no sense are refused before anything is installed, with a sentence that names the value."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart.charts import CHART, CI, helm

pytestmark = pytest.mark.deploy

# Values file, what is set in it, the value that the sentence must name, and what it must say of it.
DAMAGED = [
    # No such value, or a value of another kind.
    ("minimal", "gateway.replics=3", "/gateway", "replics"),
    ("minimal", "gatway.replicas=3", "", "gatway"),
    ("minimal", "gateway.settings.triton_address=other:8001", "/gateway/settings", "triton_address"),
    ("minimal", "gateway.settings.maxTexts=many", "/gateway/settings/maxTexts", "want integer"),
    ("minimal", "triton.replicas=1.5", "/triton/replicas", "want integer"),
    ("minimal", "networkPolicy.enabled=maybe", "/networkPolicy/enabled", "want boolean"),
    ("minimal", "triton.tolerations[0].effect=NoRun", "/triton/tolerations/0/effect", "NoExecute"),
    ("minimal", "networkPolicy.tritonFrom[0].pods=all", "/networkPolicy/tritonFrom/0", "pods"),
    # One of a few.
    ("minimal", "triton.device=tpu", "/triton/device", "'cpu', 'gpu'"),
    ("minimal", "models.source=nfs", "/models/source", "'image', 'pvc', 's3'"),
    ("cpu", "models.pvc.update=explicit", "/models/pvc/update", "'restart', 'poll'"),
    ("keda", "autoscaling.with=vpa", "/autoscaling/with", "'hpa', 'keda'"),
    ("minimal", "gateway.service.type=ExternalName", "/gateway/service/type", "ClusterIP"),
    ("minimal", "gateway.settings.logFormat=xml", "/gateway/settings/logFormat", "'json', 'text'"),
    # Too few, too many: nobody there would answer, and nothing would wake them.
    ("minimal", "gateway.replicas=0", "/gateway/replicas", "want 1"),
    ("minimal", "triton.replicas=0", "/triton/replicas", "want 1"),
    ("hpa", "gateway.autoscaling.minReplicas=0", "/gateway/autoscaling/minReplicas", "want 1"),
    ("keda", "triton.autoscaling.minReplicas=0", "/triton/autoscaling/minReplicas", "want 1"),
    ("hpa", "triton.autoscaling.textsWaiting=-1", "/triton/autoscaling/textsWaiting", "want 0"),
    ("hpa", "gateway.autoscaling.cpuUtilization=150", "/gateway/autoscaling/cpuUtilization", "want 100"),
    ("minimal", "gateway.disruption.maxUnavailable=0", "/gateway/disruption/maxUnavailable", "want 1"),
    ("minimal", "triton.disruption.maxUnavailable=0%", "/triton/disruption/maxUnavailable", "does not match"),
    ("minimal", "gateway.service.port=80800", "/gateway/service/port", "want 65,535"),
    ("minimal", "gateway.settings.keyShare=2", "/gateway/settings/keyShare", "want 1"),
    ("minimal", "triton.drainSeconds=0", "/triton/drainSeconds", "want 5"),
    # Not as it is written.
    ("minimal", "models.image.digest=latest", "/models/image/digest", "sha256"),
    ("minimal", "models.image.repository=Registry/Models", "/models/image/repository", "does not match"),
    ("minimal", "triton.shmSize=lots", "/triton/shmSize", "does not match"),
    ("minimal", "triton.resources.limits.memory=4", "/triton/resources/limits/memory", "want string"),
    ("minimal", "gateway.tmpSize=5", "/gateway/tmpSize", "want string"),
    ("minimal", "gateway.resources.requests.cpu=0", "/gateway/resources/requests/cpu", "exclusiveMinimum"),
    ("minimal", "triton.resources.requests.cpu=two", "/triton/resources/requests/cpu", "does not match"),
    ("minimal", "gateway.resources.limits=null", "/gateway/resources", "limits"),
    ("s3", "models.s3.endpoint=s3.example.org", "/models/s3/endpoint", "https?"),
    ("s3", "models.s3.bucket=My_Bucket", "/models/s3/bucket", "does not match"),
    ("s3", "models.s3.prefix=/production", "/models/s3/prefix", "does not match"),
    ("minimal", "gateway.settings.canary=half", "/gateway/settings/canary", "does not match"),
    ("minimal", "fullnameOverride=Эмоции", "/fullnameOverride", "does not match"),
    ("pvc", "keys.file=../keys", "/keys/file", "does not match"),
    ("minimal", "monitoring.serviceMonitor.interval=often", "/monitoring/serviceMonitor/interval", "does not match"),
    ("minimal", "monitoring.serviceMonitor.interval=5m", "/monitoring/serviceMonitor/interval", "does not match"),
    ("minimal", "fullnameOverride=9lives", "/fullnameOverride", "does not match"),
    ("minimal", "imagePullSecrets[0].name=a..b", "/imagePullSecrets/0/name", "does not match"),
    ("minimal", "imagePullSecrets[0]=registry", "/imagePullSecrets/0", "want object"),
    ("minimal", "gateway.image.repository=registry.example.org//x", "/gateway/image/repository", "does not match"),
    ("minimal", "triton.image.repository=registry.example.org/x:1", "/triton/image/repository", "does not match"),
    ("minimal", "triton.rollingUpdate.maxUnavailable=100%", "/triton/rollingUpdate/maxUnavailable", "does not match"),
    ("minimal", "gateway.priorityClassName=a..b", "/gateway/priorityClassName", "does not match"),
    ("minimal", "gateway.nodeSelector.a b=c", "/gateway/nodeSelector", "'a b' not allowed"),
    ("minimal", "gateway.nodeSelector.a=b c", "/gateway/nodeSelector/a", "does not match"),
    ("minimal", "gateway.annotations.a b=c", "/gateway/annotations", "'a b' not allowed"),
    ("minimal", "gateway.tolerations[0].operator=Exists,gateway.tolerations[0].value=x",
     "/gateway/tolerations/0/value", "must be ''"),
    ("minimal", "gateway.tolerations[0].value=x", "/gateway/tolerations/0", "missing property 'key'"),
    ("minimal", "gateway.tolerations[0].key=a,gateway.tolerations[0].tolerationSeconds=5",
     "/gateway/tolerations/0", "missing property 'effect'"),
    ("minimal", "gateway.affinity.nodeAffinity.required=x", "/gateway/affinity/nodeAffinity", "'required' not allowed"),
    ("minimal", "networkPolicy.gatewayFrom[0].ipBlock.cidr=999.1.1.1/8",
     "/networkPolicy/gatewayFrom/0/ipBlock/cidr", "does not match"),
    ("minimal", "networkPolicy.gatewayFrom[0].ipBlock.cidr=10.0.0.0/99",
     "/networkPolicy/gatewayFrom/0/ipBlock/cidr", "does not match"),
    ("minimal", "networkPolicy.gatewayFrom[0].podSelector.app=x",
     "/networkPolicy/gatewayFrom/0/podSelector", "'app' not allowed"),
    ("s3", "networkPolicy.s3To[0].podSelector.matchLabels.a=b,networkPolicy.s3To[0].ipBlock.cidr=10.0.0.0/8",
     "/networkPolicy/s3To/0", "maxProperties"),
    ("minimal", "gateway.settings.canary=150%", "/gateway/settings/canary", "does not match"),
    ("minimal", "gateway.settings.corsOrigins=example.org", "/gateway/settings/corsOrigins", "does not match"),
    ("minimal", "gateway.settings.otlpEndpoint=http://c:99999", "/gateway/settings/otlpEndpoint", "does not match"),
    ("s3", "models.s3.bucket=a..b", "/models/s3/bucket", "does not match"),
    ("s3", "models.s3.endpoint=http://mi..nio", "/models/s3/endpoint", "does not match"),
    ("pvc", "gateway.ingress.host=10.0.0.1", "/gateway/ingress/host", "does not match"),
    ("pvc", "gateway.ingress.host=a..b", "/gateway/ingress/host", "does not match"),
    ("everything", "gateway.httpRoute.hosts={a.b,a.b}", "/gateway/httpRoute/hosts", "are equal"),
    ("minimal", "gateway.extraEnv[0].name=1a", "/gateway/extraEnv/0/name", "does not match"),
    # Each right by itself, and not together.
    ("minimal", "models.image.repository=", "models.image.repository", "is empty"),
    ("minimal", "models.image.digest=", "models.image.digest", "is empty"),
    ("cpu", "models.pvc.claim=", "models.pvc.claim", "is empty"),
    ("s3", "models.s3.endpoint=", "models.s3.endpoint", "is empty"),
    ("s3", "models.s3.bucket=", "models.s3.bucket", "is empty"),
    ("gpu", "triton.gpu.count=0", "triton.gpu.count", "device is gpu"),
    ("minimal", "triton.terminationGracePeriodSeconds=20", "triton.terminationGracePeriodSeconds", "need 30"),
    ("minimal", "gateway.terminationGracePeriodSeconds=12", "gateway.terminationGracePeriodSeconds", "need 25"),
    ("everything", "gateway.terminationGracePeriodSeconds=29", "gateway.terminationGracePeriodSeconds", "need 33"),
    ("minimal", "gateway.settings.requestTimeout=30", "triton.exitTimeoutSeconds", "requestTimeout 30"),
    ("minimal", "triton.shmSize=8Gi", "triton.shmSize", "limits.memory 4Gi"),
    ("pvc", "gateway.ingress.host=", "gateway.ingress.host", "is empty"),
    ("everything", "gateway.httpRoute.parent.name=", "gateway.httpRoute.parent.name", "is empty"),
    ("everything", "gateway.httpRoute.hosts=null", "gateway.httpRoute.hosts", "is empty"),
    ("pvc", "gateway.httpRoute.enabled=true,gateway.httpRoute.parent.name=a,gateway.httpRoute.hosts={a.b}",
     "gateway.ingress.enabled", "twice"),
    ("hpa", "triton.autoscaling.minReplicas=5", "triton.autoscaling.minReplicas", "more than maxReplicas 4"),
    ("hpa", "triton.autoscaling.textsWaiting=0,triton.autoscaling.pendingRequests=0",
     "triton.autoscaling", "nothing to scale on"),
    ("keda", "triton.autoscaling.textsWaiting=0", "triton.autoscaling.textsWaiting", "nothing to scale on"),
    ("keda", "gateway.autoscaling.cpuUtilization=0,gateway.autoscaling.refusedPerSecond=0",
     "gateway.autoscaling", "nothing to scale on"),
    ("keda", "autoscaling.prometheusAddress=", "autoscaling.prometheusAddress", "is empty"),
    ("minimal", "triton.rollingUpdate.maxSurge=0", "triton.rollingUpdate", "both 0"),
    ("minimal", "gateway.rollingUpdate.maxSurge=0%,gateway.rollingUpdate.maxUnavailable=0%",
     "gateway.rollingUpdate", "both 0"),
    ("minimal", "triton.resources.requests.memory=5Gi", "triton.resources.requests.memory", "limits.memory 4Gi"),
    ("minimal", "triton.resources.limits.cpu=500m", "triton.resources.requests.cpu", "limits.cpu 500m"),
    ("everything", "triton.resources.limits.ephemeral-storage=1M",
     "triton.resources.requests.ephemeral-storage", "limits.ephemeral-storage 1M"),
    ("s3", "models.s3.fetch.resources.limits.memory=64Mi",
     "models.s3.fetch.resources.requests.memory", "limits.memory"),
    ("minimal", "gateway.resources.limits.memory=1Mi,gateway.resources.requests.memory=1Mi",
     "gateway.resources.limits.memory", "256Mi"),
    ("minimal", "triton.shmSize=1Mi", "triton.shmSize", "64Mi"),
    ("minimal", "serviceAccount.create=false,serviceAccount.annotations.a=b", "serviceAccount.annotations", "create"),
    ("minimal", "gateway.extraEnv[0].name=EMOTION_PORT", "gateway.extraEnv", "EMOTION_PORT"),
    ("minimal", r"gateway.labels.app\.kubernetes\.io/name=x", "gateway.labels", "app.kubernetes.io/name"),
    ("minimal", "triton.labels.a=b c", "/triton/labels/a", "does not match"),
    ("minimal", "triton.extraEnv[0].name=HOME", "triton.extraEnv", "HOME"),
    ("s3", "triton.extraEnv[0].name=AWS_DEFAULT_REGION", "triton.extraEnv", "AWS_DEFAULT_REGION"),
    ("minimal", "gateway.extraEnv[0].name=A,gateway.extraEnv[1].name=A", "gateway.extraEnv", "twice"),
    ("minimal", "triton.extraEnv[0].name=A,triton.extraEnv[0].value=b,triton.extraEnv[0].valueFrom.fieldRef.a=c",
     "triton.extraEnv", "valueFrom"),
    ("keda", "monitoring.serviceMonitor.interval=1m", "monitoring.serviceMonitor.interval", "30s at most"),
    ("minimal", "gateway.settings.maxBodyBytes=9000", "gateway.settings.maxBodyBytes", "maxCharacters 10000"),
    ("minimal", "gateway.settings.maxCharacters=3000000", "gateway.settings.maxBodyBytes", "maxCharacters 3"),
    ("everything", "gateway.settings.maxInFlight=1", "gateway.settings.maxInFlight", "2 workers"),
    ("everything", "keys.metricsFile=clients", "keys.metricsFile", "one key"),
]  # fmt: skip


def refusal(*arguments: str | Path) -> str:
    done = helm("template", "rel", CHART, *arguments)
    assert done.returncode != 0, f"{arguments} was taken"
    assert done.stdout == ""
    assert "panic" not in done.stderr
    assert "nil pointer" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(("values", "setting", "name", "says"), DAMAGED, ids=[row[1] for row in DAMAGED])
def test_nonsense_is_refused_by_name(values: str, setting: str, name: str, says: str) -> None:
    sentence = refusal("--values", CI[values], "--set", setting)
    (line,) = [line for line in sentence.splitlines() if name in line and says in line]
    if name.startswith("/") or not name:
        assert f"- at '{name}': " in line
    else:
        # Nothing else of the chart's inside: one sentence, after where it was found.
        assert re.search(r"execution error at \(ru-emotions/templates/\S+\): " + re.escape(name), line)


def test_nothing_given_is_refused_with_what_to_give() -> None:
    assert "models.image.repository is empty: name the image" in refusal()


def test_an_old_kubernetes_is_refused() -> None:
    assert "1.32.0 which is incompatible" not in refusal("--values", CI["minimal"], "--kube-version", "1.32")
    assert "models.source image needs Kubernetes 1.35" in refusal("--values", CI["minimal"], "--kube-version", "1.32")
    assert "kubeVersion: >=1.29" in refusal("--values", CI["cpu"], "--kube-version", "1.28")


def places(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from places(value, (*path, name))


@pytest.mark.parametrize("section", yaml.safe_load((CHART / "values.yaml").read_text("utf-8")))
def test_null_means_nothing_or_is_refused_by_name(section: str) -> None:
    """`null` takes a value out of the chart's own, as does `--reuse-values` with one that is new."""
    every = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    for path in [path for path in places(every) if path[0] == section]:
        # What these two files say themselves a null takes away too; between them they have what the templates read.
        for values in ("everything", "s3"):
            setting = ".".join(part.replace(".", r"\.") for part in path)
            done = helm("template", "rel", CHART, "--values", CI[values], "--set", f"{setting}=null")
            if done.returncode:
                found = [line for line in done.stderr.splitlines() if "level=INFO" not in line]
                # Not from inside a template.
                assert "executing" not in done.stderr, done.stderr
                assert any(path[-1] in line for line in found), done.stderr
            else:
                assert not re.search(r"<nil>|%!|: null$", done.stdout, re.MULTILINE), path


@pytest.mark.parametrize(
    "text", ["triton: [1, 2]", "triton: {replicas: {}}", "gateway: text", "models: 7", "keys: [a]"]
)
def test_a_section_of_another_shape_is_refused(text: str, tmp_path: Path) -> None:
    damaged = tmp_path / "values.yaml"
    damaged.write_text(text)
    (name,) = yaml.safe_load(text)
    assert re.search(rf"- at '/{name}\S*': got \w+, want", refusal("--values", CI["minimal"], "--values", damaged))
