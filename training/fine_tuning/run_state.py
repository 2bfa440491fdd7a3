"""A run in the making: who may write to its folder, how it was begun, and from where it goes on."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from safetensors import SafetensorError

from training.common.command import TrainingError
from training.common.files import write_whole
from training.data.rows.examples import Example
from training.fine_tuning.hardware import Hardware
from training.fine_tuning.settings import Settings

RECORD: Final = "run.json"
_STATE: Final = "trainer_state.json"
# Weights and AdamW's two moments in fp32, three times: the best checkpoint, the last one, and the
# one that is being written; and the weights once more in the end.
_BYTES_PER_PARAMETER: Final = 3 * (3 * 4) + 4


@contextlib.contextmanager
def alone(run: Path) -> Iterator[None]:
    """Make a run's folder and hold it, so that no second training writes to it.

    Raises:
        TrainingError: it cannot be made, or another process holds it.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        handle = os.open(run, os.O_RDONLY)
    except OSError as error:
        raise TrainingError(f"{run} cannot be made: {error.strerror}; name another --weights-dir") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise TrainingError(f"another process is training in {run}: wait for it, or stop it") from error
    finally:
        os.close(handle)


def begin(run: Path, settings: Settings, hardware: Hardware, rows: Sequence[Example]) -> None:
    """Take an empty folder for a run, or go on with the same run in it.

    Raises:
        TrainingError: the folder holds another run, or something else.
    """
    record = {
        "recipe": settings.recipe,
        "hardware": asdict(hardware),
        "rows": {"rows": len(rows), "sha256 of the rows": _digest(rows)},
    }
    path = run / RECORD
    if not path.exists():
        if any(run.iterdir()):
            raise TrainingError(f"{run} holds files that are no run of training.train: give another --extra-info")
        write_whole(path, json.dumps(record, indent=2).encode())
        return
    if not settings.resume:
        raise TrainingError(f"{run} holds a run already: go on with it by --resume, or give another --extra-info")
    changes = list(_changes(json.loads(path.read_bytes()), record))
    if changes:
        raise TrainingError(
            f"{run} was begun otherwise: {'; '.join(changes)}. Go on as it was begun, or begin anew with another"
            " --extra-info"
        )


def _digest(rows: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.text, sorted(row.labels)]).encode())
    return digest.hexdigest()


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for part in now:
        old, new = before[part], now[part]
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield f"{name} was {old.get(name)}, is {new.get(name)}"


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
    """Raises: TrainingError: the checkpoints won't fit."""
    needed = _BYTES_PER_PARAMETER * sum(parameter.numel() for parameter in model.parameters())
    free = shutil.disk_usage(run).free
    if free < needed:
        raise TrainingError(
            f"training needs {needed / 1e6:,.0f} MB for checkpoints in {run}, and {free / 1e6:,.0f} MB are free:"
            " free some, or name another --weights-dir"
        )


@contextlib.contextmanager
def failures_explained(run: Path) -> Iterator[None]:
    """Turn a full disk and a full GPU into a sentence; every other failure stays what it is.

    Raises:
        TrainingError: instead of what PyTorch, safetensors or the operating system say.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "the GPU's memory is full: work through each batch in parts with --gradient-accumulation 2 (or 4, …),"
            " or take a smaller --batch-size"
        ) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        # PyTorch and safetensors report a failed write without an errno.
        full = shutil.disk_usage(run).free < 1e6 or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if not full:
            raise
        raise TrainingError(f"the disk of {run} is full: free some space, then go on with --resume") from error
