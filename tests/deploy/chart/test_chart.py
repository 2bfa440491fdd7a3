"""deploy/chart, as helm and the schemas of Kubernetes see it."""

import json
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.chart.charts import CHART, CI, RELEASE, TOOLS, Resource, helm, rendered, resources
from tests.support.triton_process import ROOT

pytestmark = pytest.mark.deploy

VERSIONS = ("1.29", "1.33", "1.35", "1.37")
WITH_IMAGE_VOLUMES = (1, 33)
OTHERS = {"HTTPRoute", "PrometheusRule", "ScaledObject", "ServiceMonitor"}
"""Kinds that Kubernetes does not know by itself."""


def leaves(values: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    if not isinstance(values, dict) or not values:
        return {path}
    return {leaf for name, value in values.items() for leaf in leaves(value, (*path, name))}


@pytest.mark.parametrize("values", CI)
def test_lint_finds_nothing(values: str) -> None:
    done = helm("lint", "--strict", CHART, "--values", CI[values])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("values", CI)
def test_kubernetes_takes_it(values: str) -> None:
    import kubernetes_validate

    found = resources(values)
    for version in VERSIONS:
        has_image_volumes = tuple(map(int, version.split("."))) >= WITH_IMAGE_VOLUMES
        if "\n          image:\n            reference:" in rendered(values) and not has_image_volumes:
            continue
        for resource in found:
            if resource["kind"] not in OTHERS:
                kubernetes_validate.validate(resource, version, strict=True)


def test_the_schemas_refuse_what_kubernetes_does_not_know() -> None:
    import kubernetes_validate

    (budget, *_) = [each for each in resources("minimal") if each["kind"] == "PodDisruptionBudget"]
    budget["spec"]["minAvailble"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(budget, VERSIONS[-1], strict=True)


def faults(checked: list[Resource]) -> list[str]:
    """What the schemas of KEDA, the Prometheus Operator and the Gateway API find."""
    directory = TOOLS / "schemas"
    if not (directory / "node_modules").is_dir():
        pytest.skip("no node here: resources of KEDA, the Prometheus Operator and the Gateway API stay unchecked")
    shutil.copy(Path(__file__).with_name("schemas") / "validate.mjs", directory)
    done = subprocess.run(
        ["node", "validate.mjs"], cwd=directory, input=json.dumps(checked), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_others_take_theirs() -> None:
    found = [each for values in CI for each in resources(values) if each["kind"] in OTHERS]
    assert {each["kind"] for each in found} == OTHERS
    assert faults(found) == []
    for each in found:
        each["spec"]["nonsense"] = True
    assert sum("/spec/nonsense is no field" in fault for fault in faults(found)) == len(found)


@pytest.mark.parametrize("values", CI)
def test_both_renderers_agree(values: str) -> None:
    """The Helm library of another package, in another version."""
    from helm_python.chart import Chart

    with Chart.load(CHART) as chart:
        files = chart.render(yaml.safe_load(CI[values].read_text("utf-8")), name=RELEASE, namespace="emotions")
    texts = [text for name, text in files.items() if not name.endswith("NOTES.txt")]
    other = [each for text in texts for each in yaml.safe_load_all(text) if each]

    def by_name(found: list[Resource]) -> dict[tuple[str, str], Resource]:
        return {(each["kind"], each["metadata"]["name"]): each for each in found}

    assert by_name(other) == by_name(resources(values))


def test_the_package_holds_all_and_renders_the_same(tmp_path: Path) -> None:
    done = helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as packed:
        names = packed.getnames()
    assert not [name for name in names if name.startswith("ru-emotions/ci/")]
    again = helm("template", RELEASE, package, "--namespace", "emotions", "--values", CI["everything"])
    assert again.returncode == 0, again.stderr
    assert list(yaml.safe_load_all(again.stdout)) == list(yaml.safe_load_all(rendered("everything")))


def test_its_version_is_the_projects() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    # Helm takes SemVer alone: 1.2.3-rc1.
    assert (chart["version"], chart["appVersion"]) == (version.replace("rc", "-rc"), version)


def test_the_schema_has_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))

    def resolved(part: dict[str, Any]) -> dict[str, Any]:
        return schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part

    def check(values: dict[str, Any], part: dict[str, Any], path: str) -> None:
        part = resolved(part)
        if "properties" not in part:
            return
        assert part["additionalProperties"] is False, path
        assert values.keys() <= part["properties"].keys(), path
        for name, value in values.items():
            if isinstance(value, dict):
                check(value, part["properties"][name], f"{path}.{name}")

    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    check(values, schema, "")
    assert schema["properties"].keys() - values.keys() == {"global"}


def test_the_values_files_between_them_use_every_value() -> None:
    every = leaves(yaml.safe_load((CHART / "values.yaml").read_text("utf-8")))
    used: set[tuple[str, ...]] = set()
    for path in CI.values():
        used |= leaves(yaml.safe_load(path.read_text("utf-8")))
    unused = {leaf for leaf in every if not any(other[: len(leaf)] == leaf for other in used)}
    # What only a cluster of one's own differs in.
    assert {".".join(leaf) for leaf in unused} <= {
        "models.s3.fetch.image.repository",
        "models.s3.fetch.image.tag",
        "models.s3.fetch.image.digest",
        "models.s3.fetch.image.pullPolicy",
        "networkPolicy.enabled",
        "triton.gpu.resource",
        "triton.pollSeconds",
        "triton.autoscaling.textsWaiting",
        "triton.autoscaling.pendingRequests",
        "gateway.image.digest",
    }
