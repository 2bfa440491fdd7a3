"""Own rows go the whole way of docs/training.md, from a CSV to a version, and no other rows take their place."""

import csv
import importlib
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.version_directory import read_card
from tests.support.triton_process import ROOT
from tests.training.support.hub_checkpoints import save_base_model
from tests.training.support.rows import CEDR_CLASSES, keyword_rows
from training.common.command import TrainingError
from training.data.rows.examples import measured_rows
from training.data.splits.folds import by_fold, with_folds
from training.export.version_checkpoint import write_checkpoint
from training.measuring.out_of_fold import out_of_fold_examples
from training.publish.elsewhere.checkpoint import find_elsewhere
from training.publish.elsewhere.thresholds import read_named_rows
from training.publish.versions import write_card
from training.runs.directory import read_cross_validated

RUN = Path("weights/emotion_rubert_mine_10epochs")
MORE = {
    "training.data": "",
    "training.train": "--lr 5e-3 --batch-size 16 --patience 0",
    "training.evaluate": "",
    "training.audit": "",
    "training.publish": "--without-oldest-runtime",
}
"""For a tiny encoder."""


def documented() -> Iterator[list[str]]:
    """Module and arguments of each command of the page's section."""
    section = (ROOT / "docs/training.md").read_text(encoding="utf-8").partition("\n## Your own rows\n")[2]
    block = re.findall(r"```\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)[0]
    for line in block.splitlines():
        if line.startswith(".venv-training/bin/python -m "):
            module, *arguments = shlex.split(line)[2:]
            # CEDR is not here, nor the hub.
            yield [module, *arguments, "--data-dir", "data", *MORE[module].split()]


def run(monkeypatch: pytest.MonkeyPatch, directory: Path, module: str, *arguments: str) -> None:
    """A command, in this process: each would import PyTorch again."""
    monkeypatch.chdir(directory)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    importlib.import_module(f"{module}.__main__").main()


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Iterator[Path]:  # noqa: ARG001 - waits
    """A directory in which all commands of the section have been run."""
    directory = tmp_path_factory.mktemp("own")
    rows = keyword_rows(40)
    (directory / "reviews").mkdir()
    (directory / "data").mkdir()
    with (directory / "reviews/reviews.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["text", "labels", "source"])
        for number, row in enumerate(rows):
            labels = ", ".join(CEDR_CLASSES[label] for label in row["labels"]) or "нейтрально"
            writer.writerow([row["text"], labels, ("почта", "чат")[number % 2]])
    base = directory / "build/checkpoints/emotion_rubert"
    base.mkdir(parents=True)
    save_base_model(base, "bert", [row["text"] for row in rows])
    with pytest.MonkeyPatch.context() as monkeypatch:
        for line in documented():
            run(monkeypatch, directory, *line)
        yield directory


def test_every_figure_names_the_own_rows(walked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(walked)
    examples, fold = by_fold("mine=reviews", None)
    dev = measured_rows("mine", "dev", examples[: int((fold == 0).sum())])
    everything = measured_rows("mine", "all folds", examples)
    metrics, out_of_fold = read_cross_validated(RUN)
    assert metrics["measured_on"] == {"dev": dev, "out_of_fold": everything}
    assert metrics["five_folds"]["roc_auc"] > 0.8
    assert out_of_fold_examples(out_of_fold, None, "mine=reviews") == examples
    evaluation = json.loads(Path("evaluation/metrics.json").read_bytes())
    assert (evaluation["rows"], evaluation["measured_on"]) == ("dev (fold 0 of mine)", dev)
    assert evaluation["published"] == {}
    assert dev["sha256"] in Path("evaluation/report.html").read_text(encoding="utf-8")
    assert dev["sha256"] in Path("report.html").read_text(encoding="utf-8")
    card = read_card(Path("model_repository/emotion_mine/1"))
    assert card.metrics["dev (fold 0 of mine), model.cpu.onnx"]["measured_on"] == dev
    assert card.metrics["five folds of mine, out of fold, PyTorch"]["measured_on"] == everything
    assert card.training["dataset"] == "mine"
    assert card.profiles["balanced"].tuned_on == "mine, out of fold"


def test_other_rows_of_the_same_name_are_refused(walked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One text of fold 0 is another: labels and folds are the same."""
    other = walked / "other"
    shutil.copytree(walked / "reviews", other)
    content = (other / "reviews.csv").read_text(encoding="utf-8")
    first = content.splitlines()[1]
    (other / "reviews.csv").write_text(content.replace(first, f"ну {first}"), encoding="utf-8")
    named = ("--dataset", "mine=other", "--data-dir", "data")
    for line, rows in (
        (("training.evaluate", f"{RUN}", *named, "--output", "e"), f"the dev rows of {RUN}"),
        (("training.evaluate", f"{RUN}", *named, "--rows", "out-of-fold", "--output", "e"), "the out-of-fold rows of"),
        (("training.audit", "suspects", "--out-of-fold", f"{RUN}", *named, "--output", "a"), "the out-of-fold rows of"),
        (("training.publish", f"{RUN}", *named, "--model", "emotion_other"), "the out-of-fold rows of"),
        (("training.evaluate", "model_repository/emotion_mine/1", *named, "--output", "e"), "the dev rows of model_"),
    ):
        with pytest.raises(TrainingError, match=f"these are not {rows}"):
            run(monkeypatch, walked, *line)
    # Nor is CEDR's dev taken for theirs.
    with pytest.raises(TrainingError, match="was trained with folds of mine held out, not of cedr"):
        run(monkeypatch, walked, "training.publish", f"{RUN}", "--dataset", "cedr", "--model", "emotion_other")
    assert not (walked / "model_repository/emotion_other").exists()


def test_a_version_is_measured_on_its_home_or_asks_where_it_is(
    walked: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    version, data = "model_repository/emotion_mine/1", ("--data-dir", "data")
    output = ("--output", f"{tmp_path / 'evaluation'}")
    question = f"{version} was trained on own rows, mine, and its card doesn't say where they lie"
    with pytest.raises(TrainingError, match=rf"{question}.* --dataset mine=DIRECTORY, or on CEDR with --dataset cedr"):
        run(monkeypatch, walked, "training.evaluate", version, *data, *output)
    with pytest.raises(TrainingError, match=question):
        run(monkeypatch, walked, "training.compare", version, version, *data)
    run(monkeypatch, walked, "training.evaluate", version, "--dataset", "mine=reviews", *data, *output)
    evaluation = json.loads((tmp_path / "evaluation/metrics.json").read_bytes())
    dev = read_card(Path(version)).metrics["dev (fold 0 of mine), model.cpu.onnx"]
    assert (evaluation["measured_on"], evaluation["figures"]["mean"]) == (dev["measured_on"], dev["mean"])
    # The run beside it knows.
    run(monkeypatch, walked, "training.compare", version, f"{RUN}", *data, "--without-behaviour", *output)
    comparison = json.loads((tmp_path / "evaluation/comparison.json").read_bytes())
    assert comparison["rows"]["sha256"] == dev["measured_on"]["sha256"]


def test_what_a_start_has_learned_is_remembered(walked: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model made from one that was trained on `mine` is not tuned on `mine`, nor measured on rows it has seen."""
    monkeypatch.chdir(walked)
    shutil.copytree("reviews", tmp_path / "other")
    start = tmp_path / "start"
    write_checkpoint(Path("model_repository/emotion_mine/1"), start)

    def train(base: Path, *flags: str) -> None:
        where = ("--base-model", f"{base}", "--weights-dir", f"{tmp_path}", "--data-dir", "data", "--epochs", "1")
        run(monkeypatch, walked, "training.train", "--train-model", *where, *MORE["training.train"].split(), *flags)

    train(start, "--dataset", f"other={tmp_path / 'other'}", "--cross-validate")
    made = tmp_path / "start_other_1epochs"
    recipe = json.loads((made / "metrics.json").read_bytes())["recipe"]
    examples, fold = by_fold("mine=reviews", None)
    dev = measured_rows("mine", "dev", examples[: int((fold == 0).sum())])
    assert (recipe["start_trained_on"], recipe["start_held_out"]) == (["mine"], {"mine": dev["sha256"]})
    publish = ("--model", "emotion_other", "--repository", f"{tmp_path / 'models'}", "--data-dir", "data")
    run(monkeypatch, walked, "training.publish", f"{made}", *publish, "--without-oldest-runtime", "--wait", "0")
    write_checkpoint(tmp_path / "models/emotion_other/1", tmp_path / "again")
    for checkpoint in (start, tmp_path / "again"):
        with pytest.raises(TrainingError, match=f"{checkpoint.name} was trained on mine: thresholds tuned there"):
            read_named_rows("mine=reviews:train", find_elsewhere(f"{checkpoint}", None), Path("data"))

    mine = ("--dataset", "mine=reviews", "--extra-info", "more")
    for base in (start, made, RUN):
        with pytest.raises(TrainingError, match=r"was trained on mine, .* come from rows that it has seen"):
            train(base, *mine, "--cross-validate")
    # Fold 0 of the same rows was held out then too; of more rows it is another one.
    train(RUN, *mine)
    evaluation = ("--data-dir", "data", "--output", f"{tmp_path / 'evaluation'}")
    models = (made, tmp_path / "models/emotion_other/1")
    for model in models:
        run(monkeypatch, walked, "training.evaluate", f"{model}", "--dataset", "mine=reviews", *evaluation)
    with (tmp_path / "other/reviews.csv").open("a", encoding="utf-8") as file:
        file.write("радость счастье ура бабаба;joy;чат\n")
    grown = ("--dataset", f"mine={tmp_path / 'other'}")
    for base in (RUN, start, made, tmp_path / "again"):
        with pytest.raises(TrainingError, match="not known to have held out the rows that are fold 0 of mine now"):
            train(base, *grown, "--extra-info", "grown")
    for model in models:
        with pytest.raises(TrainingError, match=f"what {model} was made from was trained on mine, and is not known"):
            run(monkeypatch, walked, "training.evaluate", f"{model}", *grown, *evaluation)


def test_a_test_split_that_came_later(walked: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(walked / "reviews", tmp_path / "reviews")
    (tmp_path / "reviews/reviews.csv").rename(tmp_path / "reviews/train.csv")
    header, *lines = (tmp_path / "reviews/train.csv").read_text(encoding="utf-8-sig").splitlines()
    test = tmp_path / "reviews/test.csv"
    models = (f"{RUN}", "model_repository/emotion_mine/1")

    def evaluate(model: str) -> None:
        flags = ("--rows", "test", "--dataset", f"mine={tmp_path / 'reviews'}", "--data-dir", "data")
        run(monkeypatch, walked, "training.evaluate", model, *flags, "--output", f"{tmp_path / 'evaluation'}")

    _, folds = with_folds(f"mine={tmp_path / 'reviews'}", walked / "data")
    trained = [line for line, fold in zip(lines, folds, strict=True) if fold]
    test.write_text("\n".join([header, *trained[:12]]), encoding="utf-8")
    for model in models:
        with pytest.raises(TrainingError, match=f"{model} was trained when this test split was not there.* 12 of the"):
            evaluate(model)
    # Its dev split was held out.
    held_out = [line for line in lines if line not in trained]
    test.write_text("\n".join([header, *held_out]), encoding="utf-8")
    for model in models:
        evaluate(model)
    new = [f"{row['text']};{line.split(';', 1)[1]}" for row, line in zip(keyword_rows(80)[-12:], lines, strict=False)]
    test.write_text("\n".join([header, *new]), encoding="utf-8")
    for model in models:
        evaluate(model)


def test_a_version_that_has_seen_the_rows_it_is_compared_on(
    walked: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The data have grown since version 1: fold 0 is another one, most of which it was trained on."""
    shutil.copytree(walked / "model_repository", tmp_path / "models")
    grown = tmp_path / "models/emotion_mine/1"
    card = read_card(grown)
    card.metrics["dev (fold 0 of mine), model.cpu.onnx"]["measured_on"]["sha256"] = "0" * 64
    write_card(grown, card)
    publish = ("--model", "emotion_mine", "--repository", f"{tmp_path / 'models'}", "--data-dir", "data")
    note = "Version {} may have been trained on some of the rows of dev (fold 0 of mine): its figures beside this"
    for version, seen in ((1, True), (2, False)):
        run(monkeypatch, walked, "training.publish", f"{RUN}", *publish, "--without-oldest-runtime", "--wait", "0")
        limits = read_card(tmp_path / f"models/emotion_mine/{version + 1}").limits
        assert any(limit.startswith(note.format(version)) for limit in limits) == seen
