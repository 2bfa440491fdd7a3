"""Whether a run's checkpoint answers what the run's predictions say: for runs from before these carried digests."""

from pathlib import Path
from typing import Final

import numpy as np

from training.common.command import TrainingError
from training.data.rows.combinations import CEDR
from training.evaluate.predictions import predict_checkpoint
from training.measuring.out_of_fold import OutOfFold, out_of_fold_examples

MEAN_DISTANCE: Final = 0.005
"""How far probabilities may be apart in the mean. Measured on dev: bfloat16 moves them by 0.0002, and two
models that were much alike (versions 1 of the shipped ones) were 0.017 apart."""


def check_reproduced(run: Path, out_of_fold: OutOfFold, data_dir: Path | None, dataset: str = CEDR) -> None:
    """Ask a run's checkpoint, which never saw fold 0, for that fold's rows again.

    Args:
        run: the run, whose own checkpoint is fold 0's.
        out_of_fold: its predictions for the rows of `dataset`.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.
        dataset: whose folds it held out, as it is named.

    Raises:
        TrainingError: it answers something else, or the predictions are not of this data.
    """
    examples = out_of_fold_examples(out_of_fold, data_dir, dataset)
    held_out = [example for example, fold in zip(examples, out_of_fold.fold, strict=True) if fold == 0]
    distance = float(np.abs(predict_checkpoint(run, held_out) - out_of_fold.only(0).probabilities).mean())
    if not distance <= MEAN_DISTANCE:
        raise TrainingError(
            f"{run}: its out-of-fold predictions did not come from its weights: asked again for fold 0, these answer"
            f" {distance:.3f} away in the mean. Copy the whole run again, or train it again with --cross-validate"
        )
