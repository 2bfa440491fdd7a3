"""Out-of-fold predictions: each row's come from a model that did not train on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.data.rows.combinations import CEDR
from training.data.rows.examples import Example, targets
from training.data.rows.own import short_name
from training.data.splits.folds import BRIGHTER, by_fold

_NO_EMOTION: Final = np.array([emotion == "no_emotion" for emotion in EMOTIONS])
SETS: Final = {CEDR: "CEDR train", BRIGHTER: f"{BRIGHTER} train and dev"}
"""What the rows of a data set's out-of-fold predictions are; those of own rows are all but their test split."""


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for rows that took no part in training the model that made them.

    `truth` 0/1 and `probabilities`, float32 `[rows, 6]`; `fold` int64 `[rows]`, the fold that
    held each row out. Rows are those of `training.data.splits.folds.by_fold`, all of fold 0 first.
    """

    truth: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    fold: npt.NDArray[np.int64]

    @classmethod
    def joined(
        cls, truths: Sequence[npt.NDArray[np.float32]], probabilities: Sequence[npt.NDArray[np.float32]]
    ) -> Self:
        """From each fold's truth and probabilities, fold 0 first."""
        fold = np.repeat(np.arange(len(truths)), [len(truth) for truth in truths])
        return cls(np.concatenate(truths), np.concatenate(probabilities), fold)

    def chosen(self, rows: npt.NDArray[np.bool_]) -> Self:
        """Some of the rows; bool `[rows]`."""
        return type(self)(self.truth[rows], self.probabilities[rows], self.fold[rows])

    def only(self, fold: int) -> Self:
        """One fold's rows."""
        return self.chosen(self.fold == fold)

    def without(self, fold: int) -> Self:
        """The other folds' rows."""
        return self.chosen(self.fold != fold)

    @property
    def neutral(self) -> npt.NDArray[np.bool_]:
        """Which rows show no emotion, bool `[rows]`."""
        return np.asarray((self.truth == _NO_EMOTION).all(axis=1))


OutOfFoldSets = Mapping[str, OutOfFold]
"""By data set: `cedr` or the name of own rows, and `brighter_rus` where its folds were held out too."""


def rows_of(sets: Iterable[str]) -> str:
    """What rows the predictions of these data sets are of, such as "CEDR train"."""
    return " and ".join(SETS.get(name, name) for name in sets)


def out_of_fold_examples(out_of_fold: OutOfFold, data_dir: Path | None, dataset: str = CEDR) -> list[Example]:
    """The rows that out-of-fold predictions are of, in the same order.

    Args:
        out_of_fold: the predictions.
        data_dir: a local directory; the hub when None.
        dataset: whose rows; as `training.data.splits.folds.by_fold` takes it.

    Raises:
        TrainingError: the predictions were made on other data, by their folds or their labels.
    """
    examples, fold = by_fold(dataset, data_dir)
    if not np.array_equal(out_of_fold.fold, fold) or not np.array_equal(out_of_fold.truth, targets(examples)):
        raise TrainingError(
            f"the run's out-of-fold predictions are not of this {rows_of([short_name(dataset)])}: its rows or labels"
            " differ. Name the data it was trained on with --data-dir or --dataset, or train it again with"
            " --cross-validate"
        )
    return examples
