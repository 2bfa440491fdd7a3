"""The texts behind a run's out-of-fold predictions."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.common.command import TrainingError
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source
from training.data.splits.folds import fold_of_each
from training.runs.directory import OutOfFold


def cedr_by_fold(data_dir: Path | None) -> tuple[list[Example], npt.NDArray[np.int64]]:
    """CEDR train's rows, all of fold 0 first, each fold in CEDR's order; and the fold of each."""
    cedr = load_source("cedr", "train", data_dir)
    fold = fold_of_each(cedr)
    order = np.argsort(fold, kind="stable")
    return [cedr[row] for row in order], fold[order]


def out_of_fold_examples(kept: OutOfFold, data_dir: Path | None) -> list[Example]:
    """The rows that out-of-fold predictions are of, in the same order.

    Raises:
        TrainingError: the predictions were made on other data, by their folds or their labels.
    """
    examples, fold = cedr_by_fold(data_dir)
    if not np.array_equal(kept.fold, fold) or not np.array_equal(kept.truth, targets(examples)):
        raise TrainingError(
            "the run's out-of-fold predictions are not of this CEDR train split: its rows or labels differ."
            " Name the data it was trained on with --data-dir, or train it again with --cross-validate"
        )
    return examples
