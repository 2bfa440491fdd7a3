"""What an evaluation leaves: its figures beside a baseline's and published ones, as JSON and as a page."""

from pathlib import Path
from typing import Any, Final

from training.common.output import as_json, write_result
from training.data.rows.combinations import CEDR
from training.data.rows.corrections import text_key
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source, training_splits
from training.data.rows.own import short_name
from training.data.splits.folds import BRIGHTER, with_folds
from training.evaluate.evaluation import Evaluation, evaluate_model
from training.evaluate.report.page import write_report
from training.evaluate.rows import dataset_of_rows, rows_named, split_of
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


def write_evaluation(evaluation: Evaluation, baseline: dict[str, Any], output: Path) -> None:
    """Write `metrics.json` and `report.html`."""
    # On the rows of another data set they say nothing.
    published = PUBLISHED if evaluation.measured_on["dataset"] == CEDR else {}
    written = {
        "model": evaluation.model,
        "rows": evaluation.rows,
        "measured_on": evaluation.measured_on,
        "figures": evaluation.figures,
        "baseline": {"model": BASELINE, "figures": baseline},
        "published": published,
    }
    write_report(
        output / REPORT,
        evaluation.model,
        evaluation.rows,
        evaluation.examples,
        evaluation.probabilities,
        evaluation.figures,
        BASELINE,
        baseline,
        published,
        evaluation.measured_on,
    )
    write_result(output, METRICS, as_json(written))


def evaluate_and_write(
    source: str,
    rows: str,
    data_dir: Path | None,
    output: Path,
    model: str | None = None,
    version: str | None = None,
    dataset: str | None = None,
) -> Evaluation:
    """Measure a model as `evaluate_model` does, print the figures, and write them and the page into `output`.

    Raises:
        TrainingError: as there; or nothing may be written into `output`.
    """
    check_output(output)
    rows = rows_named(rows, source, dataset)
    evaluation = evaluate_model(source, rows, data_dir, model, version)
    print(f"{evaluation.model} on {evaluation.rows}, {evaluation.figures['rows']:,} rows:\n{table(evaluation.figures)}")
    write_evaluation(evaluation, baseline_figures(rows, evaluation.examples, data_dir), output)
    print(f"wrote {output / METRICS} and {output / REPORT}", flush=True)
    return evaluation
