"""CEDR's folds: the dev split is the first of five, the same one as in published results."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold

from training.command import TrainingError
from training.data import Example, load_source

FOLDS: Final = 5
DATASETS: Final = ("cedr", "combo")


def fold_of_each(examples: Sequence[Example]) -> npt.NDArray[np.int64]:
    """The fold, 0 to 4, that holds each example; int64 `[examples]`.

    Stratified on the rarest label a row has, unshuffled: fold 0 is the dev split that the
    published results for these encoders were measured on.
    """
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


def train_and_held_out(dataset: str, fold: int, data_dir: Path | None) -> tuple[list[Example], list[Example]]:
    """The rows to train on when `fold` of CEDR is held out, and the held-out rows.

    `cedr` is CEDR's other four folds; `combo` adds the rows of ru_goemotions, all three
    splits, that carry surprise, fear or anger, which are CEDR's rare classes. A text that
    is also held out is never trained on.
    """
    if dataset not in DATASETS:
        raise TrainingError(f"no data set named {dataset!r}; there are: {', '.join(DATASETS)}")
    cedr = load_source("cedr", "train", data_dir)
    folds = fold_of_each(cedr)
    held_out = [example for example, of in zip(cedr, folds, strict=True) if of == fold]
    train = [example for example, of in zip(cedr, folds, strict=True) if of != fold]
    if dataset == "combo":
        rare = {3, 4, 5}
        for split in ("train", "validation", "test"):
            more = load_source("ru_goemotions", split, data_dir)
            train += [example for example in more if example.labels & rare]
    held_out_texts = {_key(example.text) for example in held_out}
    return [example for example in train if _key(example.text) not in held_out_texts], held_out


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
