"""The rows of a multi-task training: texts of several data sets, with the targets of every head."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from contract.labels import EMOTIONS
from training.data.cleaning.decontamination import without_overlap
from training.data.cleaning.texts import comparison_key
from training.data.rows.examples import targets as targets_of
from training.data.rows.loading import labels_of, load_rows, training_splits
from training.data.rows.sources import SOURCES
from training.data.splits.training_rows import train_and_held_out
from training.runs.life import Fold


@dataclass(frozen=True)
class Tasks:
    """Texts with the targets of every head. `targets` is float32 `[texts, outputs]`, NaN where a head has none.

    `heads` gives each data set's columns; those of CEDR's head, the six emotions, come first.
    """

    texts: list[str]
    targets: npt.NDArray[np.float32]
    heads: dict[str, slice]

    @property
    def with_emotions(self) -> npt.NDArray[np.int64]:
        """Numbers of the texts that have targets for the six emotions."""
        return np.flatnonzero(~np.isnan(self.targets[:, 0]))


def gather_tasks(
    fold: Fold, auxiliary: Sequence[str], as_emotions: Sequence[str], repeats: int, data_dir: Path | None
) -> Tasks:
    """The rows of all heads when a fold is held out.

    A text that several data sets hold is one row.

    Args:
        fold: none of its texts, and nothing like them, is among the rows.
        auxiliary: data sets with a head each, for their own classes.
        as_emotions: data sets whose labels, mapped into the six emotions, teach CEDR's head. CEDR's own go first.
        repeats: how often an epoch has CEDR's rows: they are fewer, and the aim.
        data_dir: directory of `<data set>/<split>.jsonl`; the hub when None.
    """
    heads, width = {"cedr": slice(0, len(EMOTIONS))}, len(EMOTIONS)
    for name in auxiliary:
        heads[name] = slice(width, width + len(SOURCES[name].classes))
        width = heads[name].stop
    rows: dict[str, tuple[str, npt.NDArray[np.float32]]] = {}

    def row_of(text: str) -> npt.NDArray[np.float32]:
        return rows.setdefault(comparison_key(text) or text, (text, np.full(width, np.nan, dtype=np.float32)))[1]

    train = train_and_held_out("cedr", fold.number, data_dir).train
    for example, labels in zip(train, targets_of(train), strict=True):
        row_of(example.text)[heads["cedr"]] = labels
    cedr = set(rows)
    for name in dict.fromkeys([*as_emotions, *auxiliary]):
        classes = list(SOURCES[name].classes)
        found = {row.text: row for split in training_splits(name, data_dir) for row in load_rows(name, split, data_dir)}
        for text in without_overlap(list(found), fold.texts):
            row, own = row_of(text), found[text].classes
            if name in heads:
                row[heads[name]] = [float(each in own) for each in classes]
            if name in as_emotions and np.isnan(row[0]):
                emotions = labels_of(name, own)
                row[heads["cedr"]] = [float(index in emotions) for index in range(len(EMOTIONS))]
    chosen = [row for key, row in rows.items() for _ in range(repeats if key in cedr else 1)]
    return Tasks([text for text, _ in chosen], np.stack([labels for _, labels in chosen]), heads)


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
