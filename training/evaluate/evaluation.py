"""Measures a model on rows: a run or another checkpoint, a published version, or a model that a gateway serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.common.command import TrainingError
from training.data.cleaning.steps import clean
from training.data.rows.combinations import CEDR, home_of
from training.data.rows.examples import Example, rows_digest, targets
from training.data.rows.own import is_own, short_name
from training.data.splits.folds import BRIGHTER, FOLDS, with_folds
from training.evaluate.predictions import checked_card, predict_checkpoint, predict_version
from training.evaluate.rows import dataset_of_rows, held_out, measured, name_of, rows_examples, rows_title, split_of
from training.evaluate.sources import kind_of, served_at
from training.measuring.figures import (
    TunedDecisions,
    dev_figures,
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
from training.runs.directory import (
    check_measured_on,
    check_same_rows,
    dataset_of,
    is_cross_validated,
    read_metrics,
    read_out_of_fold_sets,
)
from training.runs.learned import START, START_HELD_OUT, TEST, is_among


@dataclass(frozen=True)
class Evaluation:
    """One model on one set of rows: `figures` as `training.measuring.figures` describes them.

    `measured_on` names the rows by data set, split, number and digest. `tuned` are the labels by profile, from
    thresholds tuned on other rows; `thresholds` are these, by profile: one set, or each fold's own. Both are empty
    where there are none.
    """

    model: str
    rows: str
    examples: list[Example]
    probabilities: npt.NDArray[np.float32]
    figures: dict[str, Any]
    measured_on: dict[str, Any]
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
        rows: as `training.evaluate.rows` names them.
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
    home, name = short_name(home_of(dataset_of(run))), name_of(rows)
    if split_of(rows) == "out-of-fold":
        if home != name:
            raise TrainingError(f"{run} has out-of-fold predictions of {home}, not of {name}: name its --dataset")
        sets = read_out_of_fold_sets(run)
        kept = sets[name]
        examples = out_of_fold_examples(kept, data_dir, dataset_of_rows(rows))
        check_measured_on(run, "out_of_fold", examples)
        across = tuned_across_folds(sets, name)
        thresholds = {
            profile: [tune(profile, {of: each.without(fold) for of, each in sets.items()}) for fold in range(FOLDS)]
            for profile in across.decisions
        }
        figures, on = measure_out_of_fold(sets, name), measured(rows, examples)
        return Evaluation(f"{run}", rows_title(rows), examples, kept.probabilities, figures, on, across, thresholds)
    examples = rows_examples(rows, data_dir)
    if home == name and split_of(rows) == "dev":
        check_measured_on(run, "dev", examples)
    recipe = read_metrics(run).get("recipe", {})
    _check_test_unseen(recipe, rows, examples, data_dir, f"{run}")
    _check_start_unseen(recipe, rows, examples, f"{run}")
    probabilities = predict_checkpoint(run, examples)
    tuned = _tuned(rows, read_out_of_fold_sets(run), probabilities) if is_cross_validated(run) else None
    return _measured(f"{run}", rows, examples, probabilities, tuned)


def _evaluate_version(directory: Path, rows: str, data_dir: Path | None) -> Evaluation:
    card = checked_card(directory)
    examples = rows_examples(rows, data_dir)
    check_card_of(card.metrics, rows, examples, str(directory))
    _check_test_unseen(card.training, rows, examples, data_dir, f"{directory}")
    _check_start_unseen(card.training, rows, examples, f"{directory}")
    probabilities = predict_version(directory, card, examples)
    profiles = {name: profile.model_dump() for name, profile in card.profiles.items()}
    tuned = tuned_by_card(rows, card.metrics, profiles, probabilities)
    return _measured(f"{directory}", rows, examples, probabilities, tuned)


def _evaluate_served(url: str, rows: str, data_dir: Path | None, model: str | None, version: str | None) -> Evaluation:
    examples = rows_examples(rows, data_dir)
    with served_at(url, model, version) as served:
        check_card_of(served.card["metrics"], rows, examples, f"{served.model} version {served.version}")
        probabilities = served.predict([example.text for example in examples])
        tuned = tuned_by_card(rows, served.card["metrics"], served.card["profiles"], probabilities)
        name = f"{served.model} version {served.version}, served at {url}"
    return _measured(name, rows, examples, probabilities, tuned)


def _measured(
    name: str, rows: str, examples: list[Example], probabilities: npt.NDArray[np.float32], tuned: TunedDecisions | None
) -> Evaluation:
    figures = measure(targets(examples), probabilities, tuned)
    thresholds = {profile: [each] for profile, each in tuned.thresholds.items()} if tuned else {}
    on = measured(rows, examples)
    return Evaluation(name, rows_title(rows), examples, probabilities, figures, on, tuned, thresholds)


def check_card_of(metrics: dict[str, Any], rows: str, examples: list[Example], version: str) -> None:
    """That dev's rows are those that a version's card has figures of, where these have a digest and the same name.

    Raises:
        TrainingError: they are others.
    """
    kept = dev_figures(metrics).get("measured_on")
    if kept and split_of(rows) == "dev" and kept["dataset"] == name_of(rows):
        check_same_rows(kept, examples, f"the dev rows of {version}")


def _check_test_unseen(
    recipe: Mapping[str, Any], rows: str, examples: list[Example], data_dir: Path | None, model: str
) -> None:
    """That an own test split was held out when a model was trained, or has none of the rows that there are beside it.

    Raises:
        TrainingError: it was not there then, or another one, and has some of them.
    """
    if split_of(rows) != "test" or TEST not in recipe or short_name(recipe["dataset"]) != name_of(rows):
        return
    if recipe[TEST] != rows_digest(examples):
        others, folds = with_folds(dataset_of_rows(rows), data_dir)
        trained = [row for row, fold in zip(others, folds, strict=True) if fold]  # fold 0 was held out
        steps = clean(trained, {"test": examples}).steps
        if seen := sum(len(step.touched) for step in steps if step.name.endswith("leaks into test")):
            raise TrainingError(
                f"{model} was trained when this test split was not there, or another one, and {seen} of the rows of"
                " train are in it, or nearly the same: the model may have seen them. Take these out of test, or train"
                " again"
            )


def _check_start_unseen(recipe: Mapping[str, Any], rows: str, examples: list[Example], model: str) -> None:
    """That an own dev split is not of rows that a model's start has learned.

    Raises:
        TrainingError: it is another one than the start held out.
    """
    name = name_of(rows)
    if split_of(rows) != "dev" or not is_own(dataset_of_rows(rows)) or not is_among(name, recipe.get(START, [])):
        return
    if recipe.get(START_HELD_OUT, {}).get(name) != rows_digest(examples):
        raise TrainingError(
            f"what {model} was made from was trained on {name}, and is not known to have held out the rows that are its"
            " dev split now: they may have been trained on. Measure it on --rows test"
        )


def _tuned(rows: str, sets: OutOfFoldSets, probabilities: npt.NDArray[np.float32]) -> TunedDecisions:
    seen = held_out(rows) and name_of(rows) in sets
    return tuned_without_dev(sets, probabilities) if seen else tuned_on_all(sets, probabilities)


def tuned_by_card(
    rows: str, metrics: dict[str, Any], profiles: dict[str, Any], probabilities: npt.NDArray[np.float32]
) -> TunedDecisions | None:
    """With the card's thresholds: its profiles', or on rows of fold 0 those tuned without it, if there are any."""
    on_dev = dev_figures(metrics)
    if held_out(rows) and name_of(rows) in (on_dev.get("measured_on", {}).get("dataset", CEDR), BRIGHTER):
        # The profiles' own were tuned on all folds, this one included.
        profiles = on_dev.get("profiles", {})
    known = {name: profile for name, profile in profiles.items() if "thresholds" in profile}
    if "balanced" not in known:
        return None
    thresholds = {name: profile["thresholds"] for name, profile in known.items()}
    tuned_on = known["balanced"].get("tuned_on", "CEDR train, out of fold")
    # A checkpoint from elsewhere was tuned on a split that a person named: fold 0 is one, or a part of one.
    if held_out(rows) and tuned_on in [f"{name_of(rows)} {split}" for split in ("train", "dev")]:
        return None
    return with_thresholds(probabilities, thresholds, tuned_on)
