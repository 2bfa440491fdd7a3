"""Versions pushed to a hub and pulled from it; here the hub is a stand-in that is strict, or fails as it is told."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import helper

from contract.version_directory import CARD, CPU_GRAPH, GPU_GRAPH, GPU_RECORD, TOKENIZER, read_card, sha256
from tests.training.support.commands import fails, succeeds
from tests.training.support.hub_stand_in import READER, WRITER, Fault, HubStandIn, hub_stand_in
from tests.training.support.rows import keyword_rows, write_lines
from tests.training.support.small_version import write_small_version
from tests.training.support.version_directories import MODEL
from training.common.command import TrainingError
from training.data.rows.sources import SOURCES
from training.export.integrity import damage
from training.publish.hub.connection import connect
from training.publish.hub.examination import examine, examine_here
from training.publish.hub.pull import Pull, pull
from training.publish.hub.push import Push, push

REPO = "team/emotions"
FILES = (CARD, CPU_GRAPH, GPU_GRAPH, GPU_RECORD, TOKENIZER)


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_version(tmp_path_factory.mktemp("here") / MODEL / "3")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubStandIn]:
    with hub_stand_in() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no login"))
        yield stand_in


def copy_with(version: Path, target: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """The version again, with another card."""
    target.mkdir(parents=True)
    for name in FILES:
        (target / name).write_bytes((version / name).read_bytes())
    card = json.loads((target / CARD).read_text(encoding="utf-8"))
    if change is not None:
        change(card)
    (target / CARD).write_text(json.dumps(card), encoding="utf-8")
    return target


def held(version: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in version.iterdir()}


def pull_here(tmp_path: Path, **more: Any) -> Path:
    return pull(connect(REPO, None), Pull("emotion_mine", tmp_path / "models", on_oldest_runtime=False, **more))


def test_a_version_goes_to_the_hub_and_comes_back(hub: HubStandIn, version: Path, tmp_path: Path) -> None:
    pushed = push(connect(REPO, None), Push(version, private=True))
    assert pushed.changed
    files = hub.files(REPO)
    assert files.keys() == {".gitattributes", "README.md", *FILES}
    assert {name: files[name] for name in FILES} == held(version)
    assert hub.repos[REPO].private
    assert {who for _, path, who in hub.log if path.startswith("/api")} == {"writer"}

    hub.faults.append(Fault("GET", sha256(version / CPU_GRAPH)))  # Cut in the middle, and gone on with.
    flags = ("--model", "emotion_mine", "--repository", tmp_path / "models", "--wait", 0, "--without-oldest-runtime")
    said, published = succeeds("training.publish", "pull", REPO, *flags), tmp_path / "models/emotion_mine/1"
    assert said.splitlines()[-1] == f"published {published}, pulled from {hub.url}/{REPO}"
    assert WRITER not in said
    assert [status for status in hub.log if status[0] == "GET" and sha256(version / CPU_GRAPH) in status[1]][1:]
    card, before = read_card(published), read_card(version)
    assert (card.model, card.pulled_from) == ("emotion_mine", f"{REPO}@{pushed.commit}")
    assert card.files == before.files
    assert card.metrics == before.metrics
    assert card.limits[:-1] == before.limits
    assert "was not run on ONNX Runtime" in card.limits[-1]
    assert damage(published) == []
    assert {path.name for path in published.iterdir()} == set(FILES)
    assert {path.name for path in tmp_path.iterdir()} == {"models"}

    # The same again changes nothing; a version without the graph for GPUs takes that of the other one along.
    assert not push(connect(REPO, None), Push(version)).changed
    bare = copy_with(version, tmp_path / "bare/4")
    for name in (GPU_GRAPH, GPU_RECORD):
        (bare / name).unlink()
    assert push(connect(REPO, None), Push(bare, branch="small", tag="v4")).changed
    assert hub.files(REPO, "v4").keys() == {".gitattributes", "README.md", CARD, CPU_GRAPH, TOKENIZER}
    assert GPU_GRAPH in hub.files(REPO)
    with pytest.raises(TrainingError, match="has a tag v4 already"):
        push(connect(REPO, None), Push(bare, branch="small", tag="v4"))
    with pytest.raises(TrainingError, match="v4 is a tag of team/emotions, and tags stay where they are"):
        push(connect(REPO, None), Push(bare, branch="v4"))


def test_the_model_card_has_the_figures_and_its_code_runs(hub: HubStandIn, version: Path, tmp_path: Path) -> None:
    push(connect(REPO, None), Push(version))
    page = hub.files(REPO)["README.md"].decode()
    head, card = yaml.safe_load(page.split("---\n")[1]), read_card(version)
    assert (head["language"], head["license"]) == ("ru", "apache-2.0")
    assert head["pipeline_tag"] == "text-classification"
    assert head["datasets"] == ["brighter-dataset/BRIGHTER-emotion-categories", "sagteam/cedr_v1"]
    results = head["model-index"][0]["results"]
    measured = [figures for figures in card.metrics.values() if "roc_auc" in figures.get("mean", {})]
    assert len(results) == len(measured) == 3
    for result, figures in zip(results, measured, strict=True):
        values = {metric["name"].partition(",")[0]: metric["value"] for metric in result["metrics"]}
        assert values["ROC AUC"] == figures["mean"]["roc_auc"]
        assert values["F1"] == figures["tuned"]["mean"]["f1"]
        assert result["dataset"]["type"] == SOURCES[figures["measured_on"]["dataset"]].hub_name
    assert len({json.dumps(result["dataset"]) for result in results}) == 3
    for said in (*card.limits, *card.profiles, "python -m training.publish pull team/emotions"):
        assert said in page

    code = page.split("```python\n")[1].split("```")[0] + "\nprint(json.dumps(probabilities.tolist()), rows)\n"
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers, rows = done.stdout.splitlines()[-1].split("]] [[")
    from training.export.graphs.runtime import run, session

    expected = run(session(version / CPU_GRAPH), json.loads(f"[[{rows}"))
    assert np.abs(np.array(json.loads(f"{answers}]]")) - expected).max() < 1e-6


def test_the_licences_and_data_sets_of_a_card(hub: HubStandIn, version: Path, tmp_path: Path) -> None:
    def elsewhere(card: dict[str, Any]) -> None:
        card["licence"] = "not stated"
        card["training"] = {"trained": "elsewhere", "datasets": ["owner/rows", "cedr", "own"]}
        # As it was before figures named their rows.
        dev = {name: part for name, part in next(iter(card["metrics"].values())).items() if name != "measured_on"}
        card["metrics"] = {"mine dev, model.cpu.onnx": dev}

    changed = copy_with(version, tmp_path / "changed/1", elsewhere)
    push(connect(REPO, None), Push(changed))
    head = yaml.safe_load(hub.files(REPO)["README.md"].decode().split("---\n")[1])
    assert head["license"] == "unknown"
    assert head["datasets"] == ["owner/rows", "sagteam/cedr_v1"]
    assert head["model-index"][0]["results"][0]["dataset"] == {"name": "mine", "type": "mine", "split": "mine dev"}
    push(connect(REPO, None), Push(copy_with(version, tmp_path / "b/1", lambda card: card.update(licence="Our own 1"))))
    head = yaml.safe_load(hub.files(REPO)["README.md"].decode().split("---\n")[1])
    assert (head["license"], head["license_name"]) == ("other", "our-own-1")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("GET", "/api/models", 401), "does not accept the token from HF_TOKEN: make a new one"),
        (Fault("GET", "/api/models", 403), "the token from HF_TOKEN may not do this"),
        (Fault("GET", "/api/models", 429, {"Retry-After": "40"}), "too many requests of yours: wait 40 seconds"),
        (Fault("GET", "/api/models", 503), "in trouble .status 503.: run this again later"),
        (Fault("POST", "/api/validate-yaml", 400), "refuses, .* Invalid metadata in README.md"),
        (Fault("POST", "/commit/", 403), "may not do this .* write permission for push"),
        (Fault("POST", "/commit/", 412), "somebody else changed .* meanwhile"),
        (Fault("POST", "/commit/", 502), "in trouble .status 502."),
        (Fault("POST", "/api/validate-yaml"), "can't be reached .*: check the network and HF_ENDPOINT"),
        (Fault("PUT", "/", 403), "may not do this"),
    ],
)
def test_a_push_that_fails_changes_nothing(hub: HubStandIn, version: Path, fault: Fault, reason: str) -> None:
    hub.hold(REPO, {"README.md": b"mine"})
    hub.faults.append(fault)
    with pytest.raises(TrainingError, match=reason) as error:
        push(connect(REPO, None), Push(version))
    assert WRITER not in str(error.value)
    assert hub.files(REPO) == {"README.md": b"mine"}
    assert fault.times == 0


def test_what_is_not_pushed(hub: HubStandIn, version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(reason: str, asked: Push, repo: str = REPO, token_file: Path | None = None) -> None:
        with pytest.raises(TrainingError, match=reason):
            push(connect(repo, token_file), asked)

    unchecked = copy_with(version, tmp_path / "unchecked/1", lambda card: card.pop("sample"))
    refused("records no answers that it can be checked with", Push(unchecked))
    damaged = copy_with(version, tmp_path / "damaged/1")
    (damaged / TOKENIZER).write_text("{}")
    refused("is damaged and is not pushed: .*tokenizer.json is not the file", Push(damaged))
    refused("is no directory: name a version", Push(tmp_path / "none"))
    refused("'emotions' names no repository on a hub: it must be OWNER/NAME", Push(version), repo="emotions")
    assert hub.log == []

    hub.hold(REPO, {"config.json": b"{}", "model.safetensors": b"weights"})
    refused("holds something else .config.json, model.safetensors.: name another", Push(version))
    hub.hold(REPO, {})
    refused("team/emotions is public: make it private", Push(version, private=True))
    refused("the token from HF_TOKEN may not do this", Push(version), repo="others/emotions")
    for content, reason in ((f"{READER}\n", "may not do this"), ("hf_nobody", "does not accept the token from")):
        (tmp_path / "token").write_text(content)
        refused(reason, Push(version), token_file=tmp_path / "token")
    for text, reason in (("a b", "holds no token: it must be one word"), ("", "holds no token")):
        (tmp_path / "token").write_text(text)
        refused(reason, Push(version), token_file=tmp_path / "token")
    refused("can't be read: No such file", Push(version), token_file=tmp_path / "none")
    assert hub.files(REPO) == {}
    monkeypatch.delenv("HF_TOKEN")
    refused("you need a token with write permission", Push(version))
    monkeypatch.setenv("HF_ENDPOINT", "hub")
    refused("HF_ENDPOINT is 'hub': it must be an address", Push(version))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TrainingError, match="can't be reached"):
        pull_here(tmp_path)


def test_what_is_not_pulled_leaves_nothing(
    hub: HubStandIn, version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = held(version)

    def with_card(**changes: Any) -> dict[str, bytes]:
        return {**good, CARD: json.dumps(json.loads(good[CARD]) | changes).encode()}

    def refused(reason: str, files: dict[str, bytes] | None = None, **more: Any) -> None:
        if files is not None:
            hub.hold(REPO, files, private=True)
        with pytest.raises(TrainingError, match=reason) as error:
            pull_here(tmp_path, **more)
        assert ".unfinished" not in str(error.value)
        assert list(tmp_path.iterdir()) == []

    stored = sha256(version / CPU_GRAPH)
    six_joys = [{"en": "joy", "ru": "радость"}] * 6
    refused("is not there, or the token from HF_TOKEN may not see it: check the name")
    refused("holds no version of this project: card.json and model.cpu.onnx is missing", {TOKENIZER: good[TOKENIZER]})
    refused("has no branch, tag or commit 'v9'", good, revision="v9")
    refused("damaged: model.cpu.onnx is not the file its card describes", {**good, CPU_GRAPH: good[CPU_GRAPH] + b"x"})
    refused("damaged: tokenizer.json is not the file", {**good, TOKENIZER: b"{}"})
    refused("damaged: model.gpu.onnx", {**good, GPU_GRAPH: b"whose?"})
    refused(
        "card.json is not a valid card: .*labels must be .* in this order",
        with_card(labels=six_joys),
    )
    refused("card.json is not a valid card", {**good, CARD: b"[]"})
    refused("its card must list model.cpu.onnx and tokenizer.json", with_card(files={"../../escaped": "0" * 64}))
    refused("records no answers to check it with", with_card(sample=None))
    refused("card.json in team/emotions has 4194305 bytes", {**good, CARD: b" " * (4 * 2**20 + 1)})
    for fault, reason in (
        (Fault("GET", stored, 503), "in trouble .status 503."),
        (Fault("GET", stored, 404), "refuses with status 404"),
        (Fault("HEAD", "/resolve/", 403), "may not do this"),
        (Fault("GET", "/api/models", 200), "does not answer as a hub does"),
    ):
        hub.faults = [fault]
        refused(reason, good)
    monkeypatch.delenv("HF_TOKEN")
    refused("is not there, or nobody's token may not see it", good)


def test_a_foreign_version_is_examined(version: Path, tmp_path: Path) -> None:
    def refused(
        reason: str, change: Callable[[dict[str, Any]], None], how: Callable[[Path], None] = examine_here, **files: Any
    ) -> None:
        changed = copy_with(version, tmp_path / re.sub(r"\W", "", reason), change)
        for name, model in files.items():
            (changed / name.replace("_", ".")).write_bytes(model.SerializeToString())
        with pytest.raises(TrainingError, match=reason):
            how(changed)

    examine_here(version)
    refused("its tokenizer's ids go to", lambda card: card["architecture"].update(vocabulary=20))
    external = onnx.load(version / CPU_GRAPH)
    onnx.external_data_helper.set_external_data(external.graph.initializer[0], "/etc/passwd")
    external.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    refused("model.cpu.onnx reads weights from other files", lambda _: None, examine, model_cpu_onnx=external)
    strange = onnx.load(version / CPU_GRAPH)
    strange.graph.node.append(helper.make_node("Anything", [], ["x"], domain="of.mine"))
    refused("operators of unknown sets: of.mine", lambda _: None, model_cpu_onnx=strange)


def test_a_pull_beside_another_version_is_compared(hub: HubStandIn, version: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    write_lines(data_dir, "cedr", "train", keyword_rows(20))
    shutil.copytree(version, tmp_path / "models/emotion_mine/7")
    less = copy_with(version, tmp_path / "less", lambda card: card["profiles"].pop("marketing"))
    hub.hold(REPO, held(less))
    with pytest.raises(TrainingError, match=r"cedr/train.jsonl does not exist: name the right directory"):
        pull_here(tmp_path, data_dir=tmp_path)
    # Without --insist this is no version, but an error: the same objections, as publishing has them.
    published = pull_here(tmp_path, data_dir=data_dir, insisted=True)
    assert published.name == "8"
    card = read_card(published)
    assert (card.metrics["follows"]["version"], card.metrics["follows"]["verdict"]) == ("7", "no difference")
    assert card.limits[-1].startswith("Published though version 7 has the profile marketing, and this one would not")


def test_the_commands_say_what_they_did_and_no_token(hub: HubStandIn, version: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{WRITER}\n")
    more = ("--token-file", tmp_path / "token")
    hub.faults.append(Fault("POST", "/commit/"))
    cut = fails("training.publish", "push", version, "--repo", REPO, *more)
    assert cut.splitlines()[-1].startswith(f"error: {hub.url} can't be reached")
    # The commit had come through, and only its answer had not.
    said = succeeds("training.publish", "push", version, "--repo", REPO, "--tag", "v3", *more)
    commit = hub.repos[REPO].branches["main"]
    assert said.splitlines() == [
        f"nothing to push: {version} is already in {hub.url}/{REPO}, branch main, commit {commit}", "its tag is v3",
    ]  # fmt: skip
    assert hub.repos[REPO].tags == {"v3": commit}
    assert WRITER not in cut + said
