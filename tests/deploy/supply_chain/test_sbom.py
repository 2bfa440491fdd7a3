"""Bills of materials: complete, valid, and the same every time."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.supply_chain.command import ROOT, SupplyChainError
from deploy.supply_chain.locks import read_lock
from deploy.supply_chain.sbom import bill, source_date_epoch
from deploy.supply_chain.shipped import SHIPPED, Shipped, shipped_weights

pytestmark = pytest.mark.supply
every_one = pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.name)


def components(text: str) -> dict[str, dict[str, Any]]:
    return {component["name"]: component for component in json.loads(text)["components"]}


def sha256(component: dict[str, Any]) -> str:
    ((found,),) = [[one["content"] for one in component["hashes"] if one["alg"] == "SHA-256"]]
    return str(found)


@every_one
def test_a_bill_is_valid_and_lists_every_package_of_the_locks(shipped: Shipped) -> None:
    text = bill(shipped, epoch=1_700_000_000)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    damaged = json.loads(text)
    damaged["components"][0]["type"] = "thing"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(damaged)) is not None
    listed = components(text)
    pinned = [package for lock in shipped.locks for package in read_lock((ROOT / lock).read_text("utf-8")).values()]
    for package in pinned:
        assert listed[package.name]["version"] == package.version
        assert listed[package.name]["licenses"][0]["expression"]
        assert sha256(listed[package.name]) in package.hashes
    assert {name for name in listed if listed[name]["type"] == "library"} == {package.name for package in pinned}
    assert json.loads(text)["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"


def test_an_image_names_its_base_and_what_needs_what() -> None:
    (gateway,) = [shipped for shipped in SHIPPED if shipped.name == "gateway"]
    text = bill(gateway, epoch=0)
    assert [one["version"] for one in components(text).values() if one["type"] == "container"] == ["3.12-slim"]
    needs = {one["ref"]: one.get("dependsOn", []) for one in json.loads(text)["dependencies"]}
    version = components(text)["fastapi"]["version"]
    assert f"pkg:pypi/starlette@{components(text)['starlette']['version']}" in needs[f"pkg:pypi/fastapi@{version}"]


def test_the_release_has_the_models_with_the_files_that_are_here() -> None:
    (release,) = [shipped for shipped in SHIPPED if shipped.weights]
    listed = json.loads(bill(release, epoch=0))["components"]
    models = [one for one in listed if one["type"] == "machine-learning-model"]
    directories = {
        (card.parent.parent.name, card.parent.name)
        for card in ROOT.glob("model_repository/*/*/card.json")
        if not card.parent.is_symlink()
    }
    assert {(model["name"], model["version"]) for model in models} == directories != set()
    for model in models:
        directory = ROOT / "model_repository" / model["name"] / model["version"]
        assert model["licenses"][0]["expression"] == json.loads((directory / "card.json").read_text("utf-8"))["licence"]
        for file in model["components"]:
            assert sha256(file) == hashlib.sha256((directory / file["name"]).read_bytes()).hexdigest()


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    weights = shipped_weights()[0]
    real = ROOT / "model_repository" / weights.model / weights.version
    version = tmp_path / "model_repository/emotion_x/3"
    version.mkdir(parents=True)
    for name in (*weights.files, "card.json"):
        (version / name).write_bytes((real / name).read_bytes())
    assert [(one.model, one.version) for one in shipped_weights(tmp_path)] == [("emotion_x", "3")]
    with (version / next(iter(weights.files))).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(SupplyChainError, match="is not the file that its card names"):
        shipped_weights(tmp_path)


def test_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    made = []
    for number, (zone, umask) in enumerate([("Asia/Tokyo", 0o077), ("America/New_York", 0o022)]):
        output = tmp_path / str(number)
        command = [sys.executable, "-m", "deploy.supply_chain.sbom", "--output", str(output)]
        variables = os.environ | {"TZ": zone, "PYTHONHASHSEED": str(number)}
        subprocess.run(command, cwd=ROOT, env=variables, umask=umask, check=True, capture_output=True)
        made.append({file.name: file.read_bytes() for file in output.iterdir()})
    assert made[0] == made[1]
    assert len(made[0]) == len(SHIPPED)


def test_the_time_is_the_last_commits_or_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    committed = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True)
    assert source_date_epoch() == int(committed.stdout)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    assert source_date_epoch() == 12
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(SupplyChainError, match="must be seconds since 1970, not 'yesterday'"):
        source_date_epoch()
