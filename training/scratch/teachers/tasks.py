"""Several data sets at once: a text has answers for some heads, and the encoder is what the heads share.

The data sets' labels are defined differently, so none is mapped into another's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from contract.labels import EMOTIONS
from training.data.cleaning.decontamination import KeptOut
from training.data.cleaning.texts import key
from training.data.rows.examples import targets
from training.data.rows.loading import available_splits, load_rows
from training.data.rows.sources import SOURCES
from training.data.splits.folds import train_and_held_out

AUXILIARY: Final = ("ru_izard_emotions", "ru_go_emotions")


@dataclass(frozen=True)
class Tasks:
    """Texts with the answers of every head. `answers` is float32 `[texts, outputs]`, NaN where a head has none.

    `heads` gives each data set's columns; CEDR's come first.
    """

    texts: list[str]
    answers: npt.NDArray[np.float32]
    heads: dict[str, slice]


def gather_tasks(fold: int, auxiliary: Sequence[str], repeats: int, data_dir: Path | None) -> Tasks:
    """The rows of all heads when `fold` of CEDR is held out.

    A text that several data sets hold is one row. CEDR's rows may be repeated: they are fewer, and the aim.
    """
    train, held_out = train_and_held_out("cedr", fold, data_dir)
    heads, width = {"cedr": slice(0, len(EMOTIONS))}, len(EMOTIONS)
    for name in auxiliary:
        heads[name] = slice(width, width + len(SOURCES[name].classes))
        width = heads[name].stop
    rows: dict[str, tuple[str, npt.NDArray[np.float32]]] = {}
    unseen = KeptOut(example.text for example in held_out)

    def row_of(text: str) -> npt.NDArray[np.float32]:
        return rows.setdefault(key(text) or text, (text, np.full(width, np.nan, dtype=np.float32)))[1]

    for example, answer in zip(train, targets(train), strict=True):
        row_of(example.text)[heads["cedr"]] = answer
    for name in auxiliary:
        classes = list(SOURCES[name].classes)
        for split in available_splits(name, data_dir):
            for row in load_rows(name, split, data_dir):
                if not unseen.has(row.text):
                    row_of(row.text)[heads[name]] = [float(own in row.classes) for own in classes]
    chosen = [row for row in rows.values() for _ in range(1 if np.isnan(row[1][0]) else repeats)]
    return Tasks([text for text, _ in chosen], np.stack([answer for _, answer in chosen]), heads)


def masked_loss(tasks: Tasks, auxiliary_weight: float, device: torch.device) -> Any:
    """Binary cross-entropy of every head over the rows that have an answer for it."""
    answers = torch.from_numpy(tasks.answers).to(device)
    known = ~answers.isnan()
    weights = torch.zeros(answers.shape[1], device=device)
    for name, columns in tasks.heads.items():
        weights[columns] = (1.0 if name == "cedr" else auxiliary_weight) / (columns.stop - columns.start)
    answers = answers.nan_to_num()

    def loss(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits, answers[rows], reduction="none")
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
