"""Distillation: a small encoder learns to answer as its teachers do, whatever stands around a text."""

import zlib
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from contract.labels import EMOTIONS
from training.common.parallel import map_chunks
from training.data.written.surroundings import MOODS, surrounded
from training.runs.directory import Probabilities
from training.runs.life import Fold
from training.scratch.fast_training.token_table import partial_passes
from training.scratch.fast_training.trainer import FastTrainer
from training.scratch.settings import StudentSettings
from training.scratch.teachers.soft_targets import KINDS, SoftTargets

Rows = npt.NDArray[np.int64]
LEAST: Final = 1e-3
"""Teachers' answers are taken for no smaller, and no larger than 1 less this, where logits are compared."""


def mixed_targets(soft: SoftTargets, shares: dict[str, float]) -> npt.NDArray[np.float32]:
    """The teachers' answers, into which each kind's own labels are mixed by its share; float32 `[texts, 6]`."""
    mixed = soft.probabilities.copy()
    for kind, share in shares.items():
        rows = soft.of_kind(kind)
        mixed[rows] = share * soft.truth[rows] + (1 - share) * mixed[rows]
    return mixed


def distillation_loss(logits: torch.Tensor, targets: torch.Tensor, logit_weight: float) -> torch.Tensor:
    """Cross entropy against the teachers' probabilities, and the mean squared difference of logits by its weight.

    Cross entropy hardly tells 0.01 from 0.02. But which of such texts is nearer to an emotion decides what a threshold
    that misses few of them costs, and the ROC AUC of a rare emotion (Hinton et al., 2015, section 2.1, on logits).

    Args:
        logits: the student's, float32 `[rows, 6]`.
        targets: probabilities, float32 `[rows, 6]`.
        logit_weight: 0 for cross entropy alone.
    """
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    if not logit_weight:
        return loss
    return loss + logit_weight * torch.nn.functional.mse_loss(logits, torch.logit(targets, eps=LEAST))


def texts_without_smiley(soft: SoftTargets, settings: StudentSettings) -> npt.NDArray[np.bool_]:
    """Behind which of the texts a smiley would mean something, bool `[texts]`."""
    unsure = soft.probabilities.max(axis=1) < settings.smiles_from
    return np.asarray(unsure | np.isin(soft.kind, [KINDS.index(kind) for kind in settings.smiles_not_in]))


def changed_texts(texts: Sequence[str], without_smiley: Sequence[bool], copy: int, seed: int) -> list[str]:
    """Each text with changes that mean nothing; the same for the same text, copy and seed. On all cores.

    Args:
        texts: any.
        without_smiley: whether a smiley behind the text would mean something.
        copy: number of the change of the same text.
        seed: of all of them.
    """
    rows = list(zip(texts, without_smiley, strict=True))
    return [text for chunk in map_chunks(partial(_changed, copy=copy, seed=seed), rows) for text in chunk]


def _changed(rows: Sequence[tuple[str, bool]], copy: int, seed: int) -> list[str]:
    return [
        surrounded(text, np.random.default_rng([seed, copy, zlib.crc32(text.encode())]), MOODS if plain else ())
        for text, plain in rows
    ]


def passes_with_changes(passes: Sequence[Rows], texts: int, share: float, copies: int, seed: int) -> list[Rows]:
    """The same passes over a table that holds all texts, and behind them `copies` times all texts changed."""
    random = np.random.default_rng(seed)
    chosen = []
    for rows in passes:
        copy = np.where(random.random(len(rows)) < share, 1 + random.integers(copies, size=len(rows)), 0)
        chosen.append(rows + texts * copy)
    return chosen


def student_passes(soft: SoftTargets, settings: StudentSettings) -> list[Rows]:
    """The rows of each pass over a table of the texts, behind which are `changed_copies` times all texts changed."""
    repeats = {
        "cedr": settings.cedr_repeats,
        "brighter_rus": settings.brighter_repeats,
        "written": settings.written_repeats,
    }
    labelled = [np.tile(soft.of_kind(kind), times) for kind, times in repeats.items()]
    rows = np.concatenate([*labelled, np.flatnonzero(np.isnan(soft.truth[:, 0]))])
    passes = partial_passes(rows, settings.epochs)
    if settings.changed_share:
        passes = passes_with_changes(
            passes, len(soft.texts), settings.changed_share, settings.changed_copies, settings.seed
        )
    end = np.concatenate([labelled[0], soft.of_kind("variant")])
    return [*passes, *partial_passes(end, settings.final_epochs)]


class Student:
    """One base model, trained on soft targets again for every fold."""

    def __init__(self, settings: StudentSettings, device: torch.device) -> None:
        self.recipe = settings.recipe
        self.record = {"recipe": self.recipe}
        self._settings = settings
        self._trainer = FastTrainer(settings.checkpoint, len(EMOTIONS), settings.seed, device)

    def train_fold(self, fold: Fold) -> Probabilities:
        """Train on a fold's soft targets, keep the checkpoint; probabilities of the fold's texts."""
        settings, trainer = self._settings, self._trainer
        soft = SoftTargets.load(settings.taught, fold.number).with_unknown_texts()
        shares = {
            "cedr": settings.cedr_labels,
            "brighter_rus": settings.brighter_labels,
            "written": settings.written_labels,
        }
        targets = torch.from_numpy(mixed_targets(soft, shares)).to(trainer.device)

        def loss(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return distillation_loss(logits, targets[rows % len(targets)], settings.logit_weight)

        trainer.adapt(soft.texts, settings, fold)
        copies = settings.changed_copies if settings.changed_share else 0
        without_smiley = texts_without_smiley(soft, settings).tolist()
        texts = list(soft.texts)
        for copy in range(copies):
            texts += changed_texts(soft.texts, without_smiley, copy, settings.seed)
        passes = student_passes(soft, settings)
        trainer.train(texts, loss, settings, passes, fold)
        return trainer.keep(trainer.model, fold)
