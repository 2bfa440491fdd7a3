"""What the page's plots are drawn from: curves over the threshold, confusion, calibration."""

from typing import Any, Final

import numpy as np

from contract.labels import EMOTIONS
from training.measuring.metrics import Matrix, calibration_bins

THRESHOLDS: Final = np.linspace(0, 1, 101)


def threshold_curves(truth: Matrix, probabilities: Matrix) -> dict[str, Any]:
    """What each threshold buys and costs, for one class at a time.

    Args:
        truth: 0/1, `[rows, 6]`.
        probabilities: `[rows, 6]`.

    Returns:
        `threshold`, 0 to 1 by hundredths; and by emotion, each as long: `precision` (None where nothing is flagged),
        `recall`, `false_positive_rate` and `flagged`, the share of rows at or above the threshold.
    """
    curves: dict[str, Any] = {"threshold": [round(float(threshold), 2) for threshold in THRESHOLDS]}
    for emotion, column, answers in zip(EMOTIONS, truth.T, probabilities.T, strict=True):
        # In the answers' own precision, as a label is given: 0.7 in float32 is below 0.7 in float64.
        given = answers[None, :] >= THRESHOLDS[:, None].astype(answers.dtype)
        flagged, right = given.sum(axis=1), given[:, column == 1].sum(axis=1)
        positives, rows = int(column.sum()), len(column)
        curves[emotion] = {
            "precision": [round(float(r / f), 4) if f else None for r, f in zip(right, flagged, strict=True)],
            "recall": _rounded(right / positives),
            "false_positive_rate": _rounded((flagged - right) / (rows - positives)),
            "flagged": _rounded(flagged / rows),
        }
    return curves


def confusion_counts(truth: Matrix, probabilities: Matrix) -> dict[str, dict[str, int]]:
    """By given label, how many of its rows have each emotion as the most probable one.

    A row with several labels counts under each of them.
    """
    top = np.eye(len(EMOTIONS))[probabilities.argmax(axis=1)]
    counts = truth.T.astype(np.float64) @ top
    return {
        given: {answered: int(count) for answered, count in zip(EMOTIONS, row, strict=True)}
        for given, row in zip(EMOTIONS, counts, strict=True)
    }


def calibration(truth: Matrix, probabilities: Matrix) -> dict[str, list[dict[str, float]]]:
    """By emotion, the bins of probability that have rows: `rows`, mean `probability`, `share` that has the label."""
    found = {}
    for emotion, column, answers in zip(EMOTIONS, truth.T, probabilities.T, strict=True):
        bins = zip(*calibration_bins(column, answers), strict=True)
        found[emotion] = [
            {"rows": int(rows), "probability": round(float(sum_ / rows), 4), "share": round(float(positive / rows), 4)}
            for rows, positive, sum_ in bins
            if rows
        ]
    return found


def _rounded(values: Matrix) -> list[float]:
    return [round(float(value), 4) for value in values]
