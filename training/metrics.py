"""Figures of a multi-label classifier: ROC AUC, F1, precision and recall, per class and on average."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score
from sklearn.metrics import roc_auc_score as _roc_auc_score

from contract.labels import EMOTIONS

Matrix = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def evaluate(truth: Matrix, probabilities: Matrix, threshold: float = 0.5) -> dict[str, Any]:
    """Measure predictions against the truth.

    Args:
        truth: 0/1, `[rows, 6]`.
        probabilities: `[rows, 6]`.
        threshold: at and above it a label counts as given, the same for all classes.

    Returns:
        `rows`, `threshold`, `mean` and one entry per emotion. `f1_macro` is the mean of the
        F1 of the class and of the rest, which is what the published tables for these
        encoders print as F1; `f1`, `precision` and `recall` are those of the class alone.
    """
    classes = {
        emotion: _one_class(truth[:, index], probabilities[:, index], threshold)
        for index, emotion in enumerate(EMOTIONS)
    }
    names = next(iter(classes.values()))
    mean = {name: float(np.mean([figures[name] for figures in classes.values()])) for name in names}
    figures: dict[str, Any] = _rounded({"rows": len(truth), "threshold": threshold, "mean": mean, **classes})
    return figures


def _one_class(truth: Any, probability: Any, threshold: float) -> dict[str, float]:
    given = probability >= threshold
    return {
        "roc_auc": float(_roc_auc_score(truth, probability)),
        "average_precision": float(average_precision_score(truth, probability)),
        "f1_macro": float(f1_score(truth, given, average="macro", zero_division=0)),
        "f1": float(f1_score(truth, given, zero_division=0)),
        "precision": float(precision_score(truth, given, zero_division=0)),
        "recall": float(recall_score(truth, given, zero_division=0)),
    }


def _rounded(figures: Any) -> Any:
    if isinstance(figures, dict):
        return {name: _rounded(value) for name, value in figures.items()}
    return round(figures, 4) if isinstance(figures, float) else figures


def table(figures: dict[str, Any]) -> str:
    """The figures of `evaluate` as a plain-text table."""
    names = list(figures["mean"])
    lines = [f"{'':12}" + "".join(f"{name:>18}" for name in names)]
    lines += [f"{row:12}" + "".join(f"{figures[row][name]:18.4f}" for name in names) for row in (*EMOTIONS, "mean")]
    return "\n".join(lines)
