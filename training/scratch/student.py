"""Distillation: a small encoder learns from a fold's labels and its teachers' soft targets."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field, field_validator

from contract.labels import EMOTIONS
from training.runs.directory import METRICS, Probabilities
from training.runs.life import Fold
from training.scratch.fast_training.trainer import FastTrainer
from training.scratch.settings import BatchSize, Epochs, LayerDecay, Rate, TrainingSettings
from training.scratch.teachers.soft_targets import SoftTargets


class StudentSettings(TrainingSettings):
    """What `python -m training.scratch.distill` can be told."""

    epochs: Epochs = 6
    batch_size: BatchSize = 512
    lr: Rate = 1e-3
    layer_decay: LayerDecay = 1.0
    taught: Path = Field(exclude=True, description="directory left by training.scratch.teach")
    cedr_repeats: int = Field(4, ge=0, description="how often an epoch has CEDR's rows")
    hard_share: float = Field(0.5, ge=0, le=1, description="of CEDR's labels in its targets")

    @field_validator("taught")
    @classmethod
    def _is_finished(cls, path: Path) -> Path:
        if not (path / METRICS).is_file():
            raise ValueError("is no finished directory of training.scratch.teach")
        return path

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that shape the model, and how its teachers were made."""
        taught = json.loads((self.taught / METRICS).read_text(encoding="utf-8"))["recipe"]
        return {**super().recipe, "taught": taught}


class Student:
    """One base model, trained on soft targets again for every fold."""

    def __init__(self, settings: StudentSettings, device: torch.device) -> None:
        self.recipe = settings.recipe
        self.record = {"recipe": self.recipe}
        self._settings = settings
        self._trainer = FastTrainer(settings.base_model, len(EMOTIONS), settings.seed, device)

    def train_fold(self, fold: Fold) -> Probabilities:
        """Train on a fold's soft targets, keep the checkpoint; probabilities of the held-out rows."""
        settings, trainer = self._settings, self._trainer
        soft = SoftTargets.load(settings.taught, fold.number)
        rows = len(soft.truth)
        mixed = soft.probabilities.copy()
        mixed[:rows] = settings.hard_share * soft.truth + (1 - settings.hard_share) * mixed[:rows]
        order = np.concatenate([np.tile(np.arange(rows), settings.cedr_repeats), np.arange(rows, len(soft.texts))])
        targets = torch.from_numpy(mixed[order]).to(trainer.device)

        def loss(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets[chosen])

        trainer.adapt(soft.texts, settings)
        trainer.train([soft.texts[index] for index in order], loss, settings, f"fold {fold.number}")
        return trainer.keep(trainer.model, fold)
