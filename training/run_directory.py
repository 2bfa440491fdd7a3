"""A run: the directory that training writes and that evaluation, audit and publishing read.

Beside the checkpoint itself (`config.json`, `model.safetensors`, `tokenizer.json`) it holds
`metrics.json`, an object whose `recipe` is how the run was made, whose `dev` are the figures of
`training.metrics.evaluate` on the held-out fold, and whose `five_folds`, only where each fold was
held out once, are their means over the folds; and then `out_of_fold.npz` too, the predictions
from which thresholds are tuned.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from training.command import TrainingError

METRICS: Final = "metrics.json"
OUT_OF_FOLD: Final = "out_of_fold.npz"


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for rows that took no part in training the model that made them.

    `truth` 0/1 and `probabilities`, float32 `[rows, 6]`; `fold` int64 `[rows]`, the fold that
    held each row out. Rows are CEDR train's, all of fold 0 first, each fold in CEDR's order.
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

    def save(self, run: Path) -> None:
        """Write `out_of_fold.npz`."""
        np.savez_compressed(run / OUT_OF_FOLD, truth=self.truth, probabilities=self.probabilities, fold=self.fold)


def write_metrics(run: Path, metrics: dict[str, Any]) -> None:
    """Write `metrics.json`."""
    (run / METRICS).write_text(json.dumps(metrics, indent=2), encoding="utf-8")


def read_cross_validated(run: Path) -> tuple[dict[str, Any], OutOfFold]:
    """The metrics and the out-of-fold predictions of a run in which each fold was held out once.

    Raises:
        TrainingError: a file is missing, or the predictions are of an earlier run.
    """
    for name in (METRICS, OUT_OF_FOLD):
        if not (run / name).is_file():
            raise TrainingError(f"{run} has no {name}: train it with --cross-validate")
    metrics = json.loads((run / METRICS).read_text(encoding="utf-8"))
    if "five_folds" not in metrics:
        # The predictions there are of an earlier run, not of these weights.
        raise TrainingError(f"{run} was trained again without --cross-validate: train it with it")
    kept = np.load(run / OUT_OF_FOLD)
    return metrics, OutOfFold(kept["truth"], kept["probabilities"], kept["fold"])
