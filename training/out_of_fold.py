"""The texts behind a run's out-of-fold predictions."""

from pathlib import Path

import numpy as np

from training.command import TrainingError
from training.data import Example, targets
from training.folds import FOLDS, held_out_fold
from training.run_directory import OutOfFold


def out_of_fold_examples(kept: OutOfFold, data_dir: Path | None) -> list[Example]:
    """CEDR train's rows in the order of the predictions: all of fold 0 first, each in CEDR's order.

    Raises:
        TrainingError: the predictions were made on other data, by their folds or their labels.
    """
    examples, fold = [], []
    for number in range(FOLDS):
        held_out = held_out_fold(number, data_dir)
        examples += held_out
        fold += [number] * len(held_out)
    if not np.array_equal(kept.fold, fold) or not np.array_equal(kept.truth, targets(examples)):
        raise TrainingError(
            "the run's out-of-fold predictions are not of this CEDR train split: its rows or labels differ."
            " Name the data it was trained on with --data-dir, or train it again with --cross-validate"
        )
    return examples
