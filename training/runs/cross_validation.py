"""Runs one recipe with each fold of CEDR held out, and leaves a run directory."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.rows.examples import targets
from training.data.splits.folds import FOLDS, held_out_fold
from training.measuring.metrics import evaluate, table
from training.measuring.out_of_fold import OutOfFold
from training.runs.directory import fold_file, read_fold, write_fold, write_metrics, write_out_of_fold

Probabilities = npt.NDArray[np.float32]
Predictions = Sequence[tuple[Probabilities, Probabilities]]
TrainFold = Callable[[int], Probabilities]
"""Trains with a fold held out, keeps what comes of it, and gives probabilities for the fold's rows, `[rows, 6]`."""


def checkpoint_directory(run: Path, fold: int) -> Path:
    """Where a run keeps the checkpoint that never saw a fold: fold 0's, the dev split's, in the run itself."""
    return run if fold == 0 else run / f"fold{fold}"


def cross_validate(
    train_fold: TrainFold, folds: Sequence[int], run: Path, data_dir: Path | None, recipe: dict[str, Any]
) -> None:
    """Run `train_fold` for every fold that is not done yet; when the folds asked for and fold 0 are, write the figures.

    Args:
        train_fold: what to do.
        folds: 0 is the dev split.
        run: the run directory.
        data_dir: local data sets; the hub when None.
        recipe: how the run is made, for the card.
    """
    for fold in folds:
        if fold_file(run, fold).exists():
            print(f"fold {fold} is done already", flush=True)
        else:
            write_fold(run, fold, targets(held_out_fold(fold, data_dir)), train_fold(fold))
    done = [fold for fold in range(FOLDS) if fold_file(run, fold).exists()]
    if done == list(range(FOLDS)) or list(folds) == [0]:
        write_figures(run, recipe, [read_fold(run, fold) for fold in (done if len(done) == FOLDS else [0])])
    else:
        missing = ", ".join(str(fold) for fold in range(FOLDS) if fold not in done)
        print(f"folds {missing} are not done yet; the last one writes the figures", flush=True)


def write_figures(
    run: Path, recipe: dict[str, Any], predictions: Sequence[tuple[Probabilities, Probabilities]]
) -> None:
    """Print and write what a run is worth.

    Args:
        run: the run directory.
        recipe: how it was made.
        predictions: truth and probabilities of each fold's rows, `[rows, 6]` each, fold 0 first; of fold 0
            alone or of all.
    """
    figures = [evaluate(truth, probabilities) for truth, probabilities in predictions]
    print("dev split (fold 0 of CEDR):\n" + table(figures[0]), flush=True)
    written: dict[str, Any] = {"recipe": recipe, "dev": figures[0]}
    if len(predictions) == FOLDS:
        written["five_folds"] = {
            name: round(float(np.mean([fold["mean"][name] for fold in figures])), 4) for name in figures[0]["mean"]
        }
        print(f"five folds, mean: {written['five_folds']}")
        joined = OutOfFold.joined([truth for truth, _ in predictions], [answers for _, answers in predictions])
        write_out_of_fold(run, joined)
    write_metrics(run, written)
    print(f"the run is in {run}", flush=True)
