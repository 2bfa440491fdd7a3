"""95 % bootstrap intervals of the figures of `training.measuring.metrics`, all resamples at once.

A resample is a vector of weights: how often each row was drawn. The figures are computed from
the weights directly, which is hundreds of times faster than drawing rows and asking scikit-learn;
with every weight 1 they are scikit-learn's own.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.measuring.metrics import CALIBRATION_BINS, DECISION, RANKING, Decisions, Matrix

RESAMPLES: Final = 1000
SEED: Final = 0
_AT_ONCE: Final = 100  # Resamples held in memory together.

Floats = npt.NDArray[np.float64]


def intervals(truth: Matrix, decisions: Decisions, probabilities: Matrix | None = None) -> dict[str, Any]:
    """The middle 95 % of each figure over resamples of the rows, drawn with a fixed seed.

    Args:
        truth: 0/1, `[rows, 6]`.
        decisions: the labels given, bool `[rows, 6]`.
        probabilities: `[rows, 6]`; without them only the figures of `DECISION` are there.

    Returns:
        `mean` and one entry per emotion; each figure's `[low, high]`. A resample that lacks
        a class altogether says nothing of it and is left out of its intervals.
    """
    figures = [figures_of_resamples(truth, decisions, probabilities, weights) for weights in draw_resamples(len(truth))]
    return _quantiles(np.concatenate(figures))


def paired_intervals(truth: Matrix, before: Matrix, after: Matrix, threshold: float = 0.5) -> dict[str, Any]:
    """The middle 95 % of how much each figure rises from one model to another on the same rows.

    `before` and `after` are probabilities, `[rows, 6]`; otherwise as `intervals`.
    """
    return _quantiles(paired_rises(truth, (before, after), (before >= threshold, after >= threshold)))


def paired_rises(
    truth: Matrix,
    probabilities: tuple[Matrix, Matrix],
    decisions: tuple[Decisions, Decisions],
    resamples: int = RESAMPLES,
) -> Floats:
    """How much every figure of every class rises from one model to another, `[resamples, classes, figures]`.

    `probabilities` and `decisions` are those of the model before and of the one after; otherwise as
    `figures_of_resamples`.
    """
    rises = [
        figures_of_resamples(truth, decisions[1], probabilities[1], weights)
        - figures_of_resamples(truth, decisions[0], probabilities[0], weights)
        for weights in draw_resamples(len(truth), resamples)
    ]
    return np.concatenate(rises)


def _quantiles(values: Floats) -> dict[str, Any]:
    names = (*RANKING, *DECISION)[-values.shape[2] :]
    rows = {"mean": values.mean(axis=1), **{emotion: values[:, index] for index, emotion in enumerate(EMOTIONS)}}
    bounds = {row: np.nanquantile(each, (0.025, 0.975), axis=0).T for row, each in rows.items()}
    return {
        row: {
            name: [round(float(low), 4), round(float(high), 4)] for name, (low, high) in zip(names, each, strict=True)
        }
        for row, each in bounds.items()
    }


def draw_resamples(rows: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """Weights of all resamples, float64 `[100, rows]` at a time; the same ones every time."""
    random = np.random.default_rng(SEED)
    for _ in range(resamples // _AT_ONCE):
        picked = random.integers(rows, size=(_AT_ONCE, rows)) + rows * np.arange(_AT_ONCE)[:, None]
        yield np.bincount(picked.ravel(), minlength=_AT_ONCE * rows).reshape(_AT_ONCE, rows).astype(np.float64)


def figures_of_resamples(truth: Matrix, decisions: Decisions, probabilities: Matrix | None, weights: Floats) -> Floats:
    """Every figure of every class on weighted rows, `[resamples, 6, figures]`.

    The figures are those of `RANKING`, only if there are probabilities, and then of `DECISION`;
    NaN for a class that no row, or every row, of a resample has.
    """
    by_class = []
    for index, column in enumerate(truth.T.astype(np.float64)):
        figures = _decisions(column, decisions[:, index], weights)
        if probabilities is not None:
            figures = (*_ranking(column, probabilities[:, index].astype(np.float64), weights), *figures)
        by_class.append(np.stack(figures, axis=1))
    values = np.stack(by_class, axis=1)
    positives = weights @ truth.astype(np.float64)
    values[(positives == 0) | (positives == weights.sum(axis=1, keepdims=True))] = np.nan
    return values


def _ranking(truth: Floats, probability: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    order = np.argsort(-probability, kind="stable")
    first_of_tie = np.flatnonzero(np.append(True, np.diff(probability[order]) != 0))
    all_rows = np.add.reduceat(weights[:, order], first_of_tie, axis=1)
    positive = np.add.reduceat(weights[:, order] * truth[order], first_of_tie, axis=1)
    positive_above, rows_above = np.cumsum(positive, axis=1), np.cumsum(all_rows, axis=1)
    positives, rows = positive_above[:, -1], rows_above[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        # The share of (positive, negative) pairs in the right order; a tie counts half.
        pairs = ((all_rows - positive) * (positive_above - positive / 2)).sum(axis=1)
        auc = pairs / (positives * (rows - positives))
        precision = np.where(rows_above > 0, positive_above / rows_above, 0)
        average_precision = (positive * precision).sum(axis=1) / positives
    bins = np.searchsorted(np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1], probability)
    gaps = np.zeros((len(truth), CALIBRATION_BINS))
    gaps[np.arange(len(truth)), bins] = truth - probability
    return auc, average_precision, np.abs(weights @ gaps).sum(axis=1) / rows


def _decisions(truth: Floats, decisions: Decisions, weights: Floats) -> tuple[Floats, ...]:
    label = decisions.astype(np.float64)
    rows = weights.sum(axis=1)
    positives, flagged, true_positives = weights @ truth, weights @ label, weights @ (truth * label)
    true_negatives = rows - positives - flagged + true_positives
    precision, recall = _ratio(true_positives, flagged), _ratio(true_positives, positives)
    rest_precision, rest_recall = _ratio(true_negatives, rows - flagged), _ratio(true_negatives, rows - positives)
    f1, rest_f1 = (
        _ratio(2 * true_positives, flagged + positives),
        _ratio(2 * true_negatives, 2 * rows - flagged - positives),
    )
    macro = ((f1 + rest_f1) / 2, (precision + rest_precision) / 2, (recall + rest_recall) / 2)
    return (*macro, f1, precision, recall)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """0 where there is nothing to divide by, as scikit-learn with `zero_division=0`."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
