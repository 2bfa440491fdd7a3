"""Thresholds per profile, tuned on out-of-fold predictions of one data set or several.

A profile promises something (a recall of anger, a precision of joy). The promise is kept on every data set, and with
a margin: the lower 90 % bound of the figure, not the figure itself, must reach it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.data.splits.folds import BRIGHTER
from training.measuring.out_of_fold import OutOfFoldSets

PROMISE: Final = 0.9
WEIGHTS: Final = {"cedr": 2, BRIGHTER: 1}
"""Of each data set in means over both. With equal ones, `f1_macro` of version 1 of both models, which never trained on
BRIGHTER, falls by 0.005 on CEDR's dev split; with these by 0.003 and not at all, and it rises by 0.013 on BRIGHTER. A
baseline trained on both loses nothing either way."""
_Z_90: Final = 1.2816  # One-sided 90 % quantile of the normal distribution.

Vector = npt.NDArray[Any]
Answered = Mapping[str, tuple[Vector, Vector]]
"""One emotion's truth, 0/1, and probability, `[rows]` each; by data set."""
Rule = Callable[[Answered], float]
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


def _candidates(sets: Answered) -> tuple[Vector, Vector, Vector, Vector]:
    """Every useful threshold, highest first, and what it finds in each data set.

    Returns:
        thresholds `[candidates]`; true positives and flagged rows, `[data sets, candidates]`; positives
        `[data sets, 1]`.
    """
    thresholds = np.unique(np.concatenate([probability.astype(np.float64) for _, probability in sets.values()]))[::-1]
    true_positives, flagged = [], []
    for truth, probability in sets.values():
        order = np.argsort(-probability, kind="stable")
        rows = np.searchsorted(-probability[order].astype(np.float64), -thresholds, side="right")
        flagged.append(rows)
        true_positives.append(np.append(0, np.cumsum(truth[order], dtype=np.float64))[rows])
    positives = np.array([[truth.sum()] for truth, _ in sets.values()])
    return thresholds, np.array(true_positives), np.array(flagged), positives


def threshold_of_best_f1(sets: Answered) -> float:
    """The threshold with the best F1 of the class, in the weighted mean over the data sets."""
    thresholds, true_positives, flagged, positives = _candidates(sets)
    return float(thresholds[np.argmax(_mean(sets, 2 * true_positives / (flagged + positives)))])


def threshold_for_recall(sets: Answered) -> float:
    """The threshold with the best mean precision among those whose recall keeps the promise everywhere."""
    thresholds, true_positives, flagged, positives = _candidates(sets)
    kept = lower_bound(true_positives, positives) >= PROMISE
    return _best(sets, thresholds, true_positives / np.maximum(flagged, 1), kept, "recall")


def threshold_for_precision(sets: Answered) -> float:
    """The threshold with the best mean recall among those whose precision keeps the promise everywhere."""
    thresholds, true_positives, flagged, positives = _candidates(sets)
    kept = lower_bound(true_positives, flagged) >= PROMISE
    return _best(sets, thresholds, true_positives / np.maximum(positives, 1), kept, "precision")


def _best(sets: Answered, thresholds: Vector, value: Vector, kept: Vector, figure: str) -> float:
    everywhere = kept.all(axis=0)
    if not everywhere.any():
        where = f" on {' and on '.join(sets)}" if len(sets) > 1 else ""
        raise PromiseError(f"no threshold reaches a {figure} of {PROMISE}{where}: the model is too weak")
    return float(thresholds[np.argmax(np.where(everywhere, _mean(sets, value), -1))])


def _mean(sets: Answered, value: Vector) -> Vector:
    return np.asarray(np.average(value, axis=0, weights=[WEIGHTS.get(name, 1) for name in sets]))


PROFILES: Final = {
    "balanced": "the best F1 of every emotion",
    "moderation": "anger must not be missed: at least 90 % of angry texts are found",
    "marketing": "joy and sadness must be right: at least 90 % of what is called so is so",
}
RULES: Final[dict[str, dict[str, Rule]]] = {
    "balanced": {},
    "moderation": {"anger": threshold_for_recall},
    "marketing": {"joy": threshold_for_precision, "sadness": threshold_for_precision},
}
"""By profile, the emotions it makes a promise about. The others' thresholds are those of the best F1."""


def tune(profile: str, sets: OutOfFoldSets) -> Thresholds:
    """A profile's thresholds on these rows, none of which took part in training.

    Args:
        profile: a key of `PROFILES`.
        sets: the predictions.

    Raises:
        PromiseError: no threshold keeps the profile's promise.
        TrainingError: no row of some data set has some emotion.
    """
    thresholds = {}
    for index, emotion in enumerate(EMOTIONS):
        answered = {name: (each.truth[:, index], each.probabilities[:, index]) for name, each in sets.items()}
        for name, (truth, _) in answered.items():
            if not truth.any():
                raise TrainingError(f"no row of {name} is labelled {emotion}: no threshold can be tuned for it")
        rule = RULES[profile].get(emotion, threshold_of_best_f1)
        # Rounded down, so that the row the threshold was taken from still passes it.
        thresholds[emotion] = float(np.floor(rule(answered) * 1e6) / 1e6)
    return thresholds


def decide(probabilities: Vector, thresholds: Thresholds) -> npt.NDArray[np.bool_]:
    """The labels given, bool `[rows, 6]`."""
    return np.asarray(probabilities >= np.array([thresholds[emotion] for emotion in EMOTIONS], probabilities.dtype))


def decide_across_folds(profile: str, sets: OutOfFoldSets) -> dict[str, npt.NDArray[np.bool_]]:
    """The labels given when each fold gets thresholds tuned on the other folds of all data sets.

    Returns:
        By data set, bool `[rows, 6]`.

    Raises:
        TrainingError: as `tune`.
    """
    decisions = {name: np.zeros(each.truth.shape, dtype=np.bool_) for name, each in sets.items()}
    for number in np.unique(np.concatenate([each.fold for each in sets.values()])):
        thresholds = tune(profile, {name: each.without(number) for name, each in sets.items()})
        for name, each in sets.items():
            here = each.fold == number
            decisions[name][here] = decide(each.probabilities[here], thresholds)
    return decisions
