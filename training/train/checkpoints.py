"""Checkpoints that Trainer writes while it trains: which are whole, and whether there is room for them."""

import json
import shutil
from pathlib import Path
from typing import Final, NamedTuple

import torch

from training.common.command import TrainingError

_STATE: Final = "trainer_state.json"
# What is trained and AdamW's two moments of it in fp32, three times: the best checkpoint, the last one, and the
# one that is being written; and all weights once more in the end.
_BYTES_PER_TRAINED_PARAMETER: Final = 3 * (3 * 4)
_BYTES_PER_PARAMETER: Final = 4


class Checkpoint(NamedTuple):
    """A whole checkpoint of Trainer's; `over` where training ended with it."""

    path: Path
    over: bool
    best_step: int | None


def last_checkpoint(directory: Path, processes: int) -> Checkpoint | None:
    """The newest checkpoint that was written to its end, if there is one."""
    whole = [checkpoint for path in directory.glob("checkpoint-*") if (checkpoint := _read(path, processes))]
    return max(whole, key=lambda checkpoint: step_of(checkpoint.path), default=None)


def remove_unfinished(directory: Path, processes: int) -> None:
    """Remove what an interruption left half written, which Trainer would take for the newest."""
    for path in directory.glob("checkpoint-*"):
        if _read(path, processes) is None:
            shutil.rmtree(path)


def step_of(path: Path) -> int:
    """The step after which Trainer wrote a checkpoint."""
    return int(path.name.rpartition("-")[2])


def kept_checkpoint(directory: Path, processes: int) -> Path:
    """The checkpoint that stays: the best on dev, or the last where dev had no say.

    Raises:
        TrainingError: there is none any more.
    """
    last = last_checkpoint(directory, processes)
    if last is None:
        raise TrainingError(f"the checkpoints in {directory} are gone: train again with --resume")
    return last.path if last.best_step is None else directory / f"checkpoint-{last.best_step}"


def _read(path: Path, processes: int) -> Checkpoint | None:
    # Trainer writes its state last; with several processes, each writes its own random state meanwhile.
    random_states = ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
    if not all((path / name).is_file() for name in random_states):
        return None
    try:
        state = json.loads((path / _STATE).read_bytes())
    except (OSError, ValueError):
        return None
    over = state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"]
    return Checkpoint(path, over, state["best_global_step"])


def check_disk(run: Path, model: torch.nn.Module) -> None:
    """Whether the checkpoints of a model fit beside a run.

    Raises:
        TrainingError: they don't.
    """
    needed = sum(
        parameter.numel() * (_BYTES_PER_PARAMETER + _BYTES_PER_TRAINED_PARAMETER * parameter.requires_grad)
        for parameter in model.parameters()
    )
    free = shutil.disk_usage(run).free
    if free < needed:
        raise TrainingError(
            f"training needs {needed / 1e6:,.0f} MB for checkpoints in {run}, and {free / 1e6:,.0f} MB are free:"
            " free some, or name another --weights-dir"
        )
