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
from training.common.command import TrainingError

PROMISE: Final = 0.9
_Z_90: Final = 1.2816  # One-sided 90 % quantile of the normal distribution.

Vector = npt.NDArray[Any]
Rule = Callable[[Vector, Vector], float]
Thresholds = dict[str, float]
"""By emotion; at and above it the label counts as given."""


class PromiseError(TrainingError):
    """No threshold keeps what a profile promises."""


def lower_bound(successes: Vector, trials: Vector) -> Vector:
    """One-sided 90 % lower bound of a proportion (Wilson's score interval)."""
    n = np.maximum(trials, 1)
    p = successes / n
    centre = p + _Z_90**2 / (2 * n)
    spread = _Z_90 * np.sqrt(p * (1 - p) / n + _Z_90**2 / (4 * n**2))
    return np.asarray((centre - spread) / (1 + _Z_90**2 / n))


def _candidates(truth: Vector, probability: Vector) -> tuple[Vector, Vector, Vector]:
    """Every useful threshold, and the true positives and flagged rows at it, highest threshold first."""
    order = np.argsort(-probability, kind="stable")
    sorted_probability = probability[order].astype(np.float64)
    true_positives = np.cumsum(truth[order])
    flagged = np.arange(1, len(order) + 1)
    last_of_tie = np.append(sorted_probability[1:] != sorted_probability[:-1], True)
    return sorted_probability[last_of_tie], true_positives[last_of_tie], flagged[last_of_tie]


def threshold_of_best_f1(truth: Vector, probability: Vector) -> float:
    """The threshold with the best F1 of the class."""
    thresholds, true_positives, flagged = _candidates(truth, probability)
    return float(thresholds[np.argmax(2 * true_positives / (flagged + truth.sum()))])


def threshold_for_recall(truth: Vector, probability: Vector) -> float:
    """The threshold with the best precision among those whose recall keeps the promise."""
    thresholds, true_positives, flagged = _candidates(truth, probability)
    kept = lower_bound(true_positives, np.full(len(true_positives), truth.sum())) >= PROMISE
    return _best(thresholds, true_positives / flagged, kept, "recall")


def threshold_for_precision(truth: Vector, probability: Vector) -> float:
    """The threshold with the best recall among those whose precision keeps the promise."""
    thresholds, true_positives, flagged = _candidates(truth, probability)
    return _best(thresholds, true_positives, lower_bound(true_positives, flagged) >= PROMISE, "precision")


def _best(thresholds: Vector, value: Vector, kept: Vector, figure: str) -> float:
    if not kept.any():
        raise PromiseError(f"no threshold reaches a {figure} of {PROMISE}: the model is too weak")
    return float(thresholds[np.argmax(np.where(kept, value, -1))])


_ACROSS_FOLDS: Final = "out-of-fold predictions over CEDR train, each fold with thresholds from the others"

PROFILES: Final = {
    "balanced": "the best F1 of every emotion",
    "moderation": "anger must not be missed: at least 90 % of angry texts are found",
    "marketing": "joy and sadness must be right: at least 90 % of what is called so is so",
}
_RULES: Final[dict[str, dict[str, Rule]]] = {
    "balanced": {},
    "moderation": {"anger": threshold_for_recall},
    "marketing": {"joy": threshold_for_precision, "sadness": threshold_for_precision},
}


def tune(profile: str, truth: Vector, probabilities: Vector) -> Thresholds:
    """A profile's thresholds on these rows.

    Args:
        profile: a key of `PROFILES`.
        truth: 0/1, `[rows, 6]`.
        probabilities: `[rows, 6]`, of rows that took no part in training.

    Raises:
        PromiseError: no threshold keeps the profile's promise.
        TrainingError: no row has some emotion.
    """
    thresholds = {}
    for index, emotion in enumerate(EMOTIONS):
        if not truth[:, index].any():
            raise TrainingError(f"no row is labelled {emotion}: no threshold can be tuned for it")
        rule = _RULES[profile].get(emotion, threshold_of_best_f1)
        # Rounded down, so that the row the threshold was taken from still passes it.
        thresholds[emotion] = float(np.floor(rule(truth[:, index], probabilities[:, index]) * 1e6) / 1e6)
    return thresholds


def decide(probabilities: Vector, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
    """The labels given, bool `[rows, 6]`."""
    return np.asarray(probabilities >= np.array([thresholds[emotion] for emotion in EMOTIONS], probabilities.dtype))


def decide_across_folds(profile: str, truth: Vector, probabilities: Vector, fold: Vector) -> npt.NDArray[np.bool_]:
    """The labels given when each fold gets thresholds tuned on the other folds, bool `[rows, 6]`."""
    decisions = np.zeros(truth.shape, dtype=np.bool_)
    for number in np.unique(fold):
        here = fold == number
        decisions[here] = decide(probabilities[here], tune(profile, truth[~here], probabilities[~here]))
    return decisions


def costs(truth: Vector, decisions: npt.NDArray[np.bool_]) -> dict[str, ThresholdCost]:
    """What giving these labels buys and costs, by emotion."""
    by_emotion = {}
    for emotion, column, labels in zip(EMOTIONS, truth.T, decisions.T, strict=True):
        true_positives, flagged, positives = (
            int(count) for count in (column[labels].sum(), labels.sum(), column.sum())
        )
        by_emotion[emotion] = ThresholdCost(
            precision=round(true_positives / max(flagged, 1), 4),
            recall=round(true_positives / max(positives, 1), 4),
            flagged=round(flagged / len(truth), 4),
        )
    return by_emotion


def tune_profiles(truth: Vector, probabilities: Vector, fold: Vector) -> tuple[dict[str, Profile], dict[str, str]]:
    """Tune every profile on all rows, and measure it fold by fold on rows it wasn't tuned on.

    Args:
        truth: 0/1, `[rows, 6]`.
        probabilities: out-of-fold, `[rows, 6]`.
        fold: the fold that held each row out, `[rows]`.

    Returns:
        The profiles, and why those that are missing cannot be had: a promise that no threshold keeps.

    Raises:
        TrainingError: no row has some emotion.
    """
    profiles, unreachable = {}, {}
    for name, purpose in PROFILES.items():
        try:
            profiles[name] = Profile(
                purpose=purpose,
                thresholds=tune(name, truth, probabilities),
                costs=costs(truth, decide_across_folds(name, truth, probabilities, fold)),
                measured_on=_ACROSS_FOLDS,
            )
        except PromiseError as error:
            unreachable[name] = str(error)
    return profiles, unreachable
