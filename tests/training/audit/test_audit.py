"""The audit: planted mistakes are found, a person's corrections are applied, and the difference is told."""

import csv
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contract.labels import EMOTIONS
from tests.training.support.commands import fails, succeeds
from tests.training.support.small_run import read_json, train_classifier, write_cedr, write_run
from training.audit.comparison import compare
from training.audit.label_evidence import (
    LabelEvidence,
    labels_of,
    larger_model_evidence,
    out_of_fold_evidence,
    over_fitted_evidence,
)
from training.audit.suspects import find_suspects, suspects_csv
from training.common.command import TrainingError
from training.data.rows.corrections import Correction, read_corrections
from training.data.rows.examples import Example
from training.data.splits.folds import cedr_by_fold
from training.data.splits.training_rows import train_and_held_out
from training.runs.directory import write_metrics

NO, JOY, SADNESS, FEAR = (EMOTIONS.index(name) for name in ("no_emotion", "joy", "sadness", "fear"))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audited")


@pytest.fixture(scope="module")
def mistakes(data_dir: Path) -> dict[str, str]:
    return write_cedr(data_dir)


@pytest.fixture(scope="module")
def run(data_dir: Path, mistakes: dict[str, str]) -> Path:
    """Cross-validated, and trained too briefly to learn the mistakes by heart."""
    assert len(mistakes) == 8
    return write_run(data_dir / "run", data_dir, steps=60)


def table_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def test_planted_mistakes_are_found_corrected_and_the_change_shown(
    run: Path, data_dir: Path, mistakes: dict[str, str], tmp_path: Path
) -> None:
    data = ["--data-dir", data_dir, "--output", tmp_path]
    runs = ["--out-of-fold", run, "--over-fitted", run, "--larger", run]
    assert "rows are doubted" in succeeds("training.audit", "suspects", *runs, *data)
    rows = table_of(tmp_path / "suspects.csv")
    assert [row["rank"] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    first = {row["text"]: row["suggested"] for row in rows[: len(mistakes)]}
    assert sum(first.get(text) == emotion for text, emotion in mistakes.items()) >= 6, "mistakes come first"
    page = (tmp_path / "suspects.html").read_text(encoding="utf-8")
    assert all(row["text"] in page for row in rows), "the page has all"

    # The person agrees where the models are right.
    for row in rows:
        row["corrected"] = mistakes.get(row["text"], "")
    corrections_path = tmp_path / "corrections.csv"
    with corrections_path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    corrections = read_corrections(corrections_path)
    assert len(corrections) >= 6
    (tmp_path / "edited").mkdir()
    shutil.copy(corrections_path, tmp_path / "edited/suspects.csv")
    again = ["--larger", run, "--data-dir", data_dir, "--output", tmp_path / "edited"]
    assert "suspects.csv has corrections in it: save it under another name" in fails(
        "training.audit", "suspects", *again
    )
    retrained = tmp_path / "retrained"
    train, _ = train_and_held_out("cedr", 0, data_dir, corrections=corrections)
    train_classifier(retrained, train, steps=60)
    write_metrics(retrained, {"recipe": {}, "dev": {}})
    printed = succeeds("training.audit", "compare", run, retrained, "--corrections", corrections_path, *data)
    assert "labels as given" in printed
    told = read_json(tmp_path / "comparison.json")
    assert told["rows"] == "dev (fold 0 of CEDR train)", "only one of them is cross-validated"
    trained = [row for row in told["corrected"] if row["trained_on"]]
    assert len(trained) >= 4
    rises = [row["corrected_probability"][1] - row["corrected_probability"][0] for row in trained]
    assert np.mean(rises) > 0.05, "the corrected label is more probable after training with it"
    falls = [row["given_probability"][1] - row["given_probability"][0] for row in trained]
    assert np.mean(falls) < 0
    as_given, as_corrected = told["changes"]["as_given"], told["changes"]["as_corrected"]
    assert as_given["rows"] == as_corrected["rows"] == 72
    low, high = as_given["rise_95"]["mean"]["roc_auc"]
    rise = as_given["after"]["mean"]["roc_auc"] - as_given["before"]["mean"]["roc_auc"]
    assert low <= rise + 1e-4
    assert rise - 1e-4 <= high
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert all(correction.text in page for correction in corrections)


def test_who_may_judge_which_rows(run: Path, data_dir: Path) -> None:
    examples, fold = cedr_by_fold(data_dir)
    dev = fold == 0
    over_fitted = over_fitted_evidence(run, data_dir)
    assert np.array_equal(np.isnan(over_fitted.quality), dev)
    assert not over_fitted.issues[dev].any()
    assert not np.isnan(out_of_fold_evidence(run, data_dir).probabilities).any()
    assert not np.isnan(larger_model_evidence(run, data_dir).quality).any()
    for row in np.flatnonzero(over_fitted.issues):
        assert labels_of(over_fitted.probabilities[row]) != examples[row].labels


def test_validation_errors_of_a_run_that_is_not_cross_validated(run: Path, data_dir: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(run, alone, ignore=shutil.ignore_patterns("metrics.json"))
    _, fold = cedr_by_fold(data_dir)
    source = larger_model_evidence(alone, data_dir)
    assert np.array_equal(np.isnan(source.quality), fold != 0)
    with pytest.raises(TrainingError, match=r"has no metrics\.json: train it with --cross-validate"):
        out_of_fold_evidence(alone, data_dir)


@pytest.mark.parametrize(
    ("answers", "labels"),
    [
        ((0.1, 0.6, 0.5, 0, 0, 0), {JOY, SADNESS}),
        ((0.1, 0.3, 0.2, 0, 0, 0), {JOY}),
        ((0.7, 0.6, 0, 0, 0, 0), {NO}),
        ((0.6, 0.7, 0, 0, 0, 0), {JOY}),
    ],
)
def test_labels_of_probabilities(answers: tuple[float, ...], labels: set[int]) -> None:
    assert labels_of(np.array(answers, dtype=np.float32)) == labels


def test_ranking_by_agreement_and_then_by_score() -> None:
    examples = [Example(f"{number}", frozenset({JOY}), "cedr") for number in range(4)]
    examples[0] = replace(examples[0], domain="lj", number=7)
    nothing = np.full(6, np.nan)
    sad, angry = np.array([0.1, 0.3, 0.6, 0, 0, 0]), np.array([0.1, 0.2, 0.1, 0, 0, 0.8])
    first = LabelEvidence("out-of-fold", np.array([sad, sad, sad, sad], np.float32), np.array([0.4, 0.1, 0.2, 0.9]),
                    np.array([True, True, True, False]))  # fmt: skip
    second = LabelEvidence("over-fitted", np.array([angry, angry, nothing, nothing], np.float32),
                     np.array([0.2, 0.3, np.nan, np.nan]), np.array([True, False, False, False]))  # fmt: skip
    suspects = find_suspects(examples, [first, second])
    assert [suspect.text for suspect in suspects] == ["0", "1", "2"]
    assert suspects[0].doubted_by == ("out-of-fold", "over-fitted")
    assert suspects[0].quality == pytest.approx(0.3)
    assert suspects[0].suggested == {SADNESS}, "the first of the models that doubt it"
    assert suspects[0].probabilities["over-fitted"].given == pytest.approx(0.2)
    assert suspects[0].probabilities["over-fitted"].suggested == pytest.approx(0.1)
    assert set(suspects[2].probabilities) == {"out-of-fold"}
    lines = list(csv.reader(io.StringIO(suspects_csv(suspects, ["out-of-fold", "over-fitted"]).decode("utf-8-sig"))))
    assert lines[0][-2:] == ["over-fitted: given", "over-fitted: suggested"]
    assert lines[0][:4] == ["rank", "source", "row", "text"]
    assert lines[1][:9] == ["1", "cedr/lj", "7", "0", "joy", "sadness", "", "out-of-fold over-fitted", "0.3"]
    assert lines[2][1:3] == ["cedr", ""], "what is not known is empty"
    assert lines[3][-2:] == ["", ""]


def test_out_of_fold_comparison_measures_all_rows(run: Path, data_dir: Path, mistakes: dict[str, str]) -> None:
    examples, _ = cedr_by_fold(data_dir)
    by_text = {example.text: example.labels for example in examples}
    texts = list(mistakes)
    corrections = [Correction(t, by_text[t], frozenset({EMOTIONS.index(mistakes[t])})) for t in texts[:-1]]
    corrections.append(Correction(texts[-1], by_text[texts[-1]], None))
    told = compare(run, run, corrections, data_dir)
    assert told.rows == "CEDR train, out of fold"
    assert (told.changes["as_given"]["rows"], told.changes["as_corrected"]["rows"]) == (360, 359)
    assert not any(row.trained_on for row in told.corrected)
    assert told.changed == [], "the same run answers the same"
    assert told.changes["as_given"]["rise_95"]["mean"]["f1"] == [0, 0]
    # On the right labels the very same answers are better.
    given, corrected = (told.changes[which]["before"]["mean"]["roc_auc"] for which in ("as_given", "as_corrected"))
    assert corrected > given + 0.005


def test_what_is_refused(run: Path, data_dir: Path, tmp_path: Path) -> None:
    assert "give at least one of --out-of-fold" in fails("training.audit", "suspects", "--output", tmp_path)
    with pytest.raises(TrainingError, match="corrects nothing: fill in its column"):
        compare(run, run, [], data_dir)
    stranger = Correction("нет такого", frozenset({JOY}), frozenset({FEAR}))
    with pytest.raises(TrainingError, match="a correction's text is not in the data: нет такого"):
        compare(run, run, [stranger], data_dir)
    assert list(tmp_path.iterdir()) == []
