"""The folds of CEDR, of BRIGHTER's Russian rows, and of own rows. The first one is the dev split.

CEDR's is that of published results. Own rows that come with a dev file have it as fold 0, and train as folds 1 to 4.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from training.common.command import TrainingError
from training.data.cleaning.decontamination import HeldOutTexts
from training.data.rows.combinations import CEDR, home_of
from training.data.rows.examples import Example
from training.data.rows.loading import is_there, load_source, training_splits
from training.data.rows.own import is_own

FOLDS: Final = 5
BRIGHTER: Final = "brighter_rus"


def fold_of_each(examples: Sequence[Example], count: int = FOLDS) -> npt.NDArray[np.int64]:
    """The fold, 0 to 4 (or fewer), that holds each example; int64 `[examples]`.

    Stratified on the rarest label a row has, unshuffled: fold 0 is the dev split that the
    published results for these encoders were measured on.
    """
    from sklearn.model_selection import StratifiedKFold  # Imported here: settings name folds, and it takes a second.

    counts = Counter(label for example in examples for label in example.labels)
    rarest = [min(e.labels, key=lambda label: (counts[label], label)) for e in examples]
    folds = np.empty(len(examples), dtype=np.int64)
    splitter = StratifiedKFold(count)
    try:
        for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(examples)), rarest)):
            folds[held_out] = fold
    except ValueError as error:
        raise TrainingError(f"the data cannot be split into {count} folds: {error}") from error
    return folds


def with_folds(dataset: str, data_dir: Path | None) -> tuple[list[Example], npt.NDArray[np.int64]]:
    """The rows whose folds are held out for a training set, in the order of their files, and the fold of each.

    Raises:
        TrainingError: the data cannot be loaded, or split into folds.
    """
    home = home_of(dataset)
    train = load_source(home, "train", data_dir)
    if not (is_own(home) and "dev" in training_splits(home, data_dir)):
        return train, fold_of_each(train)
    dev = load_source(home, "dev", data_dir)
    return [*dev, *train], np.concatenate([np.zeros(len(dev), dtype=np.int64), 1 + fold_of_each(train, FOLDS - 1)])


def held_out_fold(fold: int, data_dir: Path | None, dataset: str = CEDR) -> list[Example]:
    """The rows of one fold of a training set, untouched."""
    examples, folds = with_folds(dataset, data_dir)
    return [example for example, of in zip(examples, folds, strict=True) if of == fold]


def own_test_split(dataset: str, data_dir: Path | None) -> list[Example] | None:
    """The test split of own rows, which is never trained on; None where there is none, or the rows are CEDR's."""
    home = home_of(dataset)
    return load_source(home, "test", data_dir) if is_own(home) and is_there(home, "test", data_dir) else None


def brighter_by_fold(data_dir: Path | None) -> tuple[list[Example], npt.NDArray[np.int64]]:
    """The rows of brighter_rus that may be trained on, train before dev, all of fold 0 first; and the fold of each.

    Left out are rows that are also CEDR's, or nearly: a model that holds out a fold of both may have trained on them.
    A text may stand in two folds, spelled differently: who holds a fold out takes its near-duplicates out of training.

    Raises:
        TrainingError: the data cannot be loaded, or split into folds.
    """
    cedr = HeldOutTexts(example.text for example in load_source("cedr", "train", data_dir))
    splits = [load_source(BRIGHTER, split, data_dir) for split in training_splits(BRIGHTER, data_dir)]
    rows = [row for split in splits for row in split if not cedr.overlap(row.text)]
    return _by_fold(rows, fold_of_each(rows))


def _by_fold(examples: list[Example], fold: npt.NDArray[np.int64]) -> tuple[list[Example], npt.NDArray[np.int64]]:
    order = np.argsort(fold, kind="stable")
    return [examples[row] for row in order], fold[order]


def by_fold(dataset: str, data_dir: Path | None) -> tuple[list[Example], npt.NDArray[np.int64]]:
    """The rows whose folds are held out, all of fold 0 first, each fold in its files' order; and the fold of each.

    Args:
        dataset: a training set, or brighter_rus, whose folds are held out beside CEDR's.
        data_dir: a local directory; the hub when None.

    Raises:
        TrainingError: the data cannot be loaded, or split into folds.
    """
    return brighter_by_fold(data_dir) if dataset == BRIGHTER else _by_fold(*with_folds(dataset, data_dir))
