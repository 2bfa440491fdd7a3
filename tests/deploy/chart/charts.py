"""The chart as helm renders it, for tests."""

import os
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.triton_process import ROOT

CHART = ROOT / "deploy/chart"
CI = {path.stem: path for path in sorted((CHART / "ci").glob("*.yaml"))}
"""Values files by name; between them they use every value and every template."""
TOOLS = ROOT / "build/deploy"
RELEASE = "rel"
Resource = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm, without the settings and caches of whoever runs the tests."""
    own = {name: str(TOOLS / "helm") for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    # Where it finds a KUBECONFIG it would ask that cluster for its version.
    inherited = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    return subprocess.run(
        [TOOLS / "bin/helm", *map(str, arguments)], env=inherited | own, capture_output=True, text=True, timeout=120
    )


@cache
def rendered(values: str, *settings: str) -> str:
    """The YAML that the chart gives with a values file of ci/ and `--set` flags."""
    flags = [part for setting in settings for part in ("--set", setting)]
    done = helm("template", RELEASE, CHART, "--namespace", "emotions", "--values", CI[values], *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout


def resources(values: str, *settings: str) -> list[Resource]:
    """The resources in it."""
    return [resource for resource in yaml.safe_load_all(rendered(values, *settings)) if resource]


def find(found: Iterable[Resource], kind: str, component: str) -> Resource:
    """The one of a kind for `gateway` or `triton`."""
    label = "app.kubernetes.io/component"
    (match,) = [each for each in found if each["kind"] == kind and each["metadata"]["labels"].get(label) == component]
    return match


def pods(found: Iterable[Resource]) -> dict[str, Any]:
    """The pod specs, by the names of what makes them."""
    specs = {}
    for each in found:
        if each["kind"] == "Deployment":
            specs[each["metadata"]["name"]] = each["spec"]["template"]["spec"]
        elif each["kind"] == "Pod":
            specs[each["metadata"]["name"]] = each["spec"]
    return specs
