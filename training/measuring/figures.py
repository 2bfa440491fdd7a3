"""All figures of one set of predictions: at 0.5, at thresholds tuned on other rows, with intervals.

`metrics.json` of an evaluation and `metrics` of a card hold the same object:

- `measured_on`, on a card: data set, split, number and digest of the rows;
- `rows`, `threshold`, `mean` and one entry per emotion, from `training.measuring.metrics.evaluate`;
- `intervals_95`: `[low, high]` of each of them, from `training.measuring.bootstrap`;
- `tuned`: `tuned_on`, and `mean` and one entry per emotion with F1, precision and recall of the
  profile `balanced`, whose thresholds come from other rows; only where there are any;
- `profiles`: what each profile buys and costs on these rows (`costs`), `thresholds` where one set
  was used for all rows, or why the profile cannot be had (`unreachable`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from contract.labels import EMOTIONS
from training.data.splits.folds import FOLDS
from training.measuring.bootstrap import intervals
from training.measuring.metrics import Decisions, Matrix, evaluate, evaluate_decisions
from training.measuring.out_of_fold import OutOfFoldSets, rows_of
from training.measuring.profiles import costs
from training.measuring.thresholds import PROFILES, PromiseError, Thresholds, decide, decide_across_folds, tune

DEV: Final = "dev (fold 0 of CEDR train)"


def dev_of(dataset: str) -> str:
    """What the dev split of a data set is called: CEDR's, or that of own rows, by its name."""
    return f"dev (fold 0 of {rows_of([dataset])})"


def dev_figures(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a card's metrics, those of the dev split of its home; nothing where it has none."""
    return next((figures for name, figures in metrics.items() if name.startswith("dev (fold 0 of ")), {})


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
    by_emotion = costs(truth, tuned.decisions[name])
    return {**profile, "costs": {emotion: by_emotion[emotion].model_dump() for emotion in EMOTIONS}}


def with_thresholds(probabilities: Matrix, thresholds: dict[str, Thresholds], tuned_on: str) -> TunedDecisions:
    """Labels from known thresholds; a profile that is not among them counts as unreachable."""
    missing = {name: "it had no thresholds" for name in PROFILES if name not in thresholds}
    decisions = {name: decide(probabilities, values) for name, values in thresholds.items()}
    return TunedDecisions(tuned_on, decisions, thresholds, missing)


def tuned_without_dev(sets: OutOfFoldSets, probabilities: Matrix) -> TunedDecisions:
    """Labels for dev's rows (or others that no fold holds), from thresholds tuned on folds 1 to 4."""
    rest = {name: each.without(0) for name, each in sets.items()}
    return _tuned_on(rest, probabilities, f"folds 1 to 4 of {rows_of(sets)}")


def tuned_on_all(sets: OutOfFoldSets, probabilities: Matrix) -> TunedDecisions:
    """Labels for rows outside these sets, from thresholds tuned on all of them."""
    return _tuned_on(sets, probabilities, f"{rows_of(sets)}, out of fold")


def _tuned_on(sets: OutOfFoldSets, probabilities: Matrix, tuned_on: str) -> TunedDecisions:
    tuned = TunedDecisions(tuned_on, {}, {}, {})
    for name in PROFILES:
        try:
            tuned.thresholds[name] = tune(name, sets)
        except PromiseError as error:
            tuned.unreachable[name] = str(error)
            continue
        tuned.decisions[name] = decide(probabilities, tuned.thresholds[name])
    return tuned


def tuned_across_folds(sets: OutOfFoldSets, dataset: str = "cedr") -> TunedDecisions:
    """Labels for all rows of a data set, each fold's from thresholds tuned on the other four of all sets."""
    tuned = TunedDecisions(f"the other four folds of {rows_of(sets)}", {}, {}, {})
    for name in PROFILES:
        try:
            tuned.decisions[name] = decide_across_folds(name, sets)[dataset]
        except PromiseError as error:
            tuned.unreachable[name] = str(error)
    return tuned


def measure_out_of_fold(sets: OutOfFoldSets, dataset: str = "cedr") -> dict[str, Any]:
    """Figures over all rows of a data set, and `five_folds`: the mean of each fold's own figures, and their spread."""
    rows = sets[dataset]
    figures = measure(rows.truth, rows.probabilities, tuned_across_folds(sets, dataset))
    per_fold = [evaluate(fold.truth, fold.probabilities)["mean"] for fold in map(rows.only, range(FOLDS))]
    values = {name: [fold[name] for fold in per_fold] for name in per_fold[0]}
    figures["five_folds"] = {
        "mean": {name: round(float(np.mean(each)), 4) for name, each in values.items()},
        "standard_deviation": {name: round(float(np.std(each, ddof=1)), 4) for name, each in values.items()},
    }
    return figures


def card_metrics(
    graph: str, truth: Matrix, probabilities: Matrix, sets: OutOfFoldSets, rows: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What a card's `metrics` say about quality.

    Args:
        graph: file name of the graph that answered.
        truth: dev's, 0/1, `[rows, 6]`.
        probabilities: the graph's answers to dev's rows, `[rows, 6]`.
        sets: the run's out-of-fold predictions; dev is of the first one.
        rows: what names the rows of each set, and those of `dev`, as `training.data.rows.examples.measured_rows` does.
    """
    dev = measure(truth, probabilities, tuned_without_dev(sets, probabilities))
    return {
        f"{dev_of(next(iter(sets)))}, {graph}": {"measured_on": rows["dev"], **dev},
        **{
            f"five folds of {rows_of([name])}, out of fold, PyTorch": {
                "measured_on": rows[name],
                **measure_out_of_fold(sets, name),
            }
            for name in sets
        },
    }
