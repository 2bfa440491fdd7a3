"""`training.compare`: two runs, a run and a version; the table, the JSON and the page."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from contract.labels import EMOTIONS
from tests.support.committed import committed
from tests.training.support.rows import keyword_rows, write_lines
from tests.training.support.small_run import read_json, write_cedr, write_run
from training.behaviour.suite import load_suite
from training.common.command import TrainingError
from training.compare import __main__ as command
from training.compare import models
from training.compare.models import Comparison, Source, compare_models
from training.compare.results import as_object, sentence, table, write_comparison
from training.data.rows.examples import rows_digest, targets
from training.data.splits.folds import held_out_fold
from training.evaluate.evaluation import evaluate_model
from training.evaluate.predictions import predict_checkpoint
from training.measuring.thresholds import decide, tune
from training.runs.directory import read_cross_validated

COMMITTED = committed()
SUITE = load_suite()[::8]
"""Enough of the suite to see what is done with it."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("compared")
    write_cedr(directory)
    write_lines(directory, "cedr", "test", keyword_rows(12))
    return directory


@pytest.fixture(scope="module")
def runs(data_dir: Path) -> tuple[Path, Path]:
    """One that learnt little, and one that learnt more."""
    return write_run(data_dir / "weak", data_dir, steps=10), write_run(data_dir / "strong", data_dir, steps=60)


@pytest.fixture(scope="module")
def comparison(runs: tuple[Path, Path], data_dir: Path) -> Comparison:
    weak, strong = runs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "load_suite", lambda: SUITE)
        return compare_models(Source(f"{weak}"), Source(f"{strong}"), "dev", data_dir)


def test_two_runs_on_dev(comparison: Comparison, runs: tuple[Path, Path], data_dir: Path) -> None:
    dev = held_out_fold(0, data_dir)
    assert (comparison.verdict, sentence(comparison).split(",")[0]) == ("better", "B is better than A")
    assert comparison.examples == dev
    assert comparison.digest == rows_digest(dev)
    measured = [evaluate_model(f"{run}", "dev", data_dir).figures for run in runs]
    for row in ("mean", *EMOTIONS):
        auc, f1 = comparison.differences[row]["roc_auc"], comparison.differences[row]["f1_macro"]
        assert [auc.before, auc.after] == pytest.approx([each[row]["roc_auc"] for each in measured], abs=1.1e-4)
        # F1 at the thresholds that each has of its own.
        tuned = [each["tuned"][row]["f1_macro"] for each in measured]
        assert [f1.before, f1.after] == pytest.approx(tuned, abs=1.1e-4)
    assert [(part.by, part.rows) for part in comparison.slices] == [("length", 72)], "all texts have eight words"
    assert comparison.slices[0].differences["mean"].keys() == comparison.differences["mean"].keys()


def test_who_is_right_where_they_disagree(comparison: Comparison, runs: tuple[Path, Path], data_dir: Path) -> None:
    dev = held_out_fold(0, data_dir)
    truth = targets(dev).astype(bool)
    given = []
    for run in runs:
        thresholds = tune("balanced", {"cedr": read_cross_validated(run)[1].without(0)})
        given.append(decide(predict_checkpoint(run, dev), thresholds))
    apart, right = given[0] != given[1], [(each == truth).all(axis=1) for each in given]
    found = comparison.disagreements
    assert found.rows == apart.any(axis=1).sum() > 0
    assert len(found.before_right) == (right[0] & ~right[1]).sum()
    assert len(found.after_right) == (right[1] & ~right[0]).sum() > 0
    for index, emotion in enumerate(EMOTIONS):
        of = found.by_emotion[emotion]
        assert of.rows == of.before_right + of.after_right == apart[:, index].sum()
        assert of.after_right == (apart & (given[1] == truth))[:, index].sum()
    first = found.after_right[0]
    place = next(place for place, example in enumerate(dev) if example.text == first.text)
    assert first.after == first.given == dev[place].labels
    assert first.before == frozenset(np.flatnonzero(given[0][place]).tolist())


def test_the_suites_open_half_is_asked(comparison: Comparison) -> None:
    found = comparison.behaviour
    assert found is not None
    assert found.texts == len(SUITE)
    assert set(found.groups) == {case.group for case in SUITE}
    won, lost = len(found.after_right), len(found.before_right)
    assert found.suite.rise == pytest.approx((won - lost) / len(SUITE), abs=1.1e-4)
    assert {each.text for each in [*found.after_right, *found.before_right]} <= {case.text for case in SUITE}
    assert 0 < found.changes.before <= 1
    assert "typo" in found.kinds


def test_the_page_and_the_json(comparison: Comparison, tmp_path: Path) -> None:
    write_comparison(comparison, tmp_path)
    written = read_json(tmp_path / "comparison.json")
    assert written["verdict"] == "better"
    assert written["rows"] == {"name": "dev (fold 0 of CEDR train)", "rows": 72, "sha256": comparison.digest}
    assert written["after"]["model"] == comparison.after
    leading = comparison.differences["mean"]["roc_auc"]
    assert written["differences"]["mean"]["roc_auc"] == {
        "before": leading.before, "after": leading.after, "rise": leading.rise,
        "interval_95": list(leading.interval_95), "verdict": "better", "worse_by_chance": leading.worse_by_chance,
    }  # fmt: skip
    assert written["slices"][0]["differences"]["mean"]["f1_macro"]["verdict"] in ("better", "no difference")
    row = written["disagreements"]["after_right"][0]
    assert (row["text"], row["given"]) == (comparison.disagreements.after_right[0].text, row["after"])
    assert set(row["given"].split()) <= {*EMOTIONS, "none"}
    assert written["behaviour"]["suite"]["before"] == comparison.behaviour.suite.before  # type: ignore[union-attr]

    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!#|data:)|url\((?!#)|@import""", page), "the page needs nothing else"
    for shown in (
        "<h1>B is better than A", comparison.digest, f"{leading.rise:+.4f} better", row["text"],
        "{:+.4f} to {:+.4f}".format(*leading.interval_95), "6 to 10 words", "sarcasm",
    ):  # fmt: skip
        assert shown in page

    printed = table(comparison)
    assert re.search(
        rf"mean ROC AUC +{leading.before:.4f} +{leading.after:.4f} +\+{leading.rise:.4f} .* better\n", printed
    )
    assert printed.endswith("B is better than A, by mean ROC AUC and mean F1 on these rows")


def test_the_same_model_twice_is_no_difference(data_dir: Path) -> None:
    same = compare_models(Source(f"{COMMITTED}"), Source(f"{COMMITTED}"), "test", data_dir, behaviour=False)
    assert same.verdict == "no difference"
    assert {each.interval_95 for each in same.differences["mean"].values()} == {(0.0, 0.0)}
    assert same.disagreements.rows == 0
    assert as_object(same)["behaviour"] is None
    assert table(same).endswith("no difference, by mean ROC AUC and mean F1 on these rows")


def test_a_run_without_thresholds_beside_a_version(
    runs: tuple[Path, Path], data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    alone = tmp_path / "alone"
    shutil.copytree(runs[1], alone, ignore=shutil.ignore_patterns("metrics.json"))
    flags = ["--rows", "test", "--data-dir", f"{data_dir}", "--output", f"{tmp_path / 'out'}", "--without-behaviour"]
    monkeypatch.setattr(sys, "argv", ["compare", f"{alone}", f"{COMMITTED}", *flags])
    command.main()
    printed = capsys.readouterr().out
    assert printed.count(f"labels at 0.5, since {alone} has no thresholds tuned on other rows") == 2
    assert f"wrote {tmp_path / 'out' / 'comparison.json'}" in printed
    assert "Behaviour" not in (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    found = read_json(tmp_path / "out" / "comparison.json")["differences"]["mean"]["f1_macro"]
    measured = [
        evaluate_model(f"{source}", "test", data_dir).figures["mean"]["f1_macro"] for source in (alone, COMMITTED)
    ]
    assert [found["before"], found["after"]] == pytest.approx(measured, abs=1.1e-4)


def test_two_ways_of_training_out_of_fold(runs: tuple[Path, Path], data_dir: Path) -> None:
    # Both keep the baseline's predictions.
    found = compare_models(Source(f"{runs[0]}"), Source(f"{runs[1]}"), "out-of-fold", data_dir, behaviour=False)
    assert (len(found.examples), found.rows, found.verdict) == (360, "CEDR train, out of fold", "no difference")


def test_wrong_sources_are_a_sentence(runs: tuple[Path, Path], data_dir: Path, tmp_path: Path) -> None:
    def refused(reason: str, before: Source, after: Source, rows: str = "dev") -> None:
        with pytest.raises(TrainingError, match=reason):
            compare_models(before, after, rows, data_dir, behaviour=False)

    run = Source(f"{runs[0]}")
    refused("is no directory, and no http:// address", run, Source(f"{tmp_path / 'none'}"))
    refused("choose among what a gateway serves", run, Source(f"{runs[1]}", version="1"))
    refused("only a run trained with --cross-validate", run, Source(f"{COMMITTED}"), "out-of-fold")
