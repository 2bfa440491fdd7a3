"""Figures of a multi-label classifier, per class and on average, as scikit-learn defines them.

Of precision, recall and F1 there are two kinds: of the class alone (`f1`), and macro over the
class and the rest (`f1_macro`), which the published tables for these encoders print as F1.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from contract.labels import EMOTIONS
from training.common.command import TrainingError

Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Decisions = npt.NDArray[np.bool_]

CALIBRATION_BINS: Final = 10
RANKING: Final = ("roc_auc", "average_precision", "calibration_error")
DECISION: Final = ("f1_macro", "precision_macro", "recall_macro", "f1", "precision", "recall")


def evaluate(truth: Matrix, probabilities: Matrix, threshold: float = 0.5) -> dict[str, Any]:
    """Measure predictions against the truth.

    Args:
        truth: 0/1, `[rows, 6]`.
        probabilities: `[rows, 6]`.
        threshold: at and above it a label counts as given, the same for all classes.

    Returns:
        `rows`, `threshold`, `mean` over the classes and one entry per emotion, each with the
        figures of `RANKING` and `DECISION`, rounded to four decimals.

    Raises:
        TrainingError: something is not finite, or some class has no row with or without it.
    """
    check_measurable(truth, probabilities)
    classes = [
        {**_ranking(column, answers), **_decisions(column, answers >= threshold)}
        for column, answers in zip(truth.T, probabilities.T, strict=True)
    ]
    return {"rows": len(truth), "threshold": threshold, **_with_mean(classes)}


def evaluate_decisions(truth: Matrix, decisions: Decisions) -> dict[str, Any]:
    """The figures of `DECISION` where labels were given by other means than one threshold.

    `decisions` is bool `[rows, 6]`; otherwise as `evaluate`.
    """
    return _with_mean([_decisions(column, labels) for column, labels in zip(truth.T, decisions.T, strict=True)])


def check_measurable(truth: Matrix, probabilities: Matrix) -> None:
    """That every figure is defined on these rows.

    Raises:
        TrainingError: says what is not.
    """
    if truth.shape != probabilities.shape or truth.ndim != 2 or truth.shape[1] != len(EMOTIONS):
        raise TrainingError(
            f"truth {list(truth.shape)} and probabilities {list(probabilities.shape)} must both be [rows, 6]"
        )
    if not len(truth):
        raise TrainingError("there are no rows to measure on")
    if not np.isin(truth, (0, 1)).all():
        raise TrainingError("the truth must be 0 or 1 everywhere")
    wrong = np.logical_not(((probabilities >= 0) & (probabilities <= 1)).all(axis=1))  # NaN is wrong too.
    if wrong.any():
        raise TrainingError(
            f"the model's answers to {wrong.sum()} of {len(truth)} rows are no probabilities"
            f" (the first: {probabilities[wrong][0].tolist()}); a diverged training gives NaN: lower its learning rate"
        )
    for emotion, column in zip(EMOTIONS, truth.T, strict=True):
        if column.all() or not column.any():
            which = "every" if column.all() else "no"
            raise TrainingError(
                f"{which} row of {len(truth)} is labelled {emotion}: its figures are undefined; measure on more rows"
            )


def calibration_bins(truth: Matrix, probability: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """Rows, positive rows and summed probabilities in ten equally wide bins; float64 `[10]` each.

    A probability on an edge belongs to the lower bin, as in scikit-learn's `calibration_curve`.
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    bins = np.searchsorted(edges, probability.astype(np.float64))
    weights = (None, truth, probability)
    rows, positive, summed = (np.bincount(bins, w, CALIBRATION_BINS).astype(np.float64) for w in weights)
    return rows, positive, summed


def _ranking(truth: Any, probability: Any) -> dict[str, float]:
    _, positive, summed = calibration_bins(truth, probability)
    return {
        "roc_auc": float(roc_auc_score(truth, probability)),
        "average_precision": float(average_precision_score(truth, probability)),
        # Expected calibration error: the gap between confidence and frequency, weighted by rows.
        "calibration_error": float(np.abs(positive - summed).sum() / len(truth)),
    }


def _decisions(truth: Any, decisions: Any) -> dict[str, float]:
    figures = precision_recall_fscore_support(truth.astype(bool), decisions, labels=[False, True], zero_division=0)
    precision, recall, f1 = (np.asarray(figure, dtype=np.float64) for figure in figures[:3])
    return {
        "f1_macro": float(f1.mean()), "precision_macro": float(precision.mean()), "recall_macro": float(recall.mean()),
        "f1": float(f1[1]), "precision": float(precision[1]), "recall": float(recall[1]),
    }  # fmt: skip


def _with_mean(classes: list[dict[str, float]]) -> dict[str, Any]:
    mean = {name: float(np.mean([figures[name] for figures in classes])) for name in classes[0]}
    return {
        row: {name: round(value, 4) for name, value in figures.items()}
        for row, figures in (("mean", mean), *zip(EMOTIONS, classes, strict=True))
    }


def table(figures: dict[str, Any]) -> str:
    """The figures of `evaluate` as a plain-text table."""
    names = list(figures["mean"])
    lines = [f"{'':10}" + "".join(f"{name:>{max(len(name), 6) + 2}}" for name in names)]
    lines += [
        f"{row:10}" + "".join(f"{figures[row][name]:{max(len(name), 6) + 2}.4f}" for name in names)
        for row in (*EMOTIONS, "mean")
    ]
    return "\n".join(lines)
