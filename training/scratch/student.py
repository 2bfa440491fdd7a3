"""Trains a student: a small encoder that learns to answer as an ensemble does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field, field_validator

from contract.labels import EMOTIONS
from training.runs.directory import METRICS, Probabilities
from training.runs.life import Fold
from training.scratch.fitting.fit import Trainee
from training.scratch.settings import BatchSize, Epochs, FitSettings, LayerDecay, Rate
from training.scratch.teachers.soft_targets import SoftTargets


class StudentSettings(FitSettings):
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


class StudentTrainer:
    """One base model, taught again for every fold."""

    def __init__(self, settings: StudentSettings, device: torch.device) -> None:
        self.recipe = settings.recipe
        self.record = {"recipe": self.recipe}
        self._settings = settings
        self._trainee = Trainee(settings.base_model, len(EMOTIONS), settings.seed, device)

    def train_fold(self, fold: Fold) -> Probabilities:
        """Learn the teachers' answers for a fold, keep the checkpoint; probabilities of the held-out rows."""
        settings, trainee = self._settings, self._trainee
        soft = SoftTargets.load(settings.taught, fold.number)
        rows = len(soft.truth)
        answers = soft.probabilities.copy()
        answers[:rows] = settings.hard_share * soft.truth + (1 - settings.hard_share) * answers[:rows]
        order = np.concatenate([np.tile(np.arange(rows), settings.cedr_repeats), np.arange(rows, len(soft.texts))])
        aims = torch.from_numpy(answers[order]).to(trainee.device)

        def loss(logits: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, aims[chosen])

        trainee.adapt(soft.texts, settings)
        trainee.fit([soft.texts[index] for index in order], loss, settings, f"fold {fold.number}")
        return trainee.keep(trainee.model, fold)
