"""Is one model better than another? Every figure's difference on the same rows, with a paired bootstrap interval.

Both models answer the same rows, so what makes a row hard is hard for both and cancels out: the interval of the
difference is much narrower than the two models' own intervals suggest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.measuring.bootstrap import draw_resamples, figures_of_resamples, paired_rises
from training.measuring.metrics import DECISION, RANKING, Decisions, Matrix

DRAWS: Final = 2000
LEADING: Final = {"roc_auc": "mean ROC AUC", "f1_macro": "mean F1"}
"""The figures that say which model is better, as means over the classes."""
LOWER_IS_BETTER: Final = ("calibration_error",)

Verdict = Literal["better", "worse", "no difference"]


@dataclass(frozen=True)
class Answered:
    """What a model answered to rows: probabilities, `[rows, 6]`, and the labels given, bool `[rows, 6]`."""

    probabilities: Matrix
    decisions: Decisions

    def chosen(self, rows: npt.NDArray[np.bool_]) -> Self:
        """The answers to some of the rows; bool `[rows]`."""
        return type(self)(self.probabilities[rows], self.decisions[rows])


@dataclass(frozen=True)
class Difference:
    """One figure of the model before and the one after; `rise` is the difference, `interval_95` its interval.

    `verdict` is about the model after: the interval leaves out zero, or it doesn't. `worse_by_chance` is how likely it
    is to look so much worse if it is as good: the share of draws in which it is no worse.
    """

    before: float
    after: float
    rise: float
    interval_95: tuple[float, float]
    verdict: Verdict
    worse_by_chance: float

    @property
    def sentence(self) -> str:
        """The figures of it."""
        low, high = self.interval_95
        return f"{self.after:.4f} against {self.before:.4f}, {self.rise:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"


Differences = Mapping[str, Mapping[str, Difference]]
"""By class, and `mean` of the classes: each figure of `training.measuring.metrics` by name."""


def differences(truth: Matrix, before: Answered, after: Answered, least: int = 1) -> Differences:
    """Every figure's difference.

    Args:
        truth: 0/1, `[rows, 6]`.
        before: one model's answers to the rows.
        after: the other's.
        least: a class is measured, and counts for the mean, if so many rows have it and so many have not.

    Returns:
        The object described above; empty if no class can be measured.
    """
    positives = truth.sum(axis=0)
    classes = np.flatnonzero((positives >= least) & (len(truth) - positives >= least))
    if not len(classes):
        return {}
    truth = truth[:, classes]
    probabilities = (before.probabilities[:, classes], after.probabilities[:, classes])
    decisions = (before.decisions[:, classes], after.decisions[:, classes])
    once = np.ones((1, len(truth)))
    old, new = (figures_of_resamples(truth, d, p, once)[0] for p, d in zip(probabilities, decisions, strict=True))
    rises = paired_rises(truth, probabilities, decisions, DRAWS)
    by_class = {EMOTIONS[of]: _named(old[row], new[row], rises[:, row]) for row, of in enumerate(classes)}
    return {"mean": _named(old.mean(axis=0), new.mean(axis=0), rises.mean(axis=1)), **by_class}


def difference_of_shares(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> Difference:
    """How many of the same texts are right by the one model and by the other; bool `[texts]` each."""
    return difference_of_means(before.astype(np.float64), after.astype(np.float64))


def difference_of_means(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> Difference:
    """The means of one number a text, float64 `[texts]` each; more is better."""
    rises = [weights @ (after - before) / len(before) for weights in draw_resamples(len(before), DRAWS)]
    return _difference("share", float(before.mean()), float(after.mean()), np.concatenate(rises))


def overall(found: Differences) -> Verdict | Literal["mixed"]:
    """What the leading figures say of the model after: better or worse, if none of them says the contrary."""
    verdicts = {found["mean"][name].verdict for name in LEADING} - {"no difference"}
    return "mixed" if len(verdicts) == 2 else next(iter(verdicts), "no difference")


def _named(
    before: npt.NDArray[np.float64], after: npt.NDArray[np.float64], rises: npt.NDArray[np.float64]
) -> dict[str, Difference]:
    """By figure; `before` and `after` `[figures]`, `rises` `[resamples, figures]`."""
    return {
        name: _difference(name, float(before[index]), float(after[index]), rises[:, index])
        for index, name in enumerate((*RANKING, *DECISION))
    }


def _difference(name: str, before: float, after: float, rises: npt.NDArray[np.float64]) -> Difference:
    lower_is_better = name in LOWER_IS_BETTER
    draws = rises[~np.isnan(rises)]
    no_worse = (draws <= 0) if lower_is_better else (draws >= 0)
    # One more than were seen: 2,000 draws can't show that something never happens.
    by_chance = round(float((no_worse.sum() + 1) / (len(draws) + 1)), 5)
    low, high = (round(float(bound), 4) + 0.0 for bound in np.nanquantile(rises, (0.025, 0.975)))
    verdict: Verdict = "no difference"
    if low > 0 or high < 0:
        verdict = "better" if (low > 0) != lower_is_better else "worse"
    return Difference(
        round(before, 4), round(after, 4), round(after - before, 4) + 0.0, (low, high), verdict, by_chance
    )
