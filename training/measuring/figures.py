"""All figures of one set of predictions: at 0.5, at thresholds tuned on other rows, with intervals.

`metrics.json` of an evaluation and `metrics` of a card hold the same object:

- `rows`, `threshold`, `mean` and one entry per emotion, from `training.measuring.metrics.evaluate`;
- `intervals_95`: `[low, high]` of each of them, from `training.measuring.bootstrap`;
- `tuned`: `tuned_on`, and `mean` and one entry per emotion with F1, precision and recall of the
  profile `balanced`, whose thresholds come from other rows; only where there are any;
- `profiles`: what each profile buys and costs on these rows (`costs`), `thresholds` where one set
  was used for all rows, or why the profile cannot be had (`unreachable`).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from contract.labels import EMOTIONS
from training.measuring import thresholds as tuning
from training.measuring.bootstrap import intervals
from training.measuring.metrics import Decisions, Matrix, evaluate, evaluate_decisions
from training.measuring.out_of_fold import OutOfFold
from training.measuring.thresholds import PROFILES, PromiseError, Thresholds

DEV: Final = "dev (fold 0 of CEDR train)"
ALL_FOLDS: Final = "five folds of CEDR train, out of fold"


@dataclass(frozen=True)
class TunedDecisions:
    """Labels given by thresholds that were tuned on other rows; by profile.

    Args:
        tuned_on: which rows.
        decisions: the labels given, bool `[rows, 6]`.
        thresholds: where one set was used for all rows.
        unreachable: why a profile cannot be had.
    """

    tuned_on: str
    decisions: dict[str, Decisions]
    thresholds: dict[str, Thresholds]
    unreachable: dict[str, str]


def measure(truth: Matrix, probabilities: Matrix, tuned: TunedDecisions | None = None) -> dict[str, Any]:
    """The object described above.

    Raises:
        TrainingError: a figure is undefined on these rows.
    """
    figures = evaluate(truth, probabilities)
    figures["intervals_95"] = intervals(truth, probabilities >= figures["threshold"], probabilities)
    if tuned is not None:
        decisions = tuned.decisions["balanced"]
        figures["tuned"] = {
            "tuned_on": tuned.tuned_on,
            **evaluate_decisions(truth, decisions),
            "intervals_95": intervals(truth, decisions),
        }
        figures["profiles"] = {name: _profile(name, truth, tuned) for name in PROFILES}
    return figures


def _profile(name: str, truth: Matrix, tuned: TunedDecisions) -> dict[str, Any]:
    if name in tuned.unreachable:
        return {"unreachable": tuned.unreachable[name]}
    profile: dict[str, Any] = {"tuned_on": tuned.tuned_on}
    if name in tuned.thresholds:
        profile["thresholds"] = tuned.thresholds[name]
    costs = tuning.costs(truth, tuned.decisions[name])
    return {**profile, "costs": {emotion: costs[emotion].model_dump() for emotion in EMOTIONS}}


def with_thresholds(probabilities: Matrix, thresholds: dict[str, Thresholds], tuned_on: str) -> TunedDecisions:
    """Labels from known thresholds; a profile that is not among them counts as unreachable."""
    missing = {name: "it had no thresholds" for name in PROFILES if name not in thresholds}
    decisions = {name: tuning.decide(probabilities, values) for name, values in thresholds.items()}
    return TunedDecisions(tuned_on, decisions, thresholds, missing)


def tuned_without_dev(out_of_fold: OutOfFold, probabilities: Matrix) -> TunedDecisions:
    """Labels for dev's rows (or others that no fold holds), from thresholds tuned on folds 1 to 4."""
    rest = out_of_fold.fold != 0
    return _tuned_on(
        out_of_fold.truth[rest], out_of_fold.probabilities[rest], probabilities, "folds 1 to 4 of CEDR train"
    )


def tuned_on_all(out_of_fold: OutOfFold, probabilities: Matrix) -> TunedDecisions:
    """Labels for rows outside CEDR train, from thresholds tuned on all of it."""
    return _tuned_on(out_of_fold.truth, out_of_fold.probabilities, probabilities, "CEDR train, out of fold")


def _tuned_on(truth: Matrix, answers: Matrix, probabilities: Matrix, tuned_on: str) -> TunedDecisions:
    tuned = TunedDecisions(tuned_on, {}, {}, {})
    for name in PROFILES:
        try:
            tuned.thresholds[name] = tuning.tune(name, truth, answers)
        except PromiseError as error:
            tuned.unreachable[name] = str(error)
            continue
        tuned.decisions[name] = tuning.decide(probabilities, tuned.thresholds[name])
    return tuned


def tuned_across_folds(out_of_fold: OutOfFold) -> TunedDecisions:
    """Labels for all of CEDR train, each fold's from thresholds tuned on the other four."""
    tuned = TunedDecisions("the other four folds of CEDR train", {}, {}, {})
    for name in PROFILES:
        try:
            tuned.decisions[name] = tuning.decide_across_folds(
                name, out_of_fold.truth, out_of_fold.probabilities, out_of_fold.fold
            )
        except PromiseError as error:
            tuned.unreachable[name] = str(error)
    return tuned


def measure_out_of_fold(out_of_fold: OutOfFold) -> dict[str, Any]:
    """Figures over all of CEDR train, and `five_folds`: the mean of each fold's own figures, and their spread."""
    figures = measure(out_of_fold.truth, out_of_fold.probabilities, tuned_across_folds(out_of_fold))
    per_fold = [
        evaluate(out_of_fold.truth[out_of_fold.fold == n], out_of_fold.probabilities[out_of_fold.fold == n])["mean"]
        for n in range(5)
    ]
    values = {name: [fold[name] for fold in per_fold] for name in per_fold[0]}
    figures["five_folds"] = {
        "mean": {name: round(float(np.mean(each)), 4) for name, each in values.items()},
        "standard_deviation": {name: round(float(np.std(each, ddof=1)), 4) for name, each in values.items()},
    }
    return figures


def card_metrics(graph: str, truth: Matrix, probabilities: Matrix, out_of_fold: OutOfFold) -> dict[str, dict[str, Any]]:
    """What a card's `metrics` say about quality.

    Args:
        graph: file name of the graph that answered.
        truth: dev's, 0/1, `[rows, 6]`.
        probabilities: the graph's answers to dev's rows, `[rows, 6]`.
        out_of_fold: the run's out-of-fold predictions.
    """
    return {
        f"{DEV}, {graph}": measure(truth, probabilities, tuned_without_dev(out_of_fold, probabilities)),
        f"{ALL_FOLDS}, PyTorch": measure_out_of_fold(out_of_fold),
    }
