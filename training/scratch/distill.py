"""Teach a small encoder to answer as an ensemble does.

    python -m training.scratch.distill --base-model CHECKPOINT --taught runs/taught --output runs/student

`--taught` is what `training.scratch.teach` left. The output is a run directory like `training.train`'s.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from contract.labels import EMOTIONS
from training.common.command import TrainingError, command_parser, run_command
from training.data.splits.folds import held_out_fold
from training.runs.cross_validation import checkpoint_directory, cross_validate
from training.runs.directory import METRICS
from training.scratch.fitting.fit import FitSettings, Trainee, probabilities_of, save_checkpoint
from training.scratch.flags import add_fit_flags, add_run_flags, begun_folds, fit_settings, run_device
from training.scratch.teachers.soft_targets import SoftTargets


@dataclass(frozen=True)
class DistillationRecipe:
    """The settings of a distillation; they end up on the card, `taught` with how the teachers were made."""

    base_model: str
    taught: dict[str, Any]
    cedr_repeats: int
    hard_share: float
    fit: FitSettings


class Student:
    """One base model, taught again for every fold."""

    def __init__(
        self, recipe: DistillationRecipe, taught: Path, run: Path, data_dir: Path | None, device: torch.device
    ) -> None:
        self._recipe, self._taught, self._run, self._data_dir = recipe, taught, run, data_dir
        self._trainee = Trainee(recipe.base_model, len(EMOTIONS), recipe.fit.seed, device)

    def train_fold(self, fold: int) -> npt.NDArray[np.float32]:
        """Learn a fold's answers, save the checkpoint; probabilities of the held-out rows."""
        recipe, trainee = self._recipe, self._trainee
        soft = SoftTargets.load(self._taught, fold)
        rows = len(soft.truth)
        answers = soft.probabilities.copy()
        answers[:rows] = recipe.hard_share * soft.truth + (1 - recipe.hard_share) * answers[:rows]
        order = np.concatenate([np.tile(np.arange(rows), recipe.cedr_repeats), np.arange(rows, len(soft.texts))])
        aims = torch.from_numpy(answers[order]).to(trainee.device)

        def loss(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, aims[chosen])

        trainee.adapt(soft.texts, recipe.fit)
        trainee.fit(trainee.table([soft.texts[index] for index in order]), loss, recipe.fit, f"fold {fold}")
        save_checkpoint(trainee.model, trainee.tokenizer, checkpoint_directory(self._run, fold))
        held_out = [example.text for example in held_out_fold(fold, self._data_dir)]
        return probabilities_of(trainee.model, trainee.table(held_out))


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.scratch.distill", __doc__)
    parser.add_argument("--base-model", required=True, help="the student: a checkpoint of training.scratch.pretrain")
    parser.add_argument("--taught", type=Path, required=True, help="directory left by training.scratch.teach")
    parser.add_argument("--cedr-repeats", type=int, default=4, help="CEDR's rows an epoch (default: %(default)s times)")
    parser.add_argument("--hard-share", type=float, default=0.5, help="of CEDR's labels in its targets (%(default)s)")
    add_fit_flags(parser, epochs=6, batch_size=512, lr=1e-3, layer_decay=1.0)
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Distil, and leave a run directory."""
    arguments = _arguments()
    if not 0 <= arguments.hard_share <= 1:
        raise TrainingError("--hard-share is a share between 0 and 1")
    if not (arguments.taught / METRICS).is_file():
        raise TrainingError(f"{arguments.taught} is no finished directory of training.scratch.teach")
    taught = json.loads((arguments.taught / METRICS).read_text(encoding="utf-8"))["recipe"]
    recipe = DistillationRecipe(
        arguments.base_model, taught, arguments.cedr_repeats, arguments.hard_share, fit_settings(arguments)
    )  # fmt: skip
    folds = begun_folds(arguments, asdict(recipe))
    student = Student(recipe, arguments.taught, arguments.output, arguments.data_dir, run_device())
    cross_validate(student.train_fold, folds, arguments.output, arguments.data_dir, asdict(recipe))


if __name__ == "__main__":
    run_command(main)
