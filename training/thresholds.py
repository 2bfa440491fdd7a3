"""Thresholds per profile, tuned on out-of-fold predictions, and what they cost elsewhere.

A profile promises something (a recall of anger, a precision of joy). The promise is kept with
a margin: the lower 90 % bound of the figure, not the figure itself, must reach it.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from contract.version_directory import Profile, ThresholdCost
from training.command import TrainingError

PROMISE: Final = 0.9
_Z_90: Final = 1.2816  # One-sided 90 % quantile of the normal distribution.

Vector = npt.NDArray[Any]
Rule = Callable[[Vector, Vector], float]


def lower_bound(successes: Vector, trials: Vector) -> Vector:
    """One-sided 90 % lower bound of a proportion (Wilson's score interval)."""
    n = np.maximum(trials, 1)
    p = successes / n
    centre = p + _Z_90**2 / (2 * n)
    spread = _Z_90 * np.sqrt(p * (1 - p) / n + _Z_90**2 / (4 * n**2))
    return np.asarray((centre - spread) / (1 + _Z_90**2 / n))


def _candidates(truth: Vector, probability: Vector) -> tuple[Vector, Vector, Vector]:
    """Every useful threshold, and the hits and flagged rows at it, highest threshold first."""
    order = np.argsort(-probability, kind="stable")
    sorted_probability = probability[order].astype(np.float64)
    hits = np.cumsum(truth[order])
    flagged = np.arange(1, len(order) + 1)
    last_of_tie = np.append(sorted_probability[1:] != sorted_probability[:-1], True)
    return sorted_probability[last_of_tie], hits[last_of_tie], flagged[last_of_tie]


def best_f1(truth: Vector, probability: Vector) -> float:
    """The threshold with the best F1 of the class."""
    thresholds, hits, flagged = _candidates(truth, probability)
    return float(thresholds[np.argmax(2 * hits / (flagged + truth.sum()))])


def recall_kept(truth: Vector, probability: Vector) -> float:
    """The threshold with the best precision among those whose recall keeps the promise."""
    thresholds, hits, flagged = _candidates(truth, probability)
    kept = lower_bound(hits, np.full(len(hits), truth.sum())) >= PROMISE
    return _best(thresholds, hits / flagged, kept, "recall")


def precision_kept(truth: Vector, probability: Vector) -> float:
    """The threshold with the best recall among those whose precision keeps the promise."""
    thresholds, hits, flagged = _candidates(truth, probability)
    return _best(thresholds, hits, lower_bound(hits, flagged) >= PROMISE, "precision")


def _best(thresholds: Vector, value: Vector, kept: Vector, figure: str) -> float:
    if not kept.any():
        raise TrainingError(f"no threshold reaches a {figure} of {PROMISE}: the model is too weak")
    return float(thresholds[np.argmax(np.where(kept, value, -1))])


_PROFILES: Final[dict[str, tuple[str, dict[str, Rule]]]] = {
    "balanced": ("the best F1 of every emotion", {}),
    "moderation": ("anger must not be missed: at least 90 % of angry texts are found", {"anger": recall_kept}),
    "marketing": (
        "joy and sadness must be right: at least 90 % of what is called so is so",
        {"joy": precision_kept, "sadness": precision_kept},
    ),
}  # fmt: skip


def tune_profiles(truth: Vector, probabilities: Vector, fold: Vector) -> dict[str, Profile]:
    """Tune every profile on all rows, and measure it fold by fold on rows it wasn't tuned on.

    Args:
        truth: 0/1, `[rows, 6]`.
        probabilities: out-of-fold, `[rows, 6]`.
        fold: the fold that held each row out, `[rows]`.

    Raises:
        TrainingError: no threshold keeps a profile's promise, or no row has some emotion.
    """
    for index, emotion in enumerate(EMOTIONS):
        if not truth[:, index].any():
            raise TrainingError(f"no row is labelled {emotion}: no threshold can be tuned for it")
    profiles = {}
    for name, (purpose, rules) in _PROFILES.items():
        thresholds, costs = {}, {}
        for index, emotion in enumerate(EMOTIONS):
            rule = rules.get(emotion, best_f1)
            column, answers = truth[:, index], probabilities[:, index]
            # Rounded down, so that the row the threshold was taken from still passes it.
            thresholds[emotion] = float(np.floor(rule(column, answers) * 1e6) / 1e6)
            costs[emotion] = _cost(rule, column, answers, fold)
        profiles[name] = Profile(
            purpose=purpose,
            thresholds=thresholds,
            costs=costs,
            measured_on="out-of-fold predictions over CEDR train, each fold with thresholds from the others",
        )
    return profiles


def _cost(rule: Rule, truth: Vector, probability: Vector, fold: Vector) -> ThresholdCost:
    given = np.zeros(len(truth), dtype=bool)
    for number in np.unique(fold):
        here = fold == number
        given[here] = probability[here] >= rule(truth[~here], probability[~here])
    hits = float(truth[given].sum())
    return ThresholdCost(
        precision=round(hits / max(given.sum(), 1), 4),
        recall=round(hits / float(truth.sum()), 4),
        flagged=round(float(given.mean()), 4),
    )
