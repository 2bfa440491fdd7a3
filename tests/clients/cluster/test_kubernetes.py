"""deploy/kubernetes: the Job and its image, checked without a cluster. test_shards runs the Job's command."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from clients.bulk.errors import WRONG_USE
from clients.cluster.command import make_parser
from tests.clients.cluster.test_shards import MANIFEST
from tests.support.triton_process import ROOT

DOCKERFILE = MANIFEST.with_name("bulk.Dockerfile")
Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    """What the manifest makes, by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(MANIFEST.read_text("utf-8"))}


@pytest.mark.cluster
@pytest.mark.parametrize("version", ["1.33", "1.37"])
def test_kubernetes_takes_it(documents: dict[str, Document], version: str) -> None:
    import kubernetes_validate

    assert set(documents) == {"Service", "Job"}
    for document in documents.values():
        kubernetes_validate.validate(document, version, strict=True)
    documents["Job"]["spec"]["paralelism"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(documents["Job"], version, strict=True)
    del documents["Job"]["spec"]["paralelism"]


def test_its_parts_agree(documents: dict[str, Document]) -> None:
    job, service = documents["Job"]["spec"], documents["Service"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    parsed, rest = make_parser("test", "test", has_workers=False).parse_known_args(container["args"])
    assert rest == [f"--shards={job['completions']}"]
    assert job["completionMode"] == "Indexed"
    assert service["spec"]["clusterIP"] == "None"
    assert parsed.triton == f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert mounts == {str(parsed.output.parent): False, str(parsed.repository): True}
    assert {volume["name"] for volume in pod["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}
    (codes,) = [rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    assert (codes["containerName"], codes["values"]) == (container["name"], [WRONG_USE])
    # The Job's first lines say what that makes at each Triton.
    assert f"{job['parallelism']} · {parsed.calls} = {job['parallelism'] * parsed.calls}" in MANIFEST.read_text("utf-8")


def test_the_image_has_every_room_that_a_shard_imports(tmp_path: Path) -> None:
    text = DOCKERFILE.read_text("utf-8")
    rooms = re.findall(r"^COPY (\w+) \./", text, re.MULTILINE)
    assert set(rooms) == {"clients", "contract"}
    for room in rooms:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "import sys; import clients.cluster.__main__, contract; assert contract.__file__.startswith(sys.argv[1]);"
        "print(*sorted({name.split('.')[0] for name in sys.modules} & {'gateway', 'ray', 'pyspark', 'training'}))"
    )
    asked = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "\n"
    assert 'ENTRYPOINT ["python", "-m", "clients.cluster"]' in text
