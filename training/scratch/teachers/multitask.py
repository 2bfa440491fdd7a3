"""Trains a teacher: an encoder with a head for each of several data sets, of which CEDR's is kept."""

import torch
from pydantic import Field
from pydantic_settings import CliVariadicArg

from contract.labels import EMOTIONS
from training.data.rows.sources import SOURCES
from training.encoder.classifier import BASE_MODELS
from training.runs.directory import Probabilities
from training.runs.life import Fold
from training.scratch.fitting.fit import Trainee
from training.scratch.settings import BatchSize, DataSet, Epochs, FitSettings, LayerDecay, Rate
from training.scratch.teachers.tasks import AUXILIARY, first_outputs, gather_tasks, masked_loss


class MultitaskSettings(FitSettings):
    """What `python -m training.scratch.multitask` can be told."""

    # More passes over CEDR's few rows cost ranking (ROC AUC) more than they bring.
    epochs: Epochs = 4
    batch_size: BatchSize = 64
    lr: Rate = 5e-4
    layer_decay: LayerDecay = 0.9
    datasets: CliVariadicArg[list[DataSet]] = Field(list(AUXILIARY), description="data sets beside CEDR")
    cedr_repeats: int = Field(1, ge=1, description="how often an epoch has CEDR's rows")
    auxiliary_weight: float = Field(0.5, ge=0, description="of the other heads' loss")


class MultitaskTrainer:
    """One base model, trained again for every fold."""

    def __init__(self, settings: MultitaskSettings, device: torch.device) -> None:
        self.recipe = settings.recipe
        self.record = {"recipe": self.recipe}
        self._settings = settings
        outputs = len(EMOTIONS) + sum(len(SOURCES[name].classes) for name in settings.datasets)
        base = BASE_MODELS.get(settings.base_model, settings.base_model)
        self._trainee = Trainee(base, outputs, settings.seed, device)

    def train_fold(self, fold: Fold) -> Probabilities:
        """Train with one fold held out, keep the six-label checkpoint; probabilities of the held-out rows."""
        settings, trainee = self._settings, self._trainee
        tasks = gather_tasks(fold.number, settings.datasets, settings.cedr_repeats, settings.data_dir)
        loss = masked_loss(tasks, settings.auxiliary_weight, trainee.device)
        trainee.adapt(tasks.texts, settings)
        trainee.fit(tasks.texts, loss, settings, f"fold {fold.number}")
        return trainee.keep(first_outputs(trainee.model, len(EMOTIONS)), fold)
