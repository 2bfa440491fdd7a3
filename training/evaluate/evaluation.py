"""Evaluate a model: figures, and a page that shows them beside the published models and a baseline.

    python -m training.evaluate runs/rubert --output runs/rubert/evaluation
    python -m training.evaluate runs/rubert --rows out-of-fold --output runs/rubert/evaluation-train
    python -m training.evaluate model_repository/emotion_rubert/1 --output evaluation
    python -m training.evaluate http://127.0.0.1:8080 --model rubert --output evaluation
    python -m training.evaluate model_repository/emotion_rubert/1 --behaviour --output evaluation

The model is a run or another checkpoint, a published version's directory, or one that a gateway
serves (GATEWAY_API_KEY holds the gateway's key, where it wants one). The rows are the dev split
(fold 0 of CEDR train), CEDR's test split, or all of CEDR train with the predictions that a
cross-validated run kept. --output gets metrics.json and report.html; docs/evaluation.md explains
the figures.

--behaviour measures something else: the most probable label of short texts as people send them, by
group, and whether it stays under changes that mean nothing. --output gets behaviour.json and
behaviour.html; docs/behaviour.md explains the figures.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.common.command import TrainingError, command_parser
from training.common.output import as_json, write_result
from training.data.rows.corrections import text_key
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source
from training.data.splits.folds import held_out_fold
from training.evaluate.behaviour import evaluate_behaviour_and_write
from training.evaluate.predictions import checked_card, checkpoint_answers, version_answers
from training.evaluate.report.page import write_report
from training.evaluate.sources import kind_of, served_at
from training.measuring.baseline import BASELINE, baseline_answers, baseline_out_of_fold, train_baseline
from training.measuring.figures import (
    DEV,
    Tuned,
    measure,
    measure_out_of_fold,
    tuned_on_all,
    tuned_without_dev,
    with_thresholds,
)
from training.measuring.metrics import table
from training.measuring.out_of_fold import OutOfFold, out_of_fold_examples
from training.runs.directory import METRICS, check_output, is_cross_validated, read_cross_validated

ROWS: Final = {
    "dev": DEV,
    "test": "test split of CEDR",
    "out-of-fold": "CEDR train, out of fold",
}
PUBLISHED: Final = {
    "rubert-tiny2, as published": {"rows": DEV, "roc_auc": 0.912, "f1_macro": 0.8135},
    "xlm-roberta-base, as published": {"rows": DEV, "roc_auc": 0.9316, "f1_macro": 0.8423},
}
REPORT: Final = "report.html"


@dataclass(frozen=True)
class Evaluation:
    """One model on one set of rows: `figures` as `training.measuring.figures` describes them."""

    model: str
    rows: str
    examples: list[Example]
    probabilities: npt.NDArray[np.float32]
    figures: dict[str, Any]


def evaluate_model(
    source: str, rows: str, data_dir: Path | None, model: str | None = None, version: str | None = None
) -> Evaluation:
    """Measure a model.

    Args:
        source: a run or checkpoint, a version directory, or the URL of a gateway.
        rows: a key of `ROWS`.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.
        model: which one, of a gateway's; its default when None.
        version: which one, of a gateway's; the newest when None.

    Raises:
        TrainingError: the model or the rows cannot be had, or a figure is undefined on them.
    """
    kind = kind_of(source, model, version)
    if kind == "gateway":
        return _evaluate_served(source, rows, data_dir, model, version)
    if kind == "version":
        return _evaluate_version(Path(source), rows, data_dir)
    return _evaluate_run(Path(source), rows, data_dir)


def _evaluate_run(run: Path, rows: str, data_dir: Path | None) -> Evaluation:
    if rows == "out-of-fold":
        _, kept = read_cross_validated(run)
        examples = out_of_fold_examples(kept, data_dir)
        return Evaluation(f"{run}", ROWS[rows], examples, kept.probabilities, measure_out_of_fold(kept))
    examples = _examples(rows, data_dir)
    probabilities = checkpoint_answers(run, examples)
    tuned = _tuned(rows, read_cross_validated(run)[1], probabilities) if is_cross_validated(run) else None
    return _measured(f"{run}", rows, examples, probabilities, tuned)


def _evaluate_version(directory: Path, rows: str, data_dir: Path | None) -> Evaluation:
    card = checked_card(directory)
    examples = _examples(rows, data_dir)
    probabilities = version_answers(directory, card, examples)
    profiles = {name: profile.model_dump() for name, profile in card.profiles.items()}
    tuned = _tuned_by_card(rows, card.metrics, profiles, probabilities)
    return _measured(f"{directory}", rows, examples, probabilities, tuned)


def _evaluate_served(url: str, rows: str, data_dir: Path | None, model: str | None, version: str | None) -> Evaluation:
    examples = _examples(rows, data_dir)
    with served_at(url, model, version) as served:
        probabilities = served.answers([example.text for example in examples])
        tuned = _tuned_by_card(rows, served.card["metrics"], served.card["profiles"], probabilities)
        name = f"{served.model} version {served.version}, served at {url}"
    return _measured(name, rows, examples, probabilities, tuned)


def _measured(
    name: str, rows: str, examples: list[Example], probabilities: npt.NDArray[np.float32], tuned: Tuned | None
) -> Evaluation:
    return Evaluation(name, ROWS[rows], examples, probabilities, measure(targets(examples), probabilities, tuned))


def _examples(rows: str, data_dir: Path | None) -> list[Example]:
    if rows == "out-of-fold":
        raise TrainingError(
            "only a run trained with --cross-validate has out-of-fold predictions; a finished model has seen"
            " most of these rows: choose dev or test"
        )
    return load_source("cedr", "test", data_dir) if rows == "test" else held_out_fold(0, data_dir)


def _tuned(rows: str, kept: OutOfFold, probabilities: npt.NDArray[np.float32]) -> Tuned:
    return tuned_without_dev(kept, probabilities) if rows == "dev" else tuned_on_all(kept, probabilities)


def _tuned_by_card(
    rows: str, metrics: dict[str, Any], profiles: dict[str, Any], probabilities: npt.NDArray[np.float32]
) -> Tuned | None:
    """With the card's thresholds: its profiles', or on dev those that were tuned without it."""
    if rows == "dev":
        # The profiles' own were tuned on all of CEDR train, dev included.
        on_dev = [figures for name, figures in metrics.items() if name.startswith(DEV)]
        profiles = next((figures["profiles"] for figures in on_dev if "profiles" in figures), {})
    known = {name: profile for name, profile in profiles.items() if "thresholds" in profile}
    if "balanced" not in known:
        return None
    thresholds = {name: profile["thresholds"] for name, profile in known.items()}
    tuned_on = known["balanced"].get("tuned_on", "CEDR train, out of fold")
    return with_thresholds(probabilities, thresholds, tuned_on)


def baseline_figures(rows: str, examples: list[Example], data_dir: Path | None) -> dict[str, Any]:
    """Train the baseline and measure it on the same rows."""
    kept = baseline_out_of_fold(data_dir)
    if rows == "out-of-fold":
        return measure_out_of_fold(kept)
    truth = targets(examples)
    if rows == "dev":
        answers = kept.probabilities[kept.fold == 0]
        return measure(truth, answers, tuned_without_dev(kept, answers))
    tested = {text_key(example.text) for example in examples}
    train = [e for e in load_source("cedr", "train", data_dir) if text_key(e.text) not in tested]
    answers = baseline_answers(train_baseline(train), examples)
    return measure(truth, answers, tuned_on_all(kept, answers))


def write_evaluation(evaluation: Evaluation, baseline: dict[str, Any], output: Path) -> None:
    """Write `metrics.json` and `report.html`."""
    written = {
        "model": evaluation.model,
        "rows": evaluation.rows,
        "figures": evaluation.figures,
        "baseline": {"model": BASELINE, "figures": baseline},
        "published": PUBLISHED,
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
        PUBLISHED,
    )
    write_result(output, METRICS, as_json(written))


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.evaluate", __doc__)
    parser.add_argument("source", help="a run or checkpoint, a version directory, or the address of a gateway")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--rows", choices=ROWS, default="dev", help="default: %(default)s")
    what.add_argument("--behaviour", action="store_true", help="measure behaviour, not rows of CEDR")
    parser.add_argument(
        "--hidden", action="store_true",
        help="with --behaviour: the suite's hidden half too; for the last report of a finished model only",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, help="directory for the results")
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument("--model", help="which of the gateway's models (default: its default)")
    parser.add_argument("--version", help="which version of it (default: the newest)")
    given = parser.parse_args()
    if given.hidden and not given.behaviour:
        parser.error("--hidden belongs to --behaviour")
    return given


def evaluate_and_write(
    source: str,
    rows: str,
    data_dir: Path | None,
    output: Path,
    model: str | None = None,
    version: str | None = None,
) -> Evaluation:
    """Measure a model as `evaluate_model` does, print the figures, and write them and the page into `output`.

    Raises:
        TrainingError: as there; or nothing may be written into `output`.
    """
    check_output(output)
    evaluation = evaluate_model(source, rows, data_dir, model, version)
    print(f"{evaluation.model} on {evaluation.rows}, {evaluation.figures['rows']:,} rows:\n{table(evaluation.figures)}")
    write_evaluation(evaluation, baseline_figures(rows, evaluation.examples, data_dir), output)
    print(f"wrote {output / METRICS} and {output / REPORT}", flush=True)
    return evaluation


def main() -> None:
    """Evaluate, print the figures and write them."""
    given = _arguments()
    if given.behaviour:
        evaluate_behaviour_and_write(
            given.source, given.data_dir, given.output, given.model, given.version, given.hidden
        )
    else:
        evaluate_and_write(given.source, given.rows, given.data_dir, given.output, given.model, given.version)
