"""Thresholds for a checkpoint that was trained elsewhere: tuned on rows that the person names, or 0.5."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from contract.labels import EMOTIONS
from contract.version_directory import CPU_GRAPH, Profile, Reference
from training.common.command import TrainingError
from training.data.cleaning.decontamination import without_overlap
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source, training_splits
from training.data.rows.sources import SOURCES
from training.data.splits.folds import fold_of_each, held_out_fold
from training.encoder.classifier import encode
from training.encoder.tokenizer import load_tokenizer
from training.export.checkpoint import Exported
from training.export.gate.checks import run_in_batches
from training.export.graphs.runtime import session
from training.measuring.figures import DEV, measure, tuned_without_dev, with_thresholds
from training.measuring.out_of_fold import OutOfFold
from training.measuring.profiles import costs, tune_profiles
from training.measuring.thresholds import PROFILES
from training.publish.elsewhere.checkpoint import Elsewhere
from training.publish.reference import describe

_NAMED: Final = re.compile(r"(?P<dataset>.+?)(?::(?P<split>train|dev|test))?")
_BATCH: Final = 32
_HALF: Final = 0.5
UNTUNED: Final = "no rows: every threshold is 0.5"


@dataclass(frozen=True)
class NamedRows:
    """Rows that thresholds are tuned on; `name` is what a card calls them."""

    name: str
    dataset: str
    split: str
    examples: list[Example]
    left_out: int

    @property
    def hold_dev(self) -> bool:
        """Whether dev's own rows, fold 0 of CEDR train, are among them."""
        return (self.dataset, self.split) == ("cedr", "train")


@dataclass(frozen=True)
class Tuned:
    """Profiles, why others cannot be had, what a card's `metrics` say of quality, sentences for its limits, and what
    the rows are like that the thresholds come from, if they come from any."""

    profiles: dict[str, Profile]
    unreachable: dict[str, str]
    metrics: dict[str, Any]
    limits: list[str]
    reference: Reference | None = None


def read_named_rows(named: str, checkpoint: Elsewhere, data_dir: Path | None) -> NamedRows:
    """The rows to tune on, those of CEDR's dev split and of the behaviour suite left out.

    Args:
        named: `NAME` or `NAME:SPLIT`; the split is dev unless given.
        checkpoint: that must not have been trained on them, as far as that is known.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.

    Raises:
        TrainingError: there are no such rows, it was trained on them, or they are a test split.
    """
    found = _NAMED.fullmatch(named)
    if found is None:
        raise TrainingError(f"--tune-on {named!r}: name rows as NAME or NAME:SPLIT")
    dataset, split = found["dataset"], found["split"]
    name = dataset.partition("=")[0]
    if split == "test":
        raise TrainingError(f"--tune-on {named}: a test split is for a finished model's last figures; name another")
    if checkpoint.trained_on(name):
        raise TrainingError(
            f"{checkpoint.name} was trained on {name}: thresholds tuned there would be too good. Name rows that it has"
            " not seen, or leave --tune-on out for thresholds of 0.5"
        )
    if dataset not in SOURCES and "=" not in dataset:
        raise TrainingError(f"no data set named {dataset!r}; there are: {', '.join(SOURCES)}")
    if split is None:
        splits = training_splits(dataset, data_dir)
        if "dev" not in splits:
            raise TrainingError(
                f"{name} has no dev split, but {', '.join(splits) or 'none to tune on'}: name one with --tune-on"
                f" {dataset}:train if the model was not trained on it"
            )
        split = "dev"
    examples = load_source(dataset, split, data_dir)
    left_out = 0
    if (name, split) != ("cedr", "train"):
        dev = [example.text for example in held_out_fold(0, data_dir)]
        kept = set(without_overlap([example.text for example in examples], dev))
        left_out = sum(example.text not in kept for example in examples)
        examples = [example for example in examples if example.text in kept]
    return NamedRows(f"{name} {split}", name, split, examples, left_out)


def untuned(exported: Exported) -> Tuned:
    """The profile `balanced` with 0.5 for every emotion; what it costs is measured on dev."""
    thresholds = dict.fromkeys(EMOTIONS, _HALF)
    decided = with_thresholds(exported.probabilities, {"balanced": thresholds}, UNTUNED)
    balanced = Profile(
        purpose="0.5 for every emotion, tuned on nothing",
        thresholds=thresholds,
        tuned_on=UNTUNED,
        costs=costs(exported.truth, decided.decisions["balanced"]),
        measured_on=f"{DEV}, {CPU_GRAPH}",
    )
    others = [name for name in PROFILES if name != "balanced"]
    return Tuned(
        {"balanced": balanced},
        dict.fromkeys(others, "its thresholds need rows to tune on (--tune-on), and none were named"),
        {f"{DEV}, {CPU_GRAPH}": measure(exported.truth, exported.probabilities, decided)},
        ["Its thresholds are 0.5, tuned on nothing."],
    )


def tuned_on_rows(directory: Path, exported: Exported, rows: NamedRows) -> Tuned:
    """Every profile that can be had, tuned on named rows with the graph that is served.

    What a profile costs is measured on each fifth of the rows with thresholds from the others, and its figures on dev
    with thresholds that have not seen dev.

    Args:
        directory: the staged version: its CPU graph and tokenizer.
        exported: what is known of them.
        rows: see `read_named_rows`.

    Raises:
        TrainingError: there are too few rows of some emotion.
    """
    tokens = encode([example.text for example in rows.examples], load_tokenizer(str(directory)))
    graph = session(directory / CPU_GRAPH)
    answers = run_in_batches(graph, tokens, _BATCH, np.arange(len(tokens)))
    predicted = {rows.name: OutOfFold(targets(rows.examples), answers, fold_of_each(rows.examples))}
    profiles, unreachable = tune_profiles(predicted)
    decided = (
        tuned_without_dev(predicted, exported.probabilities)
        if rows.hold_dev
        else with_thresholds(
            exported.probabilities, {name: profile.thresholds for name, profile in profiles.items()}, rows.name
        )
    )
    on_dev = measure(exported.truth, exported.probabilities, decided)
    # Every row there took part in tuning.
    at_half = measure(predicted[rows.name].truth, predicted[rows.name].probabilities)
    measured_on = f"{rows.name}, {CPU_GRAPH}, each fifth with thresholds from the others"
    return Tuned(
        {
            name: profile.model_copy(update={"tuned_on": rows.name, "measured_on": measured_on})
            for name, profile in profiles.items()
        },
        unreachable,
        {f"{DEV}, {CPU_GRAPH}": on_dev, f"{rows.name}, {CPU_GRAPH}": at_half},
        [
            f"Its thresholds were tuned on {len(rows.examples):,} rows of {rows.name}"
            + (f", without {rows.left_out:,} that are dev's or the behaviour suite's" if rows.left_out else "")
            + "; that it was not trained on these is not known for certain."
        ],
        describe(
            f"{rows.name}, {CPU_GRAPH}", [example.text for example in rows.examples], answers, directory, exported.shape
        ),
    )
