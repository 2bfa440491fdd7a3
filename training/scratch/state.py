"""The state that an interrupted training goes on from, in one file that is there whole or not at all."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from training.common.command import TrainingError


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state over the one before; makes the directory it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    torch.save(state, unfinished)
    os.replace(unfinished, path)  # An interruption must not cost the last state.


def load_state(path: Path, device: torch.device) -> dict[str, Any] | None:
    """The last state; None where none was saved.

    Raises:
        TrainingError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} is damaged ({error}): remove it, and what it holds is trained again") from error
    return state
