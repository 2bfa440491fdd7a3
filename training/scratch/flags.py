"""What the commands `multitask`, `teach` and `distill` share of their command lines."""

import argparse
from pathlib import Path
from typing import Any

import torch

from training.common.command import TrainingError
from training.data.splits.folds import FOLDS
from training.runs.resumable import begin
from training.scratch.fast_training.trainer import TrainingSettings


def add_fit_flags(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    """The flags of `TrainingSettings`, with a command's own defaults."""
    parser.add_argument("--epochs", type=float, default=defaults["epochs"], help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=defaults["batch_size"], help="default: %(default)s")
    parser.add_argument("--lr", type=float, default=defaults["lr"], help="peak learning rate (default: %(default)s)")
    parser.add_argument(
        "--layer-decay", type=float, default=defaults["layer_decay"],
        help="a layer's rate over that of the layer above (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--adapt-epochs", type=float, default=0.0,
        help="passes as a masked language model over the texts, before; needs a checkpoint of training.scratch.pretrain"
        " (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that leaves a run directory."""
    parser.add_argument("--cross-validate", action="store_true", help=f"hold out each of the {FOLDS} folds once")
    parser.add_argument(
        "--fold", type=int, choices=range(FOLDS),
        help="hold out this fold alone; processes with a fold each may work on one run at once",
    )  # fmt: skip
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument("--output", type=Path, required=True, help="the run directory")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run, fold by fold")


def begun_folds(arguments: argparse.Namespace, recipe: dict[str, Any]) -> list[int]:
    """Begin or resume the run as the flags say; the folds to hold out.

    Raises:
        TrainingError: another run is there, or two flags contradict each other.
    """
    if arguments.fold is None:
        begin(arguments.output, recipe, arguments.resume)
        return list(range(FOLDS)) if arguments.cross_validate else [0]
    if arguments.cross_validate:
        raise TrainingError("--fold holds out one fold, --cross-validate all of them: give one of the two")
    begin(arguments.output, recipe, resume=None)
    return [arguments.fold]


def fit_settings(arguments: argparse.Namespace) -> TrainingSettings:
    """What `add_fit_flags` read.

    Raises:
        TrainingError: a figure that makes no sense.
    """
    for name in ("epochs", "batch_size", "lr", "layer_decay"):
        if getattr(arguments, name) <= 0:
            raise TrainingError(f"--{name.replace('_', '-')} must be above 0")
    if arguments.adapt_epochs < 0:
        raise TrainingError("--adapt-epochs must be 0 or above")
    return TrainingSettings(
        epochs=arguments.epochs, batch_size=arguments.batch_size, lr=arguments.lr, layer_decay=arguments.layer_decay,
        adapt_epochs=arguments.adapt_epochs, seed=arguments.seed,
    )  # fmt: skip


def run_device() -> torch.device:
    """The first GPU there is, or the CPU; said aloud, because the CPU takes a hundred times as long."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"runs on {torch.cuda.get_device_name(device) if device.type == 'cuda' else 'the CPU'}", flush=True)
    return device
