"""Distillation: a small encoder learns from a fold's labels and its teachers' soft targets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from contract.labels import EMOTIONS
from training.data.splits.folds import held_out_fold
from training.encoder.classifier import save_checkpoint
from training.runs.cross_validation import checkpoint_directory
from training.scratch.fast_training.prediction import predict_probabilities
from training.scratch.fast_training.trainer import FastTrainer, TrainingSettings
from training.scratch.teachers.soft_targets import SoftTargets


@dataclass(frozen=True)
class DistillationRecipe:
    """The settings of a distillation; they end up on the card, `taught` with how the teachers were made."""

    base_model: str
    taught: dict[str, Any]
    cedr_repeats: int
    hard_share: float
    fit: TrainingSettings


class Student:
    """One base model, trained on soft targets again for every fold."""

    def __init__(
        self, recipe: DistillationRecipe, taught: Path, run: Path, data_dir: Path | None, device: torch.device
    ) -> None:
        self._recipe, self._taught, self._run, self._data_dir = recipe, taught, run, data_dir
        self._trainer = FastTrainer(recipe.base_model, len(EMOTIONS), recipe.fit.seed, device)

    def train_fold(self, fold: int) -> npt.NDArray[np.float32]:
        """Train on a fold's soft targets, save the checkpoint; probabilities of the held-out rows, `[rows, 6]`."""
        recipe, trainer = self._recipe, self._trainer
        soft = SoftTargets.load(self._taught, fold)
        rows = len(soft.truth)
        mixed = soft.probabilities.copy()
        mixed[:rows] = recipe.hard_share * soft.truth + (1 - recipe.hard_share) * mixed[:rows]
        order = np.concatenate([np.tile(np.arange(rows), recipe.cedr_repeats), np.arange(rows, len(soft.texts))])
        targets = torch.from_numpy(mixed[order]).to(trainer.device)

        def loss(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets[chosen])

        trainer.adapt(soft.texts, recipe.fit)
        trainer.train(trainer.table([soft.texts[index] for index in order]), loss, recipe.fit, f"fold {fold}")
        save_checkpoint(trainer.model, trainer.tokenizer, checkpoint_directory(self._run, fold))
        held_out = [example.text for example in held_out_fold(fold, self._data_dir)]
        return predict_probabilities(trainer.model, trainer.table(held_out))
