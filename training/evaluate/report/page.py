"""The page of one evaluation: tables, curves and the worst errors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from contract.labels import EMOTIONS
from training.common.page import inline, write_page
from training.data.rows.examples import Example, targets
from training.evaluate.report.plots import confusion, precision_recall_curves, reliability, roc_curves
from training.measuring.metrics import Matrix
from training.measuring.thresholds import PROFILES

TITLES: Final = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "f1_macro": "F1, class and rest",
    "precision_macro": "precision, class and rest",
    "recall_macro": "recall, class and rest",
    "f1": "F1 of the class",
    "precision": "precision of the class",
    "recall": "recall of the class",
    "calibration_error": "calibration error",
}
_WORST: Final = 50


@dataclass(frozen=True)
class Error:
    """A text whose label and probability disagree; `given_probability` is the lowest of its labels'."""

    text: str
    given: frozenset[int]
    given_probability: float | None
    answered: str
    answered_probability: float


def worst_errors(examples: list[Example], probabilities: Matrix, count: int = _WORST) -> list[Error]:
    """The rows with the largest distance of a probability from its label, the largest first."""
    distance = np.abs(targets(examples) - probabilities).max(axis=1)
    errors = []
    for row in np.argsort(-distance, kind="stable")[:count]:
        example, answers = examples[row], probabilities[row]
        given = min((float(answers[label]) for label in example.labels), default=None)
        top = int(answers.argmax())
        errors.append(Error(example.text, example.labels, given, EMOTIONS[top], float(answers[top])))
    return errors


def write_report(
    path: Path,
    model: str,
    rows: str,
    examples: list[Example],
    probabilities: Matrix,
    figures: dict[str, Any],
    baseline_name: str,
    baseline: dict[str, Any],
    published: dict[str, Any],
    measured_on: dict[str, Any],
) -> None:
    """Write the page; `figures` and `baseline` are as `training.measuring.figures` describes them."""
    truth = targets(examples)
    plots = (roc_curves, precision_recall_curves, confusion, reliability)
    write_page(
        path,
        "training.evaluate.report",
        "evaluation.html.j2",
        model=model,
        rows=rows,
        figures=figures,
        baseline_name=baseline_name,
        baseline=baseline,
        published=published,
        measured_on=measured_on,
        titles=TITLES,
        purposes=PROFILES,
        plots=[inline(draw(truth, probabilities)) for draw in plots],
        errors=worst_errors(examples, probabilities),
    )
