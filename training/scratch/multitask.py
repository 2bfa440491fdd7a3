"""Fine-tune an encoder on several data sets at once, a head for each, and keep CEDR's head.

    python -m training.scratch.multitask --base-model CHECKPOINT --output runs/teacher

The data sets' labels are defined differently, so that none is mapped into another's: what they share is the encoder.
"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from contract.labels import EMOTIONS
from training.common.command import command_parser, run_command
from training.data.cleaning.decontamination import KeptOut
from training.data.cleaning.texts import key
from training.data.rows.examples import targets
from training.data.rows.loading import available_splits, load_rows
from training.data.rows.sources import SOURCES
from training.data.splits.folds import train_and_held_out
from training.encoder.classifier import BASE_MODELS
from training.runs.cross_validation import checkpoint_directory, cross_validate
from training.scratch.fitting.fit import FitSettings, Trainee, probabilities_of, save_checkpoint
from training.scratch.flags import add_fit_flags, add_run_flags, begun_folds, fit_settings, run_device

AUXILIARY: Final = ("ru_izard_emotions", "ru_go_emotions")


@dataclass(frozen=True)
class Tasks:
    """Texts with the answers of every head. `answers` is float32 `[texts, outputs]`, NaN where a head has none.

    `heads` gives each data set's columns; CEDR's come first.
    """

    texts: list[str]
    answers: npt.NDArray[np.float32]
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
    tasks = Tasks([text for text, _ in chosen], np.stack([answer for _, answer in chosen]), heads)
    return tasks, [example.text for example in held_out]


@dataclass(frozen=True)
class MultitaskRecipe:
    """The settings of a multi-task run; they end up on the card."""

    base_model: str
    datasets: tuple[str, ...]
    cedr_repeats: int
    auxiliary_weight: float
    fit: FitSettings


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


class Multitask:
    """One base model, trained again for every fold."""

    def __init__(self, recipe: MultitaskRecipe, run: Path, data_dir: Path | None, device: torch.device) -> None:
        self._recipe, self._run, self._data_dir = recipe, run, data_dir
        outputs = len(EMOTIONS) + sum(len(SOURCES[name].classes) for name in recipe.datasets)
        base = BASE_MODELS.get(recipe.base_model, recipe.base_model)
        self._trainee = Trainee(base, outputs, recipe.fit.seed, device)

    def train_fold(self, fold: int) -> npt.NDArray[np.float32]:
        """Train with one fold held out, save the six-label checkpoint; probabilities of the held-out rows."""
        recipe, trainee = self._recipe, self._trainee
        tasks, held_out = gather_tasks(fold, recipe.datasets, recipe.cedr_repeats, self._data_dir)
        loss = masked_loss(tasks, recipe.auxiliary_weight, trainee.device)
        trainee.adapt(tasks.texts, recipe.fit)
        trainee.fit(trainee.table(tasks.texts), loss, recipe.fit, f"fold {fold}")
        model = first_outputs(trainee.model, len(EMOTIONS))
        save_checkpoint(model, trainee.tokenizer, checkpoint_directory(self._run, fold))
        return probabilities_of(model, trainee.table(held_out))


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.scratch.multitask", __doc__)
    parser.add_argument("--base-model", required=True, help="a local checkpoint, rubert, xlm or a hub name")
    parser.add_argument(
        "--datasets", nargs="*", default=list(AUXILIARY), choices=sorted(set(SOURCES) - {"cedr"}), metavar="NAME",
        help=f"beside CEDR (default: {' '.join(AUXILIARY)})",
    )  # fmt: skip
    parser.add_argument("--cedr-repeats", type=int, default=1, help="CEDR's rows an epoch (default: %(default)s times)")
    parser.add_argument("--auxiliary-weight", type=float, default=0.5, help="of the other heads' loss (%(default)s)")
    # More passes over CEDR's few rows cost ranking (ROC AUC) more than they bring.
    add_fit_flags(parser, epochs=4, batch_size=64, lr=5e-4, layer_decay=0.9)
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Train, and leave a run directory."""
    arguments = _arguments()
    recipe = MultitaskRecipe(
        arguments.base_model, tuple(arguments.datasets), arguments.cedr_repeats, arguments.auxiliary_weight,
        fit_settings(arguments),
    )  # fmt: skip
    folds = begun_folds(arguments, asdict(recipe))
    multitask = Multitask(recipe, arguments.output, arguments.data_dir, run_device())
    cross_validate(multitask.train_fold, folds, arguments.output, arguments.data_dir, asdict(recipe))


if __name__ == "__main__":
    run_command(main)
