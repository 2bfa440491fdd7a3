"""The life of a run: begun, trained with one fold after another held out, resumed, finished.

The folds are CEDR's, or those of the user's own rows that the run is trained on.

Either way of training is a `Trainer`: `training.train` and the commands of `training.scratch`.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from training.common.command import main_process
from training.data.rows.examples import Example, measured_rows, rows_digest, targets
from training.data.rows.own import is_own, short_name
from training.data.splits.folds import BRIGHTER, FOLDS, by_fold, held_out_fold, own_test_split
from training.measuring.metrics import evaluate, table
from training.measuring.out_of_fold import OutOfFold
from training.runs.directory import (
    Probabilities,
    checkpoint_directory,
    fold_file,
    read_fold,
    write_fold,
    write_metrics,
    write_out_of_fold,
)
from training.runs.learned import START, START_HELD_OUT, TEST, held_out_by, learned_by
from training.runs.origin import check_folds, record_fold, seal
from training.runs.record import Record, begun, check, full_disk_explained
from training.runs.settings import FoldSettings
from training.runs.tracking import Tracker, tracked


@dataclass(frozen=True)
class Fold:
    """A fold to hold out. `held_out` are its rows, as they were published; 0 is the dev split.

    `elsewhere` are the rows of BRIGHTER's Russian part that are held out with it, if the run holds any out. `tracker`
    takes figures, where they are wanted.
    """

    number: int
    held_out: list[Example]
    run: Path
    elsewhere: list[Example] = field(default_factory=list)
    tracker: Tracker | None = None

    @property
    def texts(self) -> list[str]:
        """The texts that must not be trained on, and that are predicted: the home's, then those from elsewhere."""
        return [example.text for example in [*self.held_out, *self.elsewhere]]

    @property
    def checkpoint(self) -> Path:
        """Where the checkpoint that never saw the fold stays."""
        return checkpoint_directory(self.run, self.number)

    @property
    def unfinished(self) -> Path:
        """Where to keep what an interrupted training goes on from; removed when the fold is done."""
        return self.run / f"checkpoints_fold{self.number}"


class Trainer(Protocol):
    """Fits one encoder to a fold's training rows, from the same start for each, and predicts the held-out rows.

    `record` is all that must be the same when the run goes on, `recipe` what the card says of how it was made.
    """

    record: Record
    recipe: dict[str, Any]

    def train_fold(self, fold: Fold) -> Probabilities:
        """Train, keep the checkpoint; probabilities of the fold's texts, float32 `[texts, 6]`."""
        ...


def train_run(settings: FoldSettings, make_trainer: Callable[[], Trainer]) -> None:
    """Begin a run or go on with it; when all its folds are done, write its figures.

    Args:
        settings: of the run.
        make_trainer: loads what the trainer needs. Where it fails, no folder is left.

    Raises:
        TrainingError: the folder, the data, the disk or the trainer's own needs don't allow it.
    """
    if not main_process():
        trainer = make_trainer()
        with full_disk_explained(settings.folder):
            _train_folds(settings, trainer, None)
        return
    check(settings, {"recipe": settings.recipe})
    trainer = make_trainer()
    known: dict[str, Any] = {}
    if settings.checkpoint and (names := learned_by(settings.checkpoint)):
        known |= {START: names, START_HELD_OUT: held_out_by(settings.checkpoint)}
    if is_own(settings.home):
        test = own_test_split(settings.home, settings.data_dir)
        known[TEST] = None if test is None else rows_digest(test)
    with begun(settings, trainer.record), tracked(settings, trainer.record) as tracker:
        _train_folds(settings, trainer, tracker)
        _finish(settings, {**trainer.recipe, **known})


def _train_folds(settings: FoldSettings, trainer: Trainer, tracker: Tracker | None) -> None:
    run = settings.folder
    for number in settings.folds:
        if fold_file(run, number).exists():
            if main_process():
                print(f"fold {number} is done already", flush=True)
            continue
        held_out = held_out_fold(number, settings.data_dir, settings.home)
        fold = Fold(number, held_out, run, settings.elsewhere(number), tracker)
        probabilities = trainer.train_fold(fold)
        if main_process():
            if fold.elsewhere:
                own = len(fold.held_out)
                write_fold(run, number, targets(fold.elsewhere), probabilities[own:], BRIGHTER)
                probabilities = probabilities[:own]
            write_fold(run, number, targets(fold.held_out), probabilities)
            record_fold(run, number, fold.checkpoint)
            if tracker is not None:
                of_fold = evaluate(targets(fold.held_out), probabilities)["mean"]
                tracker.log({f"fold{number}.{name}": value for name, value in of_fold.items()}, 0)
            if fold.unfinished.exists():
                shutil.rmtree(fold.unfinished)


def _finish(settings: FoldSettings, recipe: dict[str, Any]) -> None:
    """Print and write what the run is worth: over all folds where they are done, or on the dev split alone."""
    run = settings.folder
    missing = [fold for fold in range(FOLDS) if not fold_file(run, fold).exists()]
    if missing and list(settings.folds) != [0]:
        print(f"folds {', '.join(map(str, missing))} are not done yet; the last one writes the figures", flush=True)
        return
    done = [0] if missing else list(range(FOLDS))
    known = check_folds(run, done)
    predictions = [read_fold(run, fold) for fold in done]
    figures = [evaluate(truth, probabilities) for truth, probabilities in predictions]
    home = short_name(settings.home)
    examples, fold = by_fold(settings.home, settings.data_dir)
    dev = measured_rows(home, "dev", examples[: int((fold == 0).sum())])
    print(f"dev split (fold 0 of {home}, {dev['rows']} rows):\n" + table(figures[0]), flush=True)
    written: dict[str, Any] = {"recipe": recipe, "dev": figures[0], "measured_on": {"dev": dev}}
    if not missing:
        written["five_folds"] = {
            name: round(float(np.mean([fold["mean"][name] for fold in figures])), 4) for name in figures[0]["mean"]
        }
        print(f"five folds, mean: {written['five_folds']}")
        truths, probabilities = zip(*predictions, strict=True)
        write_out_of_fold(run, OutOfFold.joined(truths, probabilities))
        written["measured_on"]["out_of_fold"] = measured_rows(home, "all folds", examples)
        if fold_file(run, 0, BRIGHTER).exists():
            truths, probabilities = zip(*(read_fold(run, fold, BRIGHTER) for fold in range(FOLDS)), strict=True)
            elsewhere = OutOfFold.joined(truths, probabilities)
            write_out_of_fold(run, elsewhere, BRIGHTER)
            rows, _ = by_fold(BRIGHTER, settings.data_dir)
            written["measured_on"][f"out_of_fold_{BRIGHTER}"] = measured_rows(BRIGHTER, "all folds", rows)
            written["five_folds_brighter"] = evaluate(elsewhere.truth, elsewhere.probabilities)["mean"]
            print(f"BRIGHTER, all folds together: {written['five_folds_brighter']}")
    write_metrics(run, written)
    seal(run, known)
    print(f"the run is in {run}", flush=True)
