"""Multi-task training: one encoder, and a head for each data set, of which CEDR's is kept."""

from typing import Any

import numpy as np
import torch

from contract.labels import EMOTIONS
from training.data.rows.sources import SOURCES
from training.runs.directory import Probabilities
from training.runs.life import Fold
from training.scratch.fast_training.token_table import partial_passes
from training.scratch.fast_training.trainer import FastTrainer
from training.scratch.settings import MultitaskSettings
from training.scratch.teachers.tasks import gather_tasks, masked_loss


def first_outputs(model: Any, outputs: int) -> Any:
    """A classifier that gives a classifier's first outputs alone, the six emotions."""
    config = type(model.config)(**model.config.to_dict())
    config.id2label = dict(enumerate(EMOTIONS))
    config.label2id = {emotion: index for index, emotion in enumerate(EMOTIONS)}
    head = "classifier" if isinstance(model.classifier, torch.nn.Linear) else "classifier.out_proj"
    state = {
        name: tensor[:outputs] if name in (f"{head}.weight", f"{head}.bias") else tensor
        for name, tensor in model.state_dict().items()
    }
    cut = type(model)(config)
    cut.load_state_dict(state)
    return cut.to(model.device).eval()


class Multitask:
    """One base model, trained again for every fold."""

    def __init__(self, settings: MultitaskSettings, device: torch.device) -> None:
        self.recipe = settings.recipe
        self.record = {"recipe": self.recipe}
        self._settings = settings
        outputs = len(EMOTIONS) + sum(len(SOURCES[name].classes) for name in settings.datasets)
        pooling = None if settings.pooling == "first" else settings.pooling
        self._trainer = FastTrainer(settings.checkpoint, outputs, settings.seed, device, pooling)

    def train_fold(self, fold: Fold) -> Probabilities:
        """Train with one fold held out, keep the six-label checkpoint; probabilities of the fold's texts."""
        settings, trainer = self._settings, self._trainer
        tasks = gather_tasks(
            fold, settings.datasets, settings.as_emotions, settings.cedr_repeats, settings.data_dir
        )  # fmt: skip
        loss = masked_loss(tasks, settings.auxiliary_weight, trainer.device)
        trainer.adapt(tasks.texts, settings, fold)
        every, final = np.arange(len(tasks.texts)), tasks.with_emotions
        passes = [*partial_passes(every, settings.epochs), *partial_passes(final, settings.final_epochs)]
        trainer.train(tasks.texts, loss, settings, passes, fold)
        return trainer.keep(first_outputs(trainer.model, len(EMOTIONS)), fold)
