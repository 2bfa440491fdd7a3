"""What an evaluation leaves: its figures beside a baseline's and published ones, as JSON and as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from training.common.output import as_json, write_result
from training.data.rows.combinations import CEDR
from training.data.rows.corrections import text_key
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source, training_splits
from training.data.rows.own import short_name
from training.data.splits.folds import BRIGHTER, with_folds
from training.evaluate.beside import side_by_side
from training.evaluate.breakdown.curves import calibration, confusion_counts, threshold_curves
from training.evaluate.breakdown.errors import error_groups, worst_errors
from training.evaluate.breakdown.slices import slices
from training.evaluate.evaluation import Evaluation, evaluate_model
from training.evaluate.report.page import write_overview, write_report
from training.evaluate.rows import dataset_of_rows, folder_of, rows_named, split_of
from training.evaluate.sources import Source
from training.measuring.baseline import BASELINE, baseline_out_of_fold, predict_baseline, train_baseline
from training.measuring.figures import (
    DEV,
    measure,
    measure_out_of_fold,
    tuned_on_all,
    tuned_without_dev,
)
from training.measuring.metrics import table
from training.runs.directory import METRICS, check_output

PUBLISHED: Final = {
    "rubert-tiny2, as published": {"rows": DEV, "roc_auc": 0.912, "f1_macro": 0.8135},
    "xlm-roberta-base, as published": {"rows": DEV, "roc_auc": 0.9316, "f1_macro": 0.8423},
}
REPORT: Final = "report.html"


def baseline_figures(rows: str, examples: list[Example], data_dir: Path | None) -> dict[str, Any]:
    """Train the baseline and measure it on the same rows."""
    split, home = split_of(rows), dataset_of_rows(rows)
    name = short_name(home)
    out_of_fold = {name: baseline_out_of_fold(data_dir, home)}
    if split == "out-of-fold":
        return measure_out_of_fold(out_of_fold, name)
    truth = targets(examples)
    if split == "dev":
        answers = out_of_fold[name].only(0).probabilities
        return measure(truth, answers, tuned_without_dev(out_of_fold, answers))
    train, _ = with_folds(home, data_dir)
    if split != "test":
        train += [
            row for split in training_splits(BRIGHTER, data_dir) for row in load_source(BRIGHTER, split, data_dir)
        ]
    tested = {text_key(example.text) for example in examples}
    answers = predict_baseline(train_baseline([e for e in train if text_key(e.text) not in tested]), examples)
    # Out of fold it was trained on CEDR alone: another model, whose thresholds say nothing of one trained on both.
    return measure(truth, answers, tuned_on_all(out_of_fold, answers) if split == "test" else None)


def evaluation_content(
    evaluation: Evaluation, baseline: dict[str, Any], beside: Evaluation | None = None
) -> dict[str, Any]:
    """What `metrics.json` holds and the page shows.

    Returns:
        `model`, `rows`, `measured_on` and `figures`; the `baseline`'s and the `published` ones; `decided_by`, what
        gives the labels of `slices` and `errors`; `curves`, `profile_thresholds`, `confusion` and `calibration`, which
        the plots are drawn from; `worst_errors`; and `beside`, if there is a second model.
    """
    examples, probabilities, decisions = evaluation.examples, evaluation.probabilities, evaluation.decisions
    truth = targets(examples)
    content = {
        "model": evaluation.model,
        "rows": evaluation.rows,
        "measured_on": evaluation.measured_on,
        "figures": evaluation.figures,
        "baseline": {"model": BASELINE, "figures": baseline},
        # On the rows of another data set they say nothing.
        "published": PUBLISHED if evaluation.measured_on["dataset"] == CEDR else {},
        "decided_by": evaluation.decided_by,
        "slices": slices(examples, probabilities, decisions),
        "errors": error_groups(examples, probabilities, decisions),
        "worst_errors": worst_errors(examples, probabilities, decisions),
        "profile_thresholds": evaluation.thresholds,
        "curves": threshold_curves(truth, probabilities),
        "confusion": confusion_counts(truth, probabilities),
        "calibration": calibration(truth, probabilities),
    }
    return content if beside is None else {**content, "beside": side_by_side(evaluation, beside)}


def evaluate_and_write(
    source: str,
    rows: str,
    data_dir: Path | None,
    output: Path,
    model: str | None = None,
    version: str | None = None,
    dataset: str | None = None,
    beside: Source | None = None,
) -> Evaluation:
    """Measure a model as `evaluate_model` does, print the figures, and write them and the page into `output`.

    Raises:
        TrainingError: as there; or nothing may be written into `output`.
    """
    check_output(output)
    named = rows_named(rows, dataset, *_sources(source, model, version, beside))
    evaluation, _ = _evaluate_one(source, named, data_dir, output, model, version, beside)
    return evaluation


def evaluate_several_and_write(
    source: str,
    rows: Sequence[str],
    data_dir: Path | None,
    output: Path,
    model: str | None = None,
    version: str | None = None,
    dataset: str | None = None,
    beside: Source | None = None,
) -> list[Evaluation]:
    """The same on several sets of rows: each in a directory of its own name, and an overview of all in `output`.

    Raises:
        TrainingError: as `evaluate_and_write`.
    """
    check_output(output)
    sources = _sources(source, model, version, beside)
    folders = {folder_of(each): each for each in (rows_named(each, dataset, *sources) for each in rows)}
    measured = {
        folder: _evaluate_one(source, each, data_dir, output / folder, model, version, beside)
        for folder, each in folders.items()
    }
    contents = {each: content for each, (_, content) in measured.items()}
    shown = ("model", "rows", "decided_by", "slices")
    sets = {each: {name: content[name] for name in shown} for each, content in contents.items()}
    if beside is not None:
        for each, content in contents.items():
            sets[each]["beside"] = {name: content["beside"][name] for name in ("model", "slices")}
    write_overview(output / REPORT, sets, {folder: f"{folder}/{REPORT}" for folder in folders})
    write_result(output, METRICS, as_json({"sets": sets}))
    print(f"wrote {output / METRICS} and {output / REPORT}", flush=True)
    return [evaluation for evaluation, _ in measured.values()]


def _sources(source: str, model: str | None, version: str | None, beside: Source | None) -> list[Source]:
    return [Source(source, model, version), *([] if beside is None else [beside])]


def _evaluate_one(
    source: str,
    rows: str,
    data_dir: Path | None,
    output: Path,
    model: str | None,
    version: str | None,
    beside: Source | None,
) -> tuple[Evaluation, dict[str, Any]]:
    evaluation = evaluate_model(source, rows, data_dir, model, version)
    second = None if beside is None else evaluate_model(beside.what, rows, data_dir, beside.model, beside.version)
    print(f"{evaluation.model} on {evaluation.rows}, {evaluation.figures['rows']:,} rows:\n{table(evaluation.figures)}")
    if second is not None:
        print(f"beside it {second.model}:\n{table(second.figures)}")
    content = evaluation_content(evaluation, baseline_figures(rows, evaluation.examples, data_dir), second)
    write_report(output / REPORT, content, targets(evaluation.examples), evaluation.probabilities)
    write_result(output, METRICS, as_json(content))
    print(f"wrote {output / METRICS} and {output / REPORT}", flush=True)
    return evaluation, content
