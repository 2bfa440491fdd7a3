"""Measures a model on rows: a run or another checkpoint, a published version, or a model that a gateway serves."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.common.command import TrainingError
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source
from training.data.splits.folds import BRIGHTER, FOLDS, brighter_by_fold, held_out_fold
from training.evaluate.predictions import checked_card, predict_checkpoint, predict_version
from training.evaluate.sources import kind_of, served_at
from training.measuring.figures import (
    DEV,
    TunedDecisions,
    measure,
    measure_out_of_fold,
    tuned_across_folds,
    tuned_on_all,
    tuned_without_dev,
    with_thresholds,
)
from training.measuring.metrics import Decisions
from training.measuring.out_of_fold import OutOfFoldSets, out_of_fold_examples
from training.measuring.thresholds import Thresholds, tune
from training.runs.directory import is_cross_validated, read_out_of_fold_sets

ROWS: Final = {
    "dev": DEV,
    "test": "test split of CEDR",
    "out-of-fold": "CEDR train, out of fold",
    "brighter": f"fold 0 of {BRIGHTER}",
    "brighter-test": f"test split of {BRIGHTER}",
}
HELD_OUT: Final = ("dev", "brighter")
"""Rows of fold 0: thresholds that were tuned on all folds have seen them."""


@dataclass(frozen=True)
class Evaluation:
    """One model on one set of rows: `figures` as `training.measuring.figures` describes them.

    `tuned` are the labels by profile, from thresholds tuned on other rows; `thresholds` are these, by profile: one
    set, or each fold's own. Both are empty where there are none.
    """

    model: str
    rows: str
    examples: list[Example]
    probabilities: npt.NDArray[np.float32]
    figures: dict[str, Any]
    tuned: TunedDecisions | None = None
    thresholds: dict[str, list[Thresholds]] = field(default_factory=dict)

    @property
    def decisions(self) -> Decisions:
        """The labels given: by the profile `balanced`, or at 0.5 where there is none; bool `[rows, 6]`."""
        return self.probabilities >= 0.5 if self.tuned is None else self.tuned.decisions["balanced"]

    @property
    def decided_by(self) -> str:
        """What the labels are given by."""
        if self.tuned is None:
            return "at 0.5"
        return f"by the profile balanced, with thresholds from {self.tuned.tuned_on}"


def evaluate_model(
    source: str, rows: str, data_dir: Path | None, model: str | None = None, version: str | None = None
) -> Evaluation:
    """Measure a model.

    Args:
        source: a run or checkpoint, a version directory, or the URL of a gateway.
        rows: a key of `ROWS`.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.
        model: which one, of a gateway's; its default when None.
        version: which one, of a gateway's; the newest when None.

    Raises:
        TrainingError: the model or the rows cannot be had, or a figure is undefined on them.
    """
    kind = kind_of(source, model, version)
    if kind == "gateway":
        return _evaluate_served(source, rows, data_dir, model, version)
    if kind == "version":
        return _evaluate_version(Path(source), rows, data_dir)
    return _evaluate_run(Path(source), rows, data_dir)


def _evaluate_run(run: Path, rows: str, data_dir: Path | None) -> Evaluation:
    if rows == "out-of-fold":
        sets = read_out_of_fold_sets(run)
        examples = out_of_fold_examples(sets["cedr"], data_dir)
        across = tuned_across_folds(sets)
        thresholds = {
            name: [tune(name, {of: each.without(fold) for of, each in sets.items()}) for fold in range(FOLDS)]
            for name in across.decisions
        }
        figures = measure_out_of_fold(sets)
        return Evaluation(f"{run}", ROWS[rows], examples, sets["cedr"].probabilities, figures, across, thresholds)
    examples = _examples(rows, data_dir)
    probabilities = predict_checkpoint(run, examples)
    tuned = _tuned(rows, read_out_of_fold_sets(run), probabilities) if is_cross_validated(run) else None
    return _measured(f"{run}", rows, examples, probabilities, tuned)


def _evaluate_version(directory: Path, rows: str, data_dir: Path | None) -> Evaluation:
    card = checked_card(directory)
    examples = _examples(rows, data_dir)
    probabilities = predict_version(directory, card, examples)
    profiles = {name: profile.model_dump() for name, profile in card.profiles.items()}
    tuned = tuned_by_card(rows, card.metrics, profiles, probabilities)
    return _measured(f"{directory}", rows, examples, probabilities, tuned)


def _evaluate_served(url: str, rows: str, data_dir: Path | None, model: str | None, version: str | None) -> Evaluation:
    examples = _examples(rows, data_dir)
    with served_at(url, model, version) as served:
        probabilities = served.predict([example.text for example in examples])
        tuned = tuned_by_card(rows, served.card["metrics"], served.card["profiles"], probabilities)
        name = f"{served.model} version {served.version}, served at {url}"
    return _measured(name, rows, examples, probabilities, tuned)


def _measured(
    name: str, rows: str, examples: list[Example], probabilities: npt.NDArray[np.float32], tuned: TunedDecisions | None
) -> Evaluation:
    figures = measure(targets(examples), probabilities, tuned)
    thresholds = {profile: [each] for profile, each in tuned.thresholds.items()} if tuned else {}
    return Evaluation(name, ROWS[rows], examples, probabilities, figures, tuned, thresholds)


def _examples(rows: str, data_dir: Path | None) -> list[Example]:
    if rows == "out-of-fold":
        raise TrainingError(
            "only a run trained with --cross-validate has out-of-fold predictions; a finished model has seen"
            " most of these rows: choose dev or test"
        )
    if rows == "brighter":
        examples, fold = brighter_by_fold(data_dir)
        return [example for example, of in zip(examples, fold, strict=True) if of == 0]
    if rows == "dev":
        return held_out_fold(0, data_dir)
    return load_source("cedr" if rows == "test" else BRIGHTER, "test", data_dir)


def _tuned(rows: str, sets: OutOfFoldSets, probabilities: npt.NDArray[np.float32]) -> TunedDecisions:
    return tuned_without_dev(sets, probabilities) if rows in HELD_OUT else tuned_on_all(sets, probabilities)


def tuned_by_card(
    rows: str, metrics: dict[str, Any], profiles: dict[str, Any], probabilities: npt.NDArray[np.float32]
) -> TunedDecisions | None:
    """With the card's thresholds: its profiles', or on rows of fold 0 those that were tuned without it."""
    if rows in HELD_OUT:
        # The profiles' own were tuned on all folds, this one included.
        on_dev = [figures for name, figures in metrics.items() if name.startswith(DEV)]
        profiles = next((figures["profiles"] for figures in on_dev if "profiles" in figures), {})
    known = {name: profile for name, profile in profiles.items() if "thresholds" in profile}
    if "balanced" not in known:
        return None
    thresholds = {name: profile["thresholds"] for name, profile in known.items()}
    tuned_on = known["balanced"].get("tuned_on", "CEDR train, out of fold")
    return with_thresholds(probabilities, thresholds, tuned_on)
