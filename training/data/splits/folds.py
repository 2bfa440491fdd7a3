"""The folds of CEDR and of BRIGHTER's Russian rows. CEDR's first one is the dev split, as in published results."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from training.common.command import TrainingError
from training.data.cleaning.decontamination import HeldOutTexts
from training.data.rows.examples import Example
from training.data.rows.loading import load_source, training_splits

FOLDS: Final = 5
BRIGHTER: Final = "brighter_rus"


def fold_of_each(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    """The fold, 0 to 4, that holds each example; int64 `[examples]`.

    Stratified on the rarest label a row has, unshuffled: fold 0 is the dev split that the
    published results for these encoders were measured on.
    """
    from sklearn.model_selection import StratifiedKFold  # Imported here: settings name folds, and it takes a second.

    counts = Counter(label for example in examples for label in example.labels)
    rarest = [min(e.labels, key=lambda label: (counts[label], label)) for e in examples]
    folds = np.empty(len(examples), dtype=np.int64)
    splitter = StratifiedKFold(FOLDS)
    try:
        for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(examples)), rarest)):
            folds[held_out] = fold
    except ValueError as error:
        raise TrainingError(f"the data cannot be split into {FOLDS} folds: {error}") from error
    return folds


def held_out_fold(fold: int, data_dir: Path | None) -> list[Example]:
    """The rows of one fold of CEDR train, untouched."""
    cedr = load_source("cedr", "train", data_dir)
    return [example for example, of in zip(cedr, fold_of_each(cedr), strict=True) if of == fold]


def cedr_by_fold(data_dir: Path | None) -> tuple[list[Example], npt.NDArray[np.int64]]:
    """CEDR train's rows, all of fold 0 first, each fold in CEDR's order; and the fold of each."""
    return _by_fold(load_source("cedr", "train", data_dir))


def brighter_by_fold(data_dir: Path | None) -> tuple[list[Example], npt.NDArray[np.int64]]:
    """The rows of brighter_rus that may be trained on, train before dev, all of fold 0 first; and the fold of each.

    Left out are rows that are also CEDR's, or nearly: a model that holds out a fold of both may have trained on them.
    A text may stand in two folds, spelled differently: who holds a fold out takes its near-duplicates out of training.

    Raises:
        TrainingError: the data cannot be loaded, or split into folds.
    """
    cedr = HeldOutTexts(example.text for example in load_source("cedr", "train", data_dir))
    splits = [load_source(BRIGHTER, split, data_dir) for split in training_splits(BRIGHTER, data_dir)]
    return _by_fold([row for split in splits for row in split if not cedr.overlap(row.text)])


def _by_fold(examples: list[Example]) -> tuple[list[Example], npt.NDArray[np.int64]]:
    fold = fold_of_each(examples)
    order = np.argsort(fold, kind="stable")
    return [examples[row] for row in order], fold[order]


BY_FOLD: Final = {"cedr": cedr_by_fold, BRIGHTER: brighter_by_fold}
"""The data sets whose folds are held out, by name."""
