"""Multi-task training: one encoder, and a head for each data set, of which CEDR's is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from contract.labels import EMOTIONS
from training.data.cleaning.decontamination import HeldOutTexts
from training.data.cleaning.texts import comparison_key
from training.data.rows.examples import targets as targets_of
from training.data.rows.loading import available_splits, load_rows
from training.data.rows.sources import SOURCES
from training.data.splits.training_rows import train_and_held_out
from training.encoder.classifier import BASE_MODELS, save_checkpoint
from training.runs.cross_validation import checkpoint_directory
from training.scratch.fast_training.prediction import predict_probabilities
from training.scratch.fast_training.trainer import FastTrainer, TrainingSettings

AUXILIARY: Final = ("ru_izard_emotions", "ru_go_emotions")


@dataclass(frozen=True)
class Tasks:
    """Texts with the targets of every head. `targets` is float32 `[texts, outputs]`, NaN where a head has none.

    `heads` gives each data set's columns; CEDR's come first.
    """

    texts: list[str]
    targets: npt.NDArray[np.float32]
    heads: dict[str, slice]


def gather_tasks(fold: int, auxiliary: tuple[str, ...], repeats: int, data_dir: Path | None) -> tuple[Tasks, list[str]]:
    """The rows of all heads when `fold` of CEDR is held out, and the held-out texts.

    A text that several data sets hold is one row. CEDR's rows may be repeated: they are fewer, and the aim.
    """
    train, held_out = train_and_held_out("cedr", fold, data_dir)
    heads, width = {"cedr": slice(0, len(EMOTIONS))}, len(EMOTIONS)
    for name in auxiliary:
        heads[name] = slice(width, width + len(SOURCES[name].classes))
        width = heads[name].stop
    rows: dict[str, tuple[str, npt.NDArray[np.float32]]] = {}
    unseen = HeldOutTexts(example.text for example in held_out)

    def row_of(text: str) -> npt.NDArray[np.float32]:
        return rows.setdefault(comparison_key(text) or text, (text, np.full(width, np.nan, dtype=np.float32)))[1]

    for example, labels in zip(train, targets_of(train), strict=True):
        row_of(example.text)[heads["cedr"]] = labels
    for name in auxiliary:
        classes = list(SOURCES[name].classes)
        for split in available_splits(name, data_dir):
            for row in load_rows(name, split, data_dir):
                if not unseen.overlap(row.text):
                    row_of(row.text)[heads[name]] = [float(own in row.classes) for own in classes]
    chosen = [row for row in rows.values() for _ in range(1 if np.isnan(row[1][0]) else repeats)]
    tasks = Tasks([text for text, _ in chosen], np.stack([labels for _, labels in chosen]), heads)
    return tasks, [example.text for example in held_out]


@dataclass(frozen=True)
class MultitaskRecipe:
    """The settings of a multi-task run; they end up on the card."""

    base_model: str
    datasets: tuple[str, ...]
    cedr_repeats: int
    auxiliary_weight: float
    fit: TrainingSettings


def masked_loss(tasks: Tasks, auxiliary_weight: float, device: torch.device) -> Any:
    """Binary cross-entropy of every head over the rows that have targets for it."""
    targets = torch.from_numpy(tasks.targets).to(device)
    known = ~targets.isnan()
    weights = torch.zeros(targets.shape[1], device=device)
    for name, columns in tasks.heads.items():
        weights[columns] = (1.0 if name == "cedr" else auxiliary_weight) / (columns.stop - columns.start)
    targets = targets.nan_to_num()

    def loss(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets[rows], reduction="none")
        return (each * known[rows] * weights).sum(dim=1).mean()

    return loss


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

    def __init__(self, recipe: MultitaskRecipe, run: Path, data_dir: Path | None, device: torch.device) -> None:
        self._recipe, self._run, self._data_dir = recipe, run, data_dir
        outputs = len(EMOTIONS) + sum(len(SOURCES[name].classes) for name in recipe.datasets)
        base = BASE_MODELS.get(recipe.base_model, recipe.base_model)
        self._trainer = FastTrainer(base, outputs, recipe.fit.seed, device)

    def train_fold(self, fold: int) -> npt.NDArray[np.float32]:
        """Train with one fold held out, save the six-label checkpoint; probabilities of the held-out rows."""
        recipe, trainer = self._recipe, self._trainer
        tasks, held_out = gather_tasks(fold, recipe.datasets, recipe.cedr_repeats, self._data_dir)
        loss = masked_loss(tasks, recipe.auxiliary_weight, trainer.device)
        trainer.adapt(tasks.texts, recipe.fit)
        trainer.train(trainer.table(tasks.texts), loss, recipe.fit, f"fold {fold}")
        model = first_outputs(trainer.model, len(EMOTIONS))
        save_checkpoint(model, trainer.tokenizer, checkpoint_directory(self._run, fold))
        return predict_probabilities(model, trainer.table(held_out))
