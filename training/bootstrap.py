"""95 % bootstrap intervals of the figures of `training.metrics`, all resamples at once.

A resample is a vector of weights: how often each row was drawn. The figures are computed from
the weights directly, which is hundreds of times faster than drawing rows and asking scikit-learn;
with every weight 1 they are scikit-learn's own.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.metrics import CALIBRATION_BINS, DECISION, RANKING, Decisions, Matrix, check_measurable

RESAMPLES: Final = 1000
SEED: Final = 0
FIGURES: Final = (*RANKING, *DECISION)
_AT_ONCE: Final = 100  # Resamples held in memory together.

Floats = npt.NDArray[np.float64]


def intervals(truth: Matrix, probabilities: Matrix, given: Decisions, resamples: int = RESAMPLES) -> dict[str, Any]:
    """The middle 95 % of each figure over resamples of the rows, drawn with a fixed seed.

    Args:
        truth: 0/1, `[rows, 6]`.
        probabilities: `[rows, 6]`.
        given: the labels given, bool `[rows, 6]`.
        resamples: how many.

    Returns:
        `mean` and one entry per emotion; each figure's `[low, high]`. A resample that lacks
        a class altogether says nothing of it and is left out of its intervals.
    """
    check_measurable(truth, probabilities)
    drawn = [resampled(truth, probabilities, given, weights) for weights in draw(len(truth), resamples)]
    values = np.concatenate(drawn)
    low, high = np.nanquantile(values, (0.025, 0.975), axis=0)
    mean_low, mean_high = np.nanquantile(values.mean(axis=1), (0.025, 0.975), axis=0)
    entries = {"mean": (mean_low, mean_high), **{e: (low[i], high[i]) for i, e in enumerate(EMOTIONS)}}
    return {
        row: {name: [round(float(a), 4), round(float(b), 4)] for name, a, b in zip(FIGURES, lows, highs, strict=True)}
        for row, (lows, highs) in entries.items()
    }


def draw(rows: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """Weights of resamples, float64 `[up to 100, rows]` at a time; the same ones every time."""
    random = np.random.default_rng(SEED)
    for start in range(0, resamples, _AT_ONCE):
        count = min(_AT_ONCE, resamples - start)
        picked = random.integers(rows, size=(count, rows)) + rows * np.arange(count)[:, None]
        yield np.bincount(picked.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def resampled(truth: Matrix, probabilities: Matrix, given: Decisions, weights: Floats) -> Floats:
    """Every figure of every class on weighted rows, `[resamples, 6, figures]` in the order of `FIGURES`.

    Undefined figures are NaN: those of a class that no row, or every row, of a resample has.
    """
    by_class = []
    for index in range(truth.shape[1]):
        column, answers = truth[:, index].astype(np.float64), probabilities[:, index].astype(np.float64)
        figures = (*_ranking(column, answers, weights), *_decisions(column, given[:, index], weights))
        by_class.append(np.stack(figures, axis=1))
    values = np.stack(by_class, axis=1)
    there = weights @ truth.astype(np.float64)
    values[(there == 0) | (there == weights.sum(axis=1, keepdims=True))] = np.nan
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


def _decisions(truth: Floats, given: Decisions, weights: Floats) -> tuple[Floats, ...]:
    label = given.astype(np.float64)
    rows = weights.sum(axis=1)
    there, flagged, hits = weights @ truth, weights @ label, weights @ (truth * label)
    rest_hits = rows - there - flagged + hits
    precision, recall = _ratio(hits, flagged), _ratio(hits, there)
    rest_precision, rest_recall = _ratio(rest_hits, rows - flagged), _ratio(rest_hits, rows - there)
    f1, rest_f1 = _ratio(2 * hits, flagged + there), _ratio(2 * rest_hits, 2 * rows - flagged - there)
    macro = ((f1 + rest_f1) / 2, (precision + rest_precision) / 2, (recall + rest_recall) / 2)
    return (*macro, f1, precision, recall)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """0 where there is nothing to divide by, as scikit-learn with `zero_division=0`."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
